package certificate

import (
	"context"
	"strings"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
)

// pending is the operation of a live name; a requestID that is given must be
// the operation's (contract certificates.md, 8.11).
func pending(ctx context.Context, tx stateTx, v object.VaultID, n object.Name, requestID string) (state, error) {
	st, err := load(ctx, tx, v, n)
	if err != nil {
		return st, err
	}
	if st.live(n) != nil || st.op == nil || requestID != "" && !strings.EqualFold(requestID, st.op.RequestID) {
		return st, pendingNotFound(n)
	}
	return st, nil
}

// Operation reads the pending operation of a name.
func (s *Service) Operation(ctx context.Context, g access.Grant, requestID string) (*issuance.Operation, error) {
	g.Must(access.CertificatePendingGet)
	var st state
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		st, err = pending(ctx, tx, g.Vault().ID, g.Name(), requestID)
		return err
	})
	if err != nil {
		return nil, err
	}
	describeOperation(g, st.op)
	return st.op, nil
}

// CancelOperation asks that an operation be cancelled, or takes that back. The
// request is honoured at the worker's next step, never in the answer.
func (s *Service) CancelOperation(ctx context.Context, g access.Grant, requestID string, requested bool) (*issuance.Operation, error) {
	g.Must(access.CertificatePendingUpdate)
	var op *issuance.Operation
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := pending(ctx, tx, g.Vault().ID, g.Name(), requestID)
		if err != nil {
			return err
		}
		op = st.op
		if op.Status != issuance.InProgress {
			return &fault.Error{Kind: fault.Forbidden, Msg: "Pending status must be in progress to allow update."}
		}
		op.CancellationRequested, op.Updated = requested, s.now()
		if err := tx.PutOperation(ctx, op); err != nil || op.Order == nil || !requested {
			return err
		}
		// The order may not want to be looked at for long.
		return tx.HastenJobs(ctx, IssueJob, op.Vault, op.RequestID, s.cfg.Now())
	})
	if err != nil {
		return nil, err
	}
	describeOperation(g, op)
	if op.Order != nil {
		s.cfg.Wake()
	}
	return op, nil
}

// DeleteOperation removes the operation of a name in whatever state, with its
// key and job; the certificate stays. It answers the operation as last seen.
func (s *Service) DeleteOperation(ctx context.Context, g access.Grant, requestID string) (*issuance.Operation, error) {
	g.Must(access.CertificatePendingDelete)
	var op *issuance.Operation
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := pending(ctx, tx, g.Vault().ID, g.Name(), requestID)
		if err != nil {
			return err
		}
		op = st.op
		if err := tx.DeleteJobs(ctx, IssueJob, op.Vault, op.RequestID); err != nil {
			return err
		}
		if err := key.Discard(ctx, tx, op.HSM); err != nil {
			return err
		}
		return tx.DeleteOperation(ctx, op.Vault, op.Name)
	})
	if err != nil {
		return nil, err
	}
	s.cfg.Wake()
	describeOperation(g, op)
	return op, nil
}
