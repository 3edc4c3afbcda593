package keyvault

import (
	"coffer/internal/object"
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
func outContentType(c *call, _ *input) string {
	if c.version.has(secretConversion) {
		return c.query.outContentType
	}
	return ""
}

func parseSecret(_ *call, in *input) secret.SetParams {
	p := secret.SetParams{Change: parseSecretChange(nil, in)}
	if value := in.anyText("value"); value != nil {
		p.Value = seal.NewValue([]byte(*value))
	} else if in.raw("value") == nil {
		in.required("value")
	}
	return p
}

func parseSecretChange(_ *call, in *input) secret.Change {
	a := parseAttributes(in)
	return secret.Change{ContentType: in.text("contentType"), Enabled: a.enabled, NotBefore: a.notBefore,
		Expires: a.expires, Tags: in.tags("tags")}
}

func newSecretBundle(c *call, b *secret.Bundle) secretBundle {
	v := b.Version
	c.attempt.ObjectVersion(v.Version)
	out := secretBundle{
		ContentType: v.ContentType,
		ID:          c.objectID(object.Secrets, v.Name, v.Version), Managed: b.Head.Managed,
		Attributes: fullAttributes(c, v.Attributes, customizedKeys), Tags: v.Tags,
	}
	if b.Head.Managed {
		out.KeyID = c.objectID(object.Keys, v.Name, v.Version)
		if c.version.has(secretConversion) {
			out.Previous = string(v.Previous)
		}
	}
	return out
}

func renderSecret(c *call, b *secret.Bundle) reply { return ok(newSecretBundle(c, b)) }

func renderSecretValue(c *call, b *secret.Bundle) reply {
	r := ok(newSecretBundle(c, b))
	if r.value, r.secret = b.Value.Reveal(), true; r.value == nil {
		r.value = []byte{}
	}
	return r
}

func renderSecretSet(c *call, b *secret.Bundle) reply {
	describeSecret(c, b.Version)
	return renderSecretValue(c, b)
}

func renderDeletedSecret(c *call, b *secret.Bundle) reply {
	return ok(deletedSecretBundle{c.deletion(b.Head), newSecretBundle(c, b)})
}

func newSecretItem(c *call, id string, v *secret.Version, h object.Head) secretItem {
	return secretItem{v.ContentType, id, h.Managed, fullAttributes(c, v.Attributes, customizedKeys), v.Tags}
}

func secretLine(c *call, l secret.Listed) secretItem {
	return newSecretItem(c, c.objectID(object.Secrets, l.Head.Name, ""), &l.Version, l.Head)
}

func deletedSecretLine(c *call, l secret.Listed) deletedSecretItem {
	return deletedSecretItem{c.deletion(l.Head), secretLine(c, l)}
}

// secretVersion is one version with the head that all of its list share.
type secretVersion struct {
	version *secret.Version
	head    object.Head
}

func secretVersionLine(c *call, v secretVersion) secretItem {
	return newSecretItem(c, c.objectID(object.Secrets, v.version.Name, v.version.Version), v.version, v.head)
}
