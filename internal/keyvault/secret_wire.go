package keyvault

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/secret"
)

// secretBundle is contract secrets.md, 3.1, in the recorded order of a managed
// one (6).
type secretBundle struct {
	Value       string            `json:"value"`
	ContentType string            `json:"contentType,omitempty"`
	ID          string            `json:"id"`
	Managed     bool              `json:"managed,omitempty"`
	Attributes  attributes        `json:"attributes"`
	Tags        map[string]string `json:"tags,omitzero"`
	KeyID       string            `json:"kid,omitempty"`
	Previous    string            `json:"previousVersion,omitempty"`
}

type secretItem struct {
	ContentType string            `json:"contentType,omitempty"`
	ID          string            `json:"id"`
	Managed     bool              `json:"managed,omitempty"`
	Attributes  attributes        `json:"attributes"`
	Tags        map[string]string `json:"tags,omitzero"`
}

func (s *Server) readSecret(ctx context.Context, c *call, g access.Grant) (secretBundle, error) {
	form := ""
	if c.version.has(secretConversion) {
		form = c.query.outContentType
	}
	v, h, value, contentType, err := s.cfg.Secrets.Get(ctx, g, c.pinned, form)
	if err != nil {
		return secretBundle{}, err
	}
	c.entry.SetObjectVersion(string(v.Version))
	b := secretBundle{
		Value: string(value.Reveal()), ContentType: contentType,
		ID: c.objectID(object.Secrets, v.Name, v.Version), Managed: h.Managed,
		Attributes: fullAttributes(c, v.Attributes, customizedKeys), Tags: v.Tags,
	}
	if h.Managed {
		b.KeyID = c.objectID(object.Keys, v.Name, v.Version)
		if c.version.has(secretConversion) {
			b.Previous = string(v.Previous)
		}
	}
	return b, nil
}

func renderSecret(_ *call, b secretBundle) reply {
	r := ok(b)
	r.secret = true
	return r
}

func newSecretItem(c *call, id string, v *secret.Version, h object.Head) secretItem {
	return secretItem{v.ContentType, id, h.Managed, fullAttributes(c, v.Attributes, customizedKeys), v.Tags}
}

func secretLine(c *call, l secret.Listed) secretItem {
	return newSecretItem(c, c.objectID(object.Secrets, l.Head.Name, ""), &l.Version, l.Head)
}

// secretVersion is one version with the head that all of its list share.
type secretVersion struct {
	version *secret.Version
	head    object.Head
}

func secretVersionLine(c *call, v secretVersion) secretItem {
	return newSecretItem(c, c.objectID(object.Secrets, v.version.Name, v.version.Version), v.version, v.head)
}
