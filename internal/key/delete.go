package key

import (
	"context"
	"errors"
	"time"

	"coffer/internal/access"
	"coffer/internal/object"
)

// Delete moves a key with all versions into the deleted collection, at once.
// Nothing of what is shown changes but the deletion itself.
func (s *Service) Delete(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyDelete)
	deletion := g.Vault().Deletion(s.cfg.Now())
	return s.move(ctx, func(tx Tx) (object.Head, error) {
		h, err := own(ctx, tx, g, "", "delete")
		h.Deletion = deletion
		return h, err
	})
}

// move stores the head that find gives, deleted or live, with what follows from
// it.
func (s *Service) move(ctx context.Context, find func(Tx) (object.Head, error)) (*Bundle, error) {
	now := s.now()
	var out *Bundle
	err := s.update(ctx, func(tx Tx) error {
		h, err := find(tx)
		if err != nil {
			return err
		}
		v, err := tx.KeyVersion(ctx, h.Vault, h.Name, h.Current)
		if err != nil {
			return err
		}
		if err := tx.UpdateKeyHead(ctx, h); err != nil {
			return err
		}
		out = &Bundle{h, v}
		return schedule(ctx, tx, h, v, now)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// gone is the head of a deleted key that belongs to no certificate; absent is
// answered when there is none.
func gone(ctx context.Context, tx Tx, g access.Grant, op string, absent error) (object.Head, error) {
	h, err := tx.KeyHead(ctx, g.Vault().ID, g.Name())
	switch {
	case errors.Is(err, object.ErrNotFound):
		err = absent
	case err == nil && h.Managed:
		err = managed(op)
	case err == nil && h.Deletion == nil:
		err = absent
	}
	return h, err
}

// GetDeleted reads a deleted key. Those of certificates are not shown (contract
// keys.md, question 10).
func (s *Service) GetDeleted(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyGetDeleted)
	out := &Bundle{}
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		out.Head, out.Version, err = tx.Key(ctx, g.Vault().ID, g.Name(), "")
		if errors.Is(err, object.ErrNotFound) || err == nil && (out.Head.Deletion == nil || out.Head.Managed) {
			return deletedNotFound(g.Name())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Recover brings a deleted key back as it was. Of one that is not deleted it says
// what a read would say (contract keys.md, 9.6).
func (s *Service) Recover(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyRecover)
	return s.move(ctx, func(tx Tx) (object.Head, error) {
		h, err := gone(ctx, tx, g, "recover", NotFound(g.Name(), ""))
		h.Deletion = nil
		return h, err
	})
}

// Purge removes a deleted key for ever.
func (s *Service) Purge(ctx context.Context, g access.Grant) error {
	g.Must(access.KeyPurge)
	v := g.Vault()
	return s.update(ctx, func(tx Tx) error {
		h, err := gone(ctx, tx, g, "purge", deletedNotFound(g.Name()))
		if err != nil {
			return err
		}
		if err := v.MayPurge(); err != nil {
			return err
		}
		return Purge(ctx, tx, h.Vault, h.Name)
	})
}

// Purge removes a key in the caller's transaction; its keys in the HSM go after
// the commit.
func Purge(ctx context.Context, tx Tx, v object.VaultID, n object.Name) error {
	held, err := tx.HSMKeys(ctx, v, n)
	if err != nil {
		return err
	}
	if err := Discard(ctx, tx, held...); err != nil {
		return err
	}
	return tx.PurgeKey(ctx, v, n)
}

// PurgeDue removes what has been deleted for as long as its vault keeps deleted
// objects, in all vaults (object.PurgeDue). Purge protection does not hold it back:
// the retention is over.
func (s *Service) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	now := s.cfg.Now()
	return object.PurgeDue(ctx, func(limit int) (due []object.Head, err error) {
		err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			due, err = tx.DueKeyPurges(ctx, now, limit)
			return err
		})
		return due, err
	}, record, func(h object.Head) error { return s.purgeIfDue(ctx, h, now) })
}

// purgeIfDue looks again: the object may have been recovered meanwhile.
func (s *Service) purgeIfDue(ctx context.Context, h object.Head, now time.Time) error {
	return s.update(ctx, func(tx Tx) error {
		h, err := tx.KeyHead(ctx, h.Vault, h.Name)
		if errors.Is(err, object.ErrNotFound) || err == nil && (h.Managed || h.Deletion == nil || h.Deletion.PurgeAt.After(now)) {
			return nil
		}
		if err != nil {
			return err
		}
		return Purge(ctx, tx, h.Vault, h.Name)
	})
}
