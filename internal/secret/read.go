package secret

import (
	"context"
	"fmt"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// The content types that a PFX can be read as (contract secrets.md, 5.2).
const (
	pkcs12Type = "application/x-pkcs12"
	pemType    = "application/x-pem-file"
)

// Get reads one version with its value; "" means the current one. as asks for
// another form (outContentType), "" for the stored one; ContentType of the
// answer is of the form given. A disabled version is Forbidden; dates are
// informative only (contract secrets.md, 5.2).
func (s *Service) Get(ctx context.Context, g access.Grant, ver object.Version, as string) (*Bundle, error) {
	g.Must(access.SecretGet)
	stored, err := s.read(ctx, g, ver)
	if err != nil {
		return nil, err
	}
	b := *stored
	v := b.Version
	if !v.Attributes.Enabled {
		return nil, &fault.Error{Kind: fault.Forbidden, Reason: fault.SecretDisabled,
			Msg: "Operation get is not allowed on a disabled secret."}
	}
	convert := as != "" && as != v.ContentType
	if convert && !(b.Head.Managed && v.ContentType == pkcs12Type && as == pemType) {
		return nil, fault.InvalidField("outContentType", "")
	}
	b.Value, err = s.cfg.Sealer.Open(ctx, ValuePlace(v.Vault, v.Name, v.Version), v.Value)
	if err == nil && convert {
		converted := *v
		converted.ContentType, b.Version = as, &converted
		b.Value, err = s.cfg.ToPEM(b.Value)
	}
	if err != nil {
		return nil, fmt.Errorf("reading secret %s/%s: %w", v.Name, v.Version, err)
	}
	g.Attempt().ObjectVersion(v.Version)
	return &b, nil
}

// read gives a version of a live secret with its value sealed. What it gives may
// be shared: it must not be changed.
func (s *Service) read(ctx context.Context, g access.Grant, ver object.Version) (*Bundle, error) {
	k := object.VersionKey{Vault: g.Vault().ID, Name: g.Name().Key(), Version: ver}
	return s.recent.Get(k, func() (*Bundle, error) { return s.names.Get(ctx, g, ver) })
}

// List lists live secrets by name; more tells that others follow.
func (s *Service) List(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.SecretList)
	return lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) ([]Listed, error) {
		return tx.Secrets(ctx, g.Vault().ID, ahead)
	})
}

// ListDeleted lists deleted secrets by name; more tells that others follow.
// Those of certificates are listed with their certificates only.
func (s *Service) ListDeleted(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.SecretListDeleted)
	return lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) ([]Listed, error) {
		return tx.DeletedSecrets(ctx, g.Vault().ID, ahead)
	})
}

// ListVersions lists the versions of a name in order of creation; none when the
// name is not known.
func (s *Service) ListVersions(ctx context.Context, g access.Grant, page object.Page) (vs []*Version, h object.Head, more bool, err error) {
	g.Must(access.SecretListVersions)
	vs, more, err = lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) (_ []*Version, err error) {
		if h, err = heads(tx).Live(ctx, g.Vault().ID, g.Name(), ""); fault.Is(err, fault.NotFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return tx.SecretVersions(ctx, h.Vault, h.Name, ahead)
	})
	return vs, h, more, err
}
