package key

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// Get reads one version; "" means the current one.
func (s *Service) Get(ctx context.Context, g access.Grant, ver object.Version) (*Bundle, error) {
	g.Must(access.KeyGet, access.KeyGetAttestation)
	b, err := s.names.Get(ctx, g, ver)
	if err == nil {
		g.Attempt().ObjectVersion(b.Version.Version)
	}
	return b, err
}

// recently is a version for the use of a key. What it gives may be shared: it must not be
// changed.
func (s *Service) recently(ctx context.Context, g access.Grant, ver object.Version) (*Bundle, error) {
	k := object.VersionKey{Vault: g.Vault().ID, Name: g.Name().Key(), Version: ver}
	return s.recent.Get(k, func() (*Bundle, error) { return s.names.Get(ctx, g, ver) })
}

// List lists live keys by name; more tells that others follow.
func (s *Service) List(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.KeyList)
	return lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) ([]Listed, error) {
		return tx.Keys(ctx, g.Vault().ID, ahead)
	})
}

// ListDeleted lists deleted keys by name, without those of certificates, which go
// and come back with them and are listed with them only (contract keys.md,
// question 10).
func (s *Service) ListDeleted(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.KeyListDeleted)
	return lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) ([]Listed, error) {
		return tx.DeletedKeys(ctx, g.Vault().ID, ahead)
	})
}

// ListVersions lists the versions of a name in order of creation; none when the
// name is not known.
func (s *Service) ListVersions(ctx context.Context, g access.Grant, page object.Page) (vs []*Version, h object.Head, more bool, err error) {
	g.Must(access.KeyListVersions)
	vs, more, err = lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) (_ []*Version, err error) {
		if h, err = heads(tx).Live(ctx, g.Vault().ID, g.Name(), ""); fault.Is(err, fault.NotFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return tx.KeyVersions(ctx, h.Vault, h.Name, ahead)
	})
	return vs, h, more, err
}
