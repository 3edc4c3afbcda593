package certificate

import (
	"context"
	"errors"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// rows are certificates in a transaction, as they are deleted, recovered and
// purged: each with its key and its secret.
func rows(tx Tx) lifecycle.Rows[*Bundle] {
	return lifecycle.Rows[*Bundle]{
		Heads: heads(tx), Due: tx.DuePurges, VaultByID: tx.VaultByID,
		Version: func(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*Bundle, error) {
			c, cv, err := version(ctx, tx, v, n, ver)
			return &Bundle{Certificate: c, Version: cv}, err
		},
		Head:        func(b *Bundle) *object.Head { return &b.Certificate.Head },
		SetDeletion: func(ctx context.Context, b *Bundle) error { return setDeletion(ctx, tx, b.Certificate) },
		Purge:       func(ctx context.Context, v object.VaultID, n object.Name) error { return purge(ctx, tx, v, n) },
	}
}

// heads are the heads of certificates in a transaction.
func heads(tx HeadTx) lifecycle.Heads {
	return lifecycle.Heads{Subject: fault.Certificate, Read: func(ctx context.Context, v object.VaultID, n object.Name) (object.Head, error) {
		c, err := tx.Certificate(ctx, v, n)
		if err != nil {
			return object.Head{}, err
		}
		return c.Head, nil
	}}
}

// Delete moves a certificate with all versions, its key and its secret into the
// deleted collection (lifecycle.Names).
func (s *Service) Delete(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.CertificateDelete)
	return s.names.Delete(ctx, g)
}

// setDeletion marks the key and the secret of a certificate as it is marked.
func setDeletion(ctx context.Context, tx Tx, c *Certificate) error {
	d := c.Head.Deletion
	if d != nil {
		if err := abandon(ctx, tx, c.Head.Vault, c.Head.Name); err != nil {
			return err
		}
	}
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

// abandon ends the operation of a certificate that is being deleted, unless it
// waits for a merge: that can go on after a recovery.
func abandon(ctx context.Context, tx Tx, v object.VaultID, n object.Name) error {
	op, err := tx.Operation(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) {
		return nil
	}
	if err != nil || op.Status != issuance.InProgress || op.Spec.IsUnknown() {
		return err
	}
	if err := tx.DeleteJobs(ctx, IssueJob, op.Vault, op.RequestID); err != nil {
		return err
	}
	op.Status = issuance.Cancelled
	return tx.PutOperation(ctx, op)
}

// GetDeleted reads a deleted certificate.
func (s *Service) GetDeleted(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.CertificateGetDeleted)
	return s.names.GetDeleted(ctx, g)
}

// Recover brings a deleted certificate back as it was, with its key and its
// secret.
func (s *Service) Recover(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.CertificateRecover)
	return s.names.Recover(ctx, g)
}

// Purge removes a deleted certificate for ever, with its key and its secret.
func (s *Service) Purge(ctx context.Context, g access.Grant) error {
	g.Must(access.CertificatePurge)
	return s.names.Purge(ctx, g)
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

// PurgeDue removes the certificates whose retention is over (lifecycle.Names).
func (s *Service) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	return s.names.PurgeDue(ctx, record)
}
