package keyvault

import (
	"encoding/base64"

	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/seal"
)

// usedBody is contract keys.md, 9.10 and 9.11.
type usedBody struct {
	ID    string `json:"kid"`
	Value string `json:"value"`
	IV    string `json:"iv,omitempty"`
	Tag   string `json:"tag,omitempty"`
	AAD   string `json:"aad,omitempty"`
}

type verifiedBody struct {
	Value bool `json:"value"`
}

type randomBody struct {
	Value string `json:"value"`
}

func renderUsed(r pipeline.Request, u *key.Used) rest.Reply {
	text := base64.RawURLEncoding.EncodeToString
	out := rest.OK(usedBody{objectID(r, object.Keys, u.Version.Name, u.Version.Version), text(u.Value.Reveal()), text(u.IV), text(u.Tag), text(u.AAD)})
	out.Secret = true
	return out
}

func renderVerified(_ pipeline.Request, valid bool) rest.Reply { return rest.OK(verifiedBody{valid}) }

func renderRandom(_ pipeline.Request, v seal.Value) rest.Reply {
	out := rest.OK(randomBody{base64.RawURLEncoding.EncodeToString(v.Reveal())})
	out.Secret = true
	return out
}

// rotation is a policy with the head of its key.
type rotation struct {
	policy *key.RotationPolicy
	head   object.Head
}

// rotationBody is contract keys.md, 9.9. Attributes are null, and there is no id,
// until somebody has set a policy.
type rotationBody struct {
	ID         string              `json:"id,omitempty"`
	Actions    []rotationAction    `json:"lifetimeActions"`
	Attributes *rotationAttributes `json:"attributes"`
}

type rotationAction struct {
	Trigger rotationTrigger    `json:"trigger"`
	Action  rotationActionType `json:"action"`
}

type rotationTrigger struct {
	AfterCreate  string `json:"timeAfterCreate,omitempty"`
	BeforeExpiry string `json:"timeBeforeExpiry,omitempty"`
}

type rotationActionType struct {
	Type string `json:"type"`
}

type rotationAttributes struct {
	ExpiryTime string `json:"expiryTime,omitempty"`
	Created    int64  `json:"created"`
	Updated    int64  `json:"updated"`
}

func renderRotationPolicy(r pipeline.Request, current rotation) rest.Reply {
	p := current.policy
	var b rotationBody
	if after, before := p.RotateAfterCreate.String(), p.RotateBeforeExpiry.String(); after+before != "" {
		b.Actions = append(b.Actions, rotationAction{rotationTrigger{after, before}, rotationActionType{key.ActionRotate}})
	}
	b.Actions = append(b.Actions, rotationAction{rotationTrigger{BeforeExpiry: p.NotifyBeforeExpiry.String()}, rotationActionType{key.ActionNotify}})
	if !p.Created.IsZero() {
		b.ID = objectID(r, object.Keys, current.head.Name, "") + "/rotationpolicy"
		b.Attributes = &rotationAttributes{p.ExpiryTime.String(), p.Created.Unix(), p.Updated.Unix()}
	}
	return rest.OK(b)
}
