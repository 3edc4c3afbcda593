package secret

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
)

// Bounds of a secret (contract secrets.md, 5.1). The service's documents speak of
// 25 KB, its refusal of characters: it is bytes of UTF-8 here (9.1).
const (
	maxValue       = 25_600 // bytes
	maxContentType = 255    // characters
)

// secretTooLarge is the inner code of a value over its bound (contract
// secrets.md, 7).
const secretTooLarge fault.Reason = "SecretTooLarge"

// Change is what a caller may say of a version beside its value; nil is not said.
type Change struct {
	ContentType *string
	Enabled     *bool
	NotBefore   *time.Time
	Expires     *time.Time
	Tags        object.Tags
}

// SetParams is a new version. What Change does not say has its default; nothing
// is inherited from the version before.
type SetParams struct {
	Value seal.Value
	Change
}

// check refuses what is out of bounds by itself.
func (c *Change) check() error {
	if c.ContentType != nil && utf8.RuneCountInString(*c.ContentType) > maxContentType {
		return fault.InvalidField("contentType", fmt.Sprintf("It has at most %d characters.", maxContentType))
	}
	if c.Tags.Check(object.Secrets) != nil {
		return fault.InvalidField("tags", "At most 15 tags; names and values have at most 512 characters.")
	}
	return nil
}

// apply changes a version.
func (c *Change) apply(v *Version, now time.Time) error {
	a := &v.Attributes
	if c.ContentType != nil {
		v.ContentType = *c.ContentType
	}
	if c.Enabled != nil {
		a.Enabled = *c.Enabled
	}
	if c.NotBefore != nil {
		a.NotBefore = c.NotBefore
	}
	if c.Expires != nil {
		a.Expires = c.Expires
	}
	if a.NotBefore != nil && a.Expires != nil && !a.Expires.After(*a.NotBefore) {
		return fault.InvalidField("attributes.exp", "It must be after nbf.")
	}
	if c.Tags != nil {
		v.Tags = c.Tags
	}
	a.Updated = now
	return nil
}

// Set makes a new version, the first one with its name. It answers the value
// that it was given, also when the version is disabled.
func (s *Service) Set(ctx context.Context, g access.Grant, p SetParams) (*Bundle, error) {
	g.Must(access.SecretSet)
	if len(p.Value.Reveal()) > maxValue {
		return nil, &fault.Error{Kind: fault.Invalid, Reason: secretTooLarge, Field: "value",
			Msg: fmt.Sprintf("Secret is beyond the maximum permitted length of %d characters.", maxValue)}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	vault, n, now := g.Vault().ID, g.Name(), s.now()
	v := &Version{Vault: vault, Name: n, Version: object.NewVersion(), Attributes: object.Attributes{Enabled: true, Created: now}}
	if err := p.apply(v, now); err != nil {
		return nil, err
	}
	var err error
	if v.Value, err = s.cfg.Sealer.Seal(ctx, ValuePlace(vault, n, v.Version), p.Value); err != nil {
		return nil, err
	}
	b := &Bundle{Version: v, Value: p.Value}
	err = s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if b.Head, err = addVersion(ctx, tx, v); err != nil {
			return err
		}
		of := outbox.Subject{Family: object.Secrets, Name: b.Head.Name, Version: v.Version}
		return s.cfg.Outbox.Put(ctx, tx, outbox.OfVersion(outbox.SecretNewVersion, v.Vault, of, v.Attributes, now))
	})
	if err != nil {
		return nil, err
	}
	v.Name = b.Head.Name // in the casing of its first use
	g.Attempt().ObjectVersion(v.Version)
	g.Attempt().Describe(audit.Details{Secret: &audit.SecretProperties{ContentType: v.ContentType}})
	return b, nil
}

// addVersion makes v the current version of its name, which it takes when it is
// free.
func addVersion(ctx context.Context, tx Tx, v *Version) (object.Head, error) {
	h, err := heads(tx).Free(ctx, v.Vault, v.Name, "set")
	if err != nil {
		return h, err
	}
	if h.Name.IsZero() {
		h = object.Head{Vault: v.Vault, Name: v.Name, Current: v.Version}
		if err := tx.InsertSecret(ctx, h); err != nil {
			return h, err
		}
		return h, tx.InsertSecretVersion(ctx, v)
	}
	if err := tx.InsertSecretVersion(ctx, v); err != nil {
		return h, err
	}
	h.Current = v.Version
	return h, tx.UpdateSecretHead(ctx, h)
}

// Update changes one version, "" the current one, whatever its state: all but
// its value.
func (s *Service) Update(ctx context.Context, g access.Grant, ver object.Version, c Change) (*Bundle, error) {
	g.Must(access.SecretUpdate)
	if err := c.check(); err != nil {
		return nil, err
	}
	now := s.now()
	b := &Bundle{}
	err := s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if b.Head, err = heads(tx).Own(ctx, g, ver, "update"); err != nil {
			return err
		}
		if b.Version, err = version(ctx, tx, b.Head, ver); err != nil {
			return err
		}
		if err := c.apply(b.Version, now); err != nil {
			return err
		}
		return tx.UpdateSecretVersion(ctx, b.Version)
	})
	if err != nil {
		return nil, err
	}
	g.Attempt().ObjectVersion(b.Version.Version)
	return b, nil
}
