package certificate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"coffer/internal/hsm"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/pki"
)

// Issue carries one pending operation on: the handler of IssueJob. It may run
// twice for one operation; the transaction that ends the operation also removes
// the job, so that only one run has an effect. An error means: try again later.
func (s *Service) Issue(ctx context.Context, j jobs.Job) error {
	n, err := object.ParseName(j.Name)
	if err != nil {
		return err
	}
	var st state
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		st, err = load(ctx, tx, j.Vault, n)
		return err
	})
	if err != nil {
		return err
	}
	op := st.op
	if st.cert == nil || st.cert.Head.Deletion != nil || op == nil || op.RequestID != j.Ref || op.Status != issuance.InProgress {
		return s.drop(ctx, j) // the operation is gone or over: nothing to do
	}
	if op.CancellationRequested {
		return s.end(ctx, j, op, issuance.Cancelled, nil)
	}

	built, failure, err := s.order(ctx, op)
	if err != nil {
		return err
	}
	if failure != nil {
		return s.end(ctx, j, op, issuance.Failed, failure)
	}
	return s.complete(ctx, j, op, built)
}

// order asks the issuer. failure is the issuer's final no; err is worth another
// try.
func (s *Service) order(ctx context.Context, op *issuance.Operation) (built *newVersion, failure *issuance.OperationError, err error) {
	driver, failure, err := s.driver(ctx, op)
	if failure != nil || err != nil {
		return nil, failure, err
	}
	private, err := s.pendingKey(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	issued, err := driver.Issue(ctx, issuance.Order{Operation: op, Now: now, Sign: selfSigned(op, private.Signer)})
	if errors.As(err, &failure) {
		return nil, failure, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("issuing %s: %w", op.Name, err)
	}
	certs, err := parseCertificates(append([][]byte{issued.Leaf}, issued.Chain...))
	if err != nil || !pki.PublicEqual(certs[0].PublicKey, private.Signer.Public()) {
		return nil, &issuance.OperationError{Code: issuance.IssuerError,
			Message: "The issuer delivered a certificate that is not for the requested key."}, nil
	}
	built, err = s.build(ctx, inputs{
		vault: op.Vault, name: op.Name, policy: op.Policy, leaf: certs[0], others: certs[1:],
		private: private, preserve: op.PreserveOrder, enabled: op.Enabled, tags: op.Tags, created: now,
	})
	if errors.Is(err, errTooLong) {
		return nil, &issuance.OperationError{Code: issuance.IssuerError, Message: "The issuer delivered certificates that are too long."}, nil
	}
	return built, nil, err
}

// driver finds who makes the certificate, or why nobody does
// (contract certificates.md, 11).
func (s *Service) driver(ctx context.Context, op *issuance.Operation) (issuance.Issuer, *issuance.OperationError, error) {
	provider := issuance.Self
	if !op.Spec.IsSelf() {
		n, err := object.ParseName(op.Spec.Name)
		if err != nil {
			return nil, nil, err
		}
		var set *Issuer
		err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			set, err = tx.Issuer(ctx, op.Vault, n)
			return err
		})
		if errors.Is(err, object.ErrNotFound) {
			return nil, &issuance.OperationError{Code: issuance.RequestRejected, Message: "The issuer " + op.Spec.Name + " does not exist any more."}, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if !set.Enabled {
			return nil, &issuance.OperationError{Code: issuance.RequestRejected, Message: "The issuer " + op.Spec.Name + " is disabled."}, nil
		}
		provider = set.Provider
	}
	driver := s.cfg.Issuers[strings.ToLower(provider)]
	if driver == nil {
		return nil, &issuance.OperationError{Code: issuance.IssuerError,
			Message: "The issuer encountered an error processing the certificate request. This vault has no driver for the provider " + provider + "."}, nil
	}
	return driver, nil, nil
}

// drop removes a job that has nothing to do.
func (s *Service) drop(ctx context.Context, j jobs.Job) error {
	return s.cfg.DB.Update(ctx, func(tx Tx) error { return tx.CompleteJob(ctx, j) })
}

// errWithdrawn makes the runner try again soon: the caller took the cancellation
// back, and was told so, before it was effective.
var errWithdrawn = errors.New("the cancellation was withdrawn")

// end finishes an operation without a certificate. The pending key stays: after
// a failure or cancellation a caller may still merge (contract certificates.md,
// 8.7 rule 2).
func (s *Service) end(ctx context.Context, j jobs.Job, op *issuance.Operation, to issuance.Status, why *issuance.OperationError) error {
	return s.recorded(op, j, func() (ended *issuance.Operation, err error) {
		err = s.cfg.DB.Update(ctx, func(tx Tx) error {
			cur, err := stillPending(ctx, tx, op)
			if err != nil {
				return err
			}
			if to == issuance.Cancelled && !cur.CancellationRequested {
				return errWithdrawn
			}
			cur.Status, cur.Error, cur.Updated = to, why, s.now()
			if err := tx.PutOperation(ctx, cur); err != nil {
				return err
			}
			ended = cur
			return tx.CompleteJob(ctx, j)
		})
		return ended, err
	})
}

// complete makes the version the issuer delivered the current one. A
// cancellation that came while the issuer worked came too late: the operation
// ends completed, with the request noted.
func (s *Service) complete(ctx context.Context, j jobs.Job, op *issuance.Operation, built *newVersion) error {
	return s.recorded(op, j, func() (ended *issuance.Operation, err error) {
		err = s.cfg.DB.Update(ctx, func(tx Tx) error {
			cur, err := stillPending(ctx, tx, op)
			if err != nil {
				return err
			}
			st, err := load(ctx, tx, op.Vault, op.Name)
			if err != nil {
				return err
			}
			if err := st.live(op.Name); err != nil {
				return err
			}
			tags := cur.Tags
			if tags == nil {
				tags = st.current.Tags
			}
			fresh := built.with(cur.Enabled, tags) // a PATCH of the placeholder counts
			if err := insertCurrent(ctx, tx, st, fresh); err != nil {
				return err
			}
			if err := finish(ctx, tx, cur, s.now()); err != nil {
				return err
			}
			ended = cur
			return tx.CompleteJob(ctx, j)
		})
		return ended, err
	})
}

// with is the new version with that attribute on all three, and those tags.
func (n *newVersion) with(enabled bool, tags object.Tags) *newVersion {
	c, k, sec := *n.certificate, *n.key, *n.secret
	c.Attributes.Enabled, k.Attributes.Enabled, sec.Attributes.Enabled = enabled, enabled, enabled
	c.Tags = tags
	return &newVersion{&c, &k, &sec}
}

// finish marks an operation completed; its key lives in the key version now.
func finish(ctx context.Context, tx Tx, op *issuance.Operation, now time.Time) error {
	op.Status, op.Private, op.HSM, op.Error, op.Updated = issuance.Completed, nil, hsm.ID{}, nil, now
	return tx.PutOperation(ctx, op)
}

// stillPending reads the operation again inside the transaction that ends it:
// the same one, and still in progress, or object.ErrChanged.
func stillPending(ctx context.Context, tx Tx, op *issuance.Operation) (*issuance.Operation, error) {
	cur, err := tx.Operation(ctx, op.Vault, op.Name)
	if errors.Is(err, object.ErrNotFound) || err == nil && (cur.RequestID != op.RequestID || cur.Status != op.Status) {
		return nil, object.ErrChanged
	}
	return cur, err
}

// recorded runs what ends an operation, with its intent on record before and its
// outcome after.
func (s *Service) recorded(op *issuance.Operation, j jobs.Job, end func() (*issuance.Operation, error)) error {
	if s.cfg.Record == nil {
		_, err := end()
		return err
	}
	done, err := s.cfg.Record(op, j.ID)
	if err != nil {
		return fmt.Errorf("recording the end of the operation of %s: %w", op.Name, err)
	}
	ended, err := end()
	done(ended, err)
	return err
}
