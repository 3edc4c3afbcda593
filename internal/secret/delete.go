package secret

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// heads are the heads of secrets in a transaction.
func heads(tx HeadTx) lifecycle.Heads {
	return lifecycle.Heads{Subject: fault.Secret, Read: tx.SecretHead}
}

// rows are secrets in a transaction, as they are deleted, recovered and purged.
func rows(tx Tx) lifecycle.Rows[*Bundle] {
	return lifecycle.Rows[*Bundle]{
		Heads: heads(tx), Due: tx.DueSecrets, VaultByID: tx.VaultByID, Purge: tx.PurgeSecret,
		Version: func(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*Bundle, error) {
			h, err := tx.SecretHead(ctx, v, n)
			if err != nil {
				return nil, err
			}
			if h.Current == "" || h.Deletion != nil && ver != "" { // nothing that is shown
				return nil, object.ErrNotFound
			}
			stored, err := version(ctx, tx, h, ver)
			return &Bundle{Head: h, Version: stored}, err
		},
		Head:        func(b *Bundle) *object.Head { return &b.Head },
		SetDeletion: func(ctx context.Context, b *Bundle) error { return tx.UpdateSecretHead(ctx, b.Head) },
	}
}

// Delete moves a secret with all versions into the deleted collection
// (lifecycle.Names).
func (s *Service) Delete(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.SecretDelete)
	return s.names.Delete(ctx, g)
}

// GetDeleted reads a deleted secret.
func (s *Service) GetDeleted(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.SecretGetDeleted)
	return s.names.GetDeleted(ctx, g)
}

// Recover brings a deleted secret back as it was.
func (s *Service) Recover(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.SecretRecover)
	return s.names.Recover(ctx, g)
}

// Purge removes a deleted secret for ever.
func (s *Service) Purge(ctx context.Context, g access.Grant) error {
	g.Must(access.SecretPurge)
	return s.names.Purge(ctx, g)
}

// PurgeDue removes the secrets whose retention is over (lifecycle.Names).
func (s *Service) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	return s.names.PurgeDue(ctx, record)
}
