package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/hsm"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/object"
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
	if op.CancellationRequested && op.Order == nil {
		return s.end(ctx, j, op, issuance.Cancelled, nil) // nothing was sent
	}
	return s.carryOn(ctx, j, op)
}

// drop removes a job that has nothing to do.
func (s *Service) drop(ctx context.Context, j jobs.Job) error {
	return s.cfg.DB.Update(ctx, func(tx Tx) error { return tx.CompleteJob(ctx, j) })
}

// end finishes an operation without a certificate. The pending key stays: after
// a failure or cancellation a caller may still merge (contract certificates.md,
// 8.7 rule 2).
func (s *Service) end(ctx context.Context, j jobs.Job, op *issuance.Operation, to issuance.Status, why *issuance.OperationError) error {
	return s.recorded(op, j, issuance.Differences{}, func() (ended *issuance.Operation, err error) {
		err = s.cfg.DB.Update(ctx, func(tx Tx) error {
			cur, err := stillPending(ctx, tx, op)
			if err != nil {
				return err
			}
			if to == issuance.Cancelled && cur.Order == nil && !cur.CancellationRequested {
				// The caller took it back, and was told so, before it was effective.
				return errors.Join(access.NotNeeded("The cancellation was taken back."), jobs.Later(s.cfg.Now()))
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
	err := s.recorded(op, j, built.differences, func() (ended *issuance.Operation, err error) {
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
			if err := s.insertCurrent(ctx, tx, st, fresh); err != nil {
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
	if d := built.differences; err == nil && len(d.Wider)+len(d.Narrower) > 0 {
		s.cfg.Logger.WarnContext(ctx, "a certificate is not quite as its policy ordered", "vault", op.Vault, "name", op.Name,
			"issuer", op.Spec.Name, "operation", op.RequestID, "wider", d.Wider, "narrower", d.Narrower)
	}
	return err
}

// with is the new version with that attribute on all three, and those tags.
func (n *newVersion) with(enabled bool, tags object.Tags) *newVersion {
	c, k, sec := *n.certificate, *n.key, *n.secret
	c.Attributes.Enabled, k.Attributes.Enabled, sec.Attributes.Enabled = enabled, enabled, enabled
	c.Tags = tags
	return &newVersion{certificate: &c, key: &k, secret: &sec}
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
// outcome after, with how the certificate differs from its order.
func (s *Service) recorded(op *issuance.Operation, j jobs.Job, d issuance.Differences, end func() (*issuance.Operation, error)) error {
	done, err := s.cfg.Record(op, j.ID)
	if err != nil {
		return fmt.Errorf("recording the end of the operation of %s: %w", op.Name, err)
	}
	ended, err := end()
	done(ended, differenceProperties(d), err)
	return err
}
