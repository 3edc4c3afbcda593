package secret

import (
	"context"
	"errors"
	"time"

	"coffer/internal/access"
	"coffer/internal/object"
)

// Delete moves a secret with all versions into the deleted collection, at once.
// Nothing of what is shown changes but the deletion itself.
func (s *Service) Delete(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.SecretDelete)
	deletion := g.Vault().Deletion(s.cfg.Now())
	b := &Bundle{}
	err := s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if b.Head, err = live(ctx, tx, g.Vault().ID, g.Name(), ""); err != nil {
			return err
		}
		if err := writable(b.Head, "delete"); err != nil {
			return err
		}
		b.Head.Deletion = deletion
		if b.Version, err = version(ctx, tx, b.Head, ""); err != nil {
			return err
		}
		return tx.UpdateSecretHead(ctx, b.Head)
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// GetDeleted reads a deleted secret. Those of certificates are read with their
// certificates only (contract secrets.md, 9.7).
func (s *Service) GetDeleted(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.SecretGetDeleted)
	b := &Bundle{}
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		b.Head, err = tx.SecretHead(ctx, g.Vault().ID, g.Name())
		if errors.Is(err, object.ErrNotFound) || err == nil && (b.Head.Deletion == nil || b.Head.Managed) {
			return deletedNotFound(g.Name())
		}
		if err != nil {
			return err
		}
		b.Version, err = version(ctx, tx, b.Head, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// deleted is the head of a name that op may be done to, because it is deleted and
// no certificate's; or absent.
func deleted(ctx context.Context, tx Tx, g access.Grant, op string, absent error) (object.Head, error) {
	h, err := tx.SecretHead(ctx, g.Vault().ID, g.Name())
	if errors.Is(err, object.ErrNotFound) {
		return h, absent
	}
	if err != nil {
		return h, err
	}
	if err := writable(h, op); err != nil {
		return h, err
	}
	if h.Deletion == nil {
		return h, absent
	}
	return h, nil
}

// Recover brings a deleted secret back as it was. Of one that is not deleted it
// says what a read would say (contract errors.md, 4.5).
func (s *Service) Recover(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.SecretRecover)
	b := &Bundle{}
	err := s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if b.Head, err = deleted(ctx, tx, g, "recover", NotFound(g.Name(), "")); err != nil {
			return err
		}
		b.Head.Deletion = nil
		if b.Version, err = version(ctx, tx, b.Head, ""); err != nil {
			return err
		}
		return tx.UpdateSecretHead(ctx, b.Head)
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Purge removes a deleted secret for ever.
func (s *Service) Purge(ctx context.Context, g access.Grant) error {
	g.Must(access.SecretPurge)
	v := g.Vault()
	return s.cfg.DB.Update(ctx, func(tx Tx) error {
		h, err := deleted(ctx, tx, g, "purge", deletedNotFound(g.Name()))
		if err != nil {
			return err
		}
		if err := v.MayPurge(); err != nil {
			return err
		}
		return tx.PurgeSecret(ctx, h.Vault, h.Name)
	})
}

// PurgeDue removes what has been deleted for as long as its vault keeps deleted
// objects, in all vaults (object.PurgeDue). Purge protection does not hold it back:
// the retention is over.
func (s *Service) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	now := s.cfg.Now()
	return object.PurgeDue(ctx, func(limit int) (due []object.Head, err error) {
		err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			due, err = tx.DueSecrets(ctx, now, limit)
			return err
		})
		return due, err
	}, record, func(h object.Head) error { return s.purgeIfDue(ctx, h, now) })
}

// purgeIfDue looks again: the secret may have been recovered meanwhile.
func (s *Service) purgeIfDue(ctx context.Context, h object.Head, now time.Time) error {
	return s.cfg.DB.Update(ctx, func(tx Tx) error {
		h, err := tx.SecretHead(ctx, h.Vault, h.Name)
		if errors.Is(err, object.ErrNotFound) || err == nil && (h.Deletion == nil || h.Deletion.PurgeAt.After(now)) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.PurgeSecret(ctx, h.Vault, h.Name)
	})
}
