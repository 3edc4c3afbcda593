package certificate

import (
	"context"
	"errors"

	"coffer/internal/access"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// Get reads one version; "" means the current one, which for a first create is
// its placeholder.
func (s *Service) Get(ctx context.Context, g access.Grant, ver object.Version) (*Bundle, error) {
	g.Must(access.CertificateGet)
	b, err := s.names.Get(ctx, g, ver)
	if err == nil {
		g.Attempt().ObjectVersion(b.Version.Version)
	}
	return b, err
}

// version reads the head of a name and one of its versions; "" means the current
// one.
func version(ctx context.Context, tx certificatesTx, v object.VaultID, n object.Name, ver object.Version) (*Certificate, *Version, error) {
	if ver == "" {
		return tx.CurrentCertificate(ctx, v, n)
	}
	c, err := tx.Certificate(ctx, v, n)
	if err != nil {
		return nil, nil, err
	}
	cv, err := tx.CertificateVersion(ctx, v, n, ver)
	return c, cv, err
}

// List lists the names that the grant is for, live or deleted ones; more tells that
// others follow.
func (s *Service) List(ctx context.Context, g access.Grant, q ListQuery) (items []Listed, more bool, err error) {
	g.Must(access.CertificateList, access.CertificateListDeleted)
	q.Deleted = g.Action() == access.CertificateListDeleted
	return lifecycle.List(ctx, s.cfg.DB, q.Page, func(tx Tx, ahead object.Page) ([]Listed, error) {
		return tx.Certificates(ctx, g.Vault().ID, ListQuery{Page: ahead, Deleted: q.Deleted, Pending: q.Pending})
	})
}

// ListVersions lists the completed versions of a name in order of creation; none
// when the name is not known or deleted.
func (s *Service) ListVersions(ctx context.Context, g access.Grant, page object.Page) (vs []*Version, more bool, err error) {
	g.Must(access.CertificateListVersions)
	return lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) ([]*Version, error) {
		vs, err := tx.CertificateVersions(ctx, g.Vault().ID, g.Name(), ahead)
		if errors.Is(err, object.ErrNotFound) {
			return nil, nil
		}
		return vs, err
	})
}

// Policy reads the policy of a name.
func (s *Service) Policy(ctx context.Context, g access.Grant) (*Certificate, error) {
	g.Must(access.CertificatePolicyGet)
	var c *Certificate
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		c, err = tx.Certificate(ctx, g.Vault().ID, g.Name())
		if errors.Is(err, object.ErrNotFound) || err == nil && c.Head.Deletion != nil {
			return notFound(g.Name(), "")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}
