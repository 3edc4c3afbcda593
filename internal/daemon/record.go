package daemon

import (
	"context"
	"fmt"
	"net/http"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/vault"
)

// background begins the record of the vault's own work on one object. Its intent is
// durable on return.
func (d *Daemon) background(v object.VaultID, a access.Action, n object.Name, job string) (*audit.Entry, error) {
	ctx := context.Background() // a stop of the process does not leave work without its record
	var of *vault.Vault
	err := d.db.View(ctx, func(tx *store.Tx) (err error) {
		of, err = tx.VaultByID(ctx, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding the vault of %s: %w", n, err)
	}
	e := d.audit.Begin(d.now())
	e.SetVault(of.ResourceID(), "https://"+of.Key()+"."+d.settings.Suffix)
	e.SetOperation(a.Operation())
	e.SetBackground(job)
	e.SetObject(string(a.Family()) + "/" + n.String())
	return e, e.Intent(ctx)
}

// finish writes the record. Work whose intent is on record is not undone when
// that fails: the intent becomes a record at the next start.
func (d *Daemon) finish(e *audit.Entry, a access.Action, n object.Name, o audit.Outcome) {
	if err := e.Finish(o); err != nil {
		d.log.Error("the outcome of background work could not be recorded", "operation", a.Operation(), "name", n.String(), "error", err)
	}
}

// outcome is that of work which answers with this status when it succeeds.
func outcome(status int, err error) audit.Outcome {
	if err != nil {
		return audit.Outcome{Status: http.StatusInternalServerError, ErrorCode: "InternalServerError", Message: err.Error()}
	}
	return audit.Outcome{Status: status}
}

// recordEnrollment is the record of the end of a pending operation, its intent
// durable before the end.
func (d *Daemon) recordEnrollment(op *issuance.Operation, job string) (func(*issuance.Operation, error), error) {
	e, err := d.background(op.Vault, access.CertificateEnroll, op.Name, job)
	if err != nil {
		return nil, err
	}
	return func(ended *issuance.Operation, err error) {
		o := outcome(http.StatusOK, err)
		if err == nil {
			e.Describe(audit.Details{Request: &audit.RequestProperties{
				Status: string(ended.Status), RequestID: ended.RequestID, CancellationRequested: ended.CancellationRequested,
			}})
			if ended.Error != nil {
				o = audit.Outcome{Status: http.StatusInternalServerError, ErrorCode: ended.Error.Code, Message: ended.Error.Message}
			}
		}
		d.finish(e, access.CertificateEnroll, op.Name, o)
	}, nil
}

// recordPurge is the record of a scheduled purge, its intent durable before.
func (d *Daemon) recordPurge(a access.Action) func(object.Head) (func(error), error) {
	return func(h object.Head) (func(error), error) {
		e, err := d.background(h.Vault, a, h.Name, "")
		if err != nil {
			return nil, err
		}
		return func(err error) { d.finish(e, a, h.Name, outcome(http.StatusNoContent, err)) }, nil
	}
}

// recordRotation is the record of a key that rotates by its policy, its intent
// durable before.
func (d *Daemon) recordRotation(h object.Head, job string) (func(*key.Bundle, error), error) {
	e, err := d.background(h.Vault, access.KeyRotateIfDue, h.Name, job)
	if err != nil {
		return nil, err
	}
	return func(rotated *key.Bundle, err error) {
		if err == nil {
			v := rotated.Version
			e.SetObjectVersion(string(v.Version))
			e.Describe(audit.Details{Key: &audit.KeyProperties{Type: v.Type(), Size: v.Spec.Size, Curve: string(v.Spec.Curve)}})
		}
		d.finish(e, access.KeyRotateIfDue, h.Name, outcome(http.StatusOK, err))
	}, nil
}
