package key

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// heads are the heads of keys in a transaction.
func heads(tx HeadTx) lifecycle.Heads { return lifecycle.Heads{Subject: fault.Key, Read: tx.KeyHead} }

// rows are keys in a transaction, as they are deleted, recovered and purged.
func (s *Service) rows(tx Tx) lifecycle.Rows[*Bundle] {
	return lifecycle.Rows[*Bundle]{
		Heads: heads(tx), Due: tx.DueKeyPurges, VaultByID: tx.VaultByID,
		Version: func(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*Bundle, error) {
			h, version, err := tx.Key(ctx, v, n, ver)
			return &Bundle{h, version}, err
		},
		Head: func(b *Bundle) *object.Head { return &b.Head },
		SetDeletion: func(ctx context.Context, b *Bundle) error {
			if err := tx.UpdateKeyHead(ctx, b.Head); err != nil {
				return err
			}
			return schedule(ctx, tx, b.Head, b.Version, s.now())
		},
		Purge: func(ctx context.Context, v object.VaultID, n object.Name) error { return Purge(ctx, tx, v, n) },
	}
}

// Delete moves a key with all versions into the deleted collection
// (lifecycle.Names).
func (s *Service) Delete(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyDelete)
	return s.names.Delete(ctx, g)
}

// GetDeleted reads a deleted key.
func (s *Service) GetDeleted(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyGetDeleted)
	return s.names.GetDeleted(ctx, g)
}

// Recover brings a deleted key back as it was.
func (s *Service) Recover(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyRecover)
	return s.names.Recover(ctx, g)
}

// Purge removes a deleted key for ever.
func (s *Service) Purge(ctx context.Context, g access.Grant) error {
	g.Must(access.KeyPurge)
	return s.names.Purge(ctx, g)
}

// PurgeDue removes the keys whose retention is over (lifecycle.Names).
func (s *Service) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	return s.names.PurgeDue(ctx, record)
}

// PurgeTx is what Purge needs of one open transaction.
type PurgeTx interface {
	HeadTx
	HandleTx
}

// Purge removes a key in the caller's transaction; its keys in the HSM go after
// the commit.
func Purge(ctx context.Context, tx PurgeTx, v object.VaultID, n object.Name) error {
	held, err := tx.HSMKeys(ctx, v, n)
	if err != nil {
		return err
	}
	if err := Discard(ctx, tx, held...); err != nil {
		return err
	}
	return tx.PurgeKey(ctx, v, n)
}
