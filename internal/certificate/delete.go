package certificate

import (
	"context"
	"errors"
	"time"

	"coffer/internal/access"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
)

// Delete moves a certificate with all versions, its key and its secret into the
// deleted collection, at once and in one transaction. Nothing of what is shown
// changes but the deletion itself.
func (s *Service) Delete(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.CertificateDelete)
	v, n := g.Vault(), g.Name()
	deletion := v.Deletion(s.cfg.Now())
	var out *Bundle
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v.ID, n)
		if err != nil {
			return err
		}
		if err := st.live(n); err != nil {
			return err
		}
		if err := abandon(ctx, tx, st.op); err != nil {
			return err
		}
		out = &Bundle{Certificate: st.cert, Version: st.current}
		return setDeletion(ctx, tx, st.cert, deletion)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// abandon ends the operation of a certificate that is being deleted, unless it
// waits for a merge: that can go on after a recovery.
func abandon(ctx context.Context, tx Tx, op *issuance.Operation) error {
	if op == nil || op.Status != issuance.InProgress || op.Spec.IsUnknown() {
		return nil
	}
	if err := tx.DeleteJobs(ctx, IssueJob, op.Vault, op.RequestID); err != nil {
		return err
	}
	op.Status = issuance.Cancelled
	return tx.PutOperation(ctx, op)
}

// setDeletion marks the three heads of a name alike; nil makes them live.
func setDeletion(ctx context.Context, tx Tx, c *Certificate, d *object.Deletion) error {
	c.Head.Deletion = d
	if err := tx.UpdateCertificate(ctx, c); err != nil {
		return err
	}
	k, err := tx.KeyHead(ctx, c.Head.Vault, c.Head.Name)
	if err != nil {
		return err
	}
	k.Deletion = d
	if err := tx.UpdateKeyHead(ctx, k); err != nil {
		return err
	}
	sec, err := tx.SecretHead(ctx, c.Head.Vault, c.Head.Name)
	if err != nil {
		return err
	}
	sec.Deletion = d
	return tx.UpdateSecretHead(ctx, sec)
}

// GetDeleted reads a deleted certificate.
func (s *Service) GetDeleted(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.CertificateGetDeleted)
	out := &Bundle{}
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		out.Certificate, out.Version, err = tx.CurrentCertificate(ctx, g.Vault().ID, g.Name())
		if errors.Is(err, object.ErrNotFound) || err == nil && out.Certificate.Head.Deletion == nil {
			return deletedNotFound(g.Name())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Recover brings a deleted certificate back as it was. Of one that is not deleted
// it says what a read would say (contract certificates.md, 15.4).
func (s *Service) Recover(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.CertificateRecover)
	v, n := g.Vault().ID, g.Name()
	var out *Bundle
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, n)
		if err != nil {
			return err
		}
		if st.cert == nil || st.cert.Head.Deletion == nil {
			return notFound(n, "")
		}
		out = &Bundle{Certificate: st.cert, Version: st.current}
		return setDeletion(ctx, tx, st.cert, nil)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Purge removes a deleted certificate for ever.
func (s *Service) Purge(ctx context.Context, g access.Grant) error {
	g.Must(access.CertificatePurge)
	v, n := g.Vault(), g.Name()
	defer s.cfg.Wake()
	return s.cfg.DB.Update(ctx, func(tx Tx) error {
		c, err := tx.Certificate(ctx, v.ID, n)
		if errors.Is(err, object.ErrNotFound) || err == nil && c.Head.Deletion == nil {
			return deletedNotFound(n)
		}
		if err != nil {
			return err
		}
		if err := v.MayPurge(); err != nil {
			return err
		}
		return purge(ctx, tx, v.ID, n)
	})
}

// purge removes all three families of a name.
func purge(ctx context.Context, tx Tx, v object.VaultID, n object.Name) error {
	op, err := tx.Operation(ctx, v, n)
	if err == nil {
		err = tx.DeleteJobs(ctx, IssueJob, v, op.RequestID)
	} else if errors.Is(err, object.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	if err := key.Purge(ctx, tx, v, n); err != nil { // while there is an operation that may hold one too
		return err
	}
	if err := tx.PurgeCertificate(ctx, v, n); err != nil {
		return err
	}
	return tx.PurgeSecret(ctx, v, n)
}

// PurgeDue removes what has been deleted for as long as its vault keeps deleted
// objects, in all vaults (object.PurgeDue). Purge protection does not hold it back:
// the retention is over.
func (s *Service) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	now := s.cfg.Now()
	return object.PurgeDue(ctx, func(limit int) (due []object.Head, err error) {
		err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			due, err = tx.DuePurges(ctx, now, limit)
			return err
		})
		return due, err
	}, record, func(h object.Head) error { return s.purgeIfDue(ctx, h, now) })
}

// purgeIfDue looks again: the object may have been recovered meanwhile.
func (s *Service) purgeIfDue(ctx context.Context, h object.Head, now time.Time) error {
	defer s.cfg.Wake()
	return s.cfg.DB.Update(ctx, func(tx Tx) error {
		c, err := tx.Certificate(ctx, h.Vault, h.Name)
		if errors.Is(err, object.ErrNotFound) || err == nil && (c.Head.Deletion == nil || c.Head.Deletion.PurgeAt.After(now)) {
			return nil
		}
		if err != nil {
			return err
		}
		return purge(ctx, tx, h.Vault, h.Name)
	})
}

// PurgePeriod is how often PurgeDue looks.
const PurgePeriod = time.Minute
