package key

import (
	"context"
	"errors"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
)

// Get reads one version; "" means the current one.
func (s *Service) Get(ctx context.Context, g access.Grant, ver object.Version) (*Bundle, error) {
	g.Must(access.KeyGet, access.KeyGetAttestation)
	return s.read(ctx, g, ver)
}

// read gives a version of a live key. What it gives may be shared.
func (s *Service) read(ctx context.Context, g access.Grant, ver object.Version) (*Bundle, error) {
	k := object.RecentKey{Vault: g.Vault().ID, Name: g.Name().Key(), Version: ver}
	return s.recent.Read(k, func() (*Bundle, error) {
		out := &Bundle{}
		err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			out.Head, out.Version, err = tx.Key(ctx, g.Vault().ID, g.Name(), ver)
			if errors.Is(err, object.ErrNotFound) || err == nil && out.Head.Deletion != nil {
				return NotFound(g.Name(), ver)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

// List lists live keys by name; more tells that others follow.
func (s *Service) List(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.KeyList)
	return s.list(ctx, g, page, Tx.Keys)
}

// ListDeleted lists deleted keys by name, without those of certificates, which go
// and come back with them and are listed with them only (contract keys.md,
// question 10).
func (s *Service) ListDeleted(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.KeyListDeleted)
	return s.list(ctx, g, page, Tx.DeletedKeys)
}

func (s *Service) list(ctx context.Context, g access.Grant, page object.Page,
	read func(Tx, context.Context, object.VaultID, object.Page) ([]Listed, error)) (items []Listed, more bool, err error) {
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		items, err = read(tx, ctx, g.Vault().ID, page.Ahead())
		return err
	})
	items, more = object.Cut(items, page.Limit)
	return items, more, err
}

// ListVersions lists the versions of a name in order of creation; none when the
// name is not known.
func (s *Service) ListVersions(ctx context.Context, g access.Grant, page object.Page) (vs []*Version, h object.Head, more bool, err error) {
	g.Must(access.KeyListVersions)
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		if h, err = live(ctx, tx, g.Vault().ID, g.Name(), ""); fault.Is(err, fault.NotFound) {
			vs = nil
			return nil
		} else if err != nil {
			return err
		}
		vs, err = tx.KeyVersions(ctx, h.Vault, h.Name, page.Ahead())
		return err
	})
	vs, more = object.Cut(vs, page.Limit)
	return vs, h, more, err
}
