package daemon

import (
	"context"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/vault"
)

// vaultByID finds a vault for background work.
func (d *Daemon) vaultByID(ctx context.Context, id object.VaultID) (v *vault.Vault, err error) {
	err = d.db.View(ctx, func(tx *store.Tx) (err error) {
		v, err = tx.VaultByID(ctx, id)
		return err
	})
	return v, err
}

// recordEnrollment is the record of the end of a pending operation, its intent
// durable before the end.
func (d *Daemon) recordEnrollment(op *issuance.Operation, job string) (func(*issuance.Operation, *audit.DifferenceProperties, error), error) {
	g, err := d.background.Begin(context.Background(), op.Vault, access.CertificateEnroll, op.Name, job)
	if err != nil {
		return nil, err
	}
	return func(ended *issuance.Operation, differences *audit.DifferenceProperties, err error) {
		o := access.Outcome(http.StatusOK, err)
		if err == nil {
			g.Attempt().Describe(audit.Details{Request: &audit.RequestProperties{
				Status: string(ended.Status), RequestID: ended.RequestID, CancellationRequested: ended.CancellationRequested,
			}, Differences: differences})
			if ended.Error != nil {
				o = audit.Outcome{Status: http.StatusInternalServerError, ErrorCode: ended.Error.Code, Message: ended.Error.Message}
			}
		}
		d.background.Finish(g, o)
	}, nil
}

// recordPurge is the record of a scheduled purge, its intent durable before.
func (d *Daemon) recordPurge(a access.Action) func(object.Head) (func(error), error) {
	return func(h object.Head) (func(error), error) {
		g, err := d.background.Begin(context.Background(), h.Vault, a, h.Name, "")
		if err != nil {
			return nil, err
		}
		return func(err error) { d.background.Finish(g, access.Outcome(http.StatusNoContent, err)) }, nil
	}
}

// recordRotation is the record of a key that rotates by its policy, its intent
// durable before.
func (d *Daemon) recordRotation(h object.Head, job string) (func(*key.Bundle, error), error) {
	g, err := d.background.Begin(context.Background(), h.Vault, access.KeyRotateIfDue, h.Name, job)
	if err != nil {
		return nil, err
	}
	return func(rotated *key.Bundle, err error) {
		if err == nil {
			v := rotated.Version
			g.Attempt().ObjectVersion(v.Version)
			g.Attempt().Describe(audit.Details{Key: &audit.KeyProperties{Type: v.Type(), Size: v.Spec.Size, Curve: string(v.Spec.Curve)}})
		}
		d.background.Finish(g, access.Outcome(http.StatusOK, err))
	}, nil
}
