package keyvault

import (
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/seal"
	"coffer/internal/secret"
)

// secretBundle is contract secrets.md, 3.1, in the recorded order of a managed
// one (6). Only set and get answer the value, which may be empty and comes first.
type secretBundle struct {
	ContentType string            `json:"contentType,omitempty"`
	ID          string            `json:"id"`
	Managed     bool              `json:"managed,omitempty"`
	Attributes  attributes        `json:"attributes"`
	Tags        map[string]string `json:"tags,omitzero"`
	KeyID       string            `json:"kid,omitempty"`
	Previous    string            `json:"previousVersion,omitempty"`
}

type deletedSecretBundle struct {
	deletion
	secretBundle
}

type secretItem struct {
	ContentType string            `json:"contentType,omitempty"`
	ID          string            `json:"id"`
	Managed     bool              `json:"managed,omitempty"`
	Attributes  attributes        `json:"attributes"`
	Tags        map[string]string `json:"tags,omitzero"`
}

type deletedSecretItem struct {
	deletion
	secretItem
}

// outContentType is the form that a get asks for; older versions do not.
func outContentType(r pipeline.Request) string {
	if r.Version().Has(secretConversion) {
		return r.Query().Get("outContentType")
	}
	return ""
}

func parseSecret(r pipeline.Request, in *rest.Input) secret.SetParams {
	p := secret.SetParams{Change: parseSecretChange(r, in)}
	if value := in.AnyText("value"); value != nil {
		p.Value = seal.NewValue([]byte(*value))
	} else if in.Raw("value") == nil {
		in.Required("value")
	}
	return p
}

func parseSecretChange(_ pipeline.Request, in *rest.Input) secret.Change {
	a := parseAttributes(in)
	return secret.Change{ContentType: in.Text("contentType"), Enabled: a.enabled, NotBefore: a.notBefore,
		Expires: a.expires, Tags: in.Tags("tags")}
}

func newSecretBundle(r pipeline.Request, b *secret.Bundle) secretBundle {
	v := b.Version
	out := secretBundle{
		ContentType: v.ContentType,
		ID:          objectID(r, object.Secrets, v.Name, v.Version), Managed: b.Head.Managed,
		Attributes: fullAttributes(r, v.Attributes, customizedKeys), Tags: v.Tags,
	}
	if b.Head.Managed {
		out.KeyID = objectID(r, object.Keys, v.Name, v.Version)
		if r.Version().Has(secretConversion) {
			out.Previous = string(v.Previous)
		}
	}
	return out
}

func renderSecret(r pipeline.Request, b *secret.Bundle) rest.Reply {
	return rest.OK(newSecretBundle(r, b))
}

func renderSecretValue(r pipeline.Request, b *secret.Bundle) rest.Reply {
	out := rest.OK(newSecretBundle(r, b))
	if out.Value, out.Secret = b.Value.Reveal(), true; out.Value == nil {
		out.Value = []byte{}
	}
	return out
}

func renderDeletedSecret(r pipeline.Request, b *secret.Bundle) rest.Reply {
	return rest.OK(deletedSecretBundle{newDeletion(r, object.Secrets, b.Head), newSecretBundle(r, b)})
}

func newSecretItem(r pipeline.Request, id string, v *secret.Version, h object.Head) secretItem {
	return secretItem{v.ContentType, id, h.Managed, fullAttributes(r, v.Attributes, customizedKeys), v.Tags}
}

func secretLine(r pipeline.Request, l secret.Listed) secretItem {
	return newSecretItem(r, objectID(r, object.Secrets, l.Head.Name, ""), &l.Version, l.Head)
}

func deletedSecretLine(r pipeline.Request, l secret.Listed) deletedSecretItem {
	return deletedSecretItem{newDeletion(r, object.Secrets, l.Head), secretLine(r, l)}
}

func secretVersionLine(r pipeline.Request, v headed[*secret.Version]) secretItem {
	return newSecretItem(r, objectID(r, object.Secrets, v.version.Name, v.version.Version), v.version, v.head)
}
