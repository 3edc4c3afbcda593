package certificate

import (
	"context"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/bundle"
	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pki"
)

// MergeParams is the body of a merge. nil means absent.
type MergeParams struct {
	X5C     []string
	Enabled *bool
	Tags    object.Tags
}

// Merge completes a pending operation with the certificate that the caller
// brings for the pending key (contract certificates.md, 8.7).
func (s *Service) Merge(ctx context.Context, g access.Grant, p MergeParams) (*Bundle, error) {
	g.Must(access.CertificatePendingMerge)
	if err := p.Tags.Check(object.Certificates); err != nil {
		return nil, fault.InvalidField("tags", "At most 15 tags; names and values have at most 256 characters.")
	}
	if len(p.X5C) == 0 {
		return nil, fault.MissingField("x5c")
	}
	v, n, now := g.Vault().ID, g.Name(), s.now()
	var st state
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		st, err = pending(ctx, tx, v, n, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	op := st.op
	if err := mayMerge(op); err != nil {
		return nil, err
	}
	built, err := s.merged(ctx, op, p, g.Caller().ID(), now)
	if err != nil {
		return nil, err
	}

	var out *Bundle
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, n)
		if err != nil {
			return err
		}
		if st.live(n) != nil || st.op == nil || st.op.RequestID != op.RequestID || st.op.Status != op.Status {
			return pendingChanged(n, "updating")
		}
		enabled, tags := st.op.Enabled, st.op.Tags
		if p.Enabled != nil {
			enabled = *p.Enabled
		}
		if p.Tags != nil {
			tags = p.Tags
		}
		if tags == nil {
			tags = st.current.Tags
		}
		fresh := built.with(enabled, tags)
		if err := s.insertCurrent(ctx, tx, st, fresh); err != nil {
			return err
		}
		if err := finish(ctx, tx, st.op, now); err != nil {
			return err
		}
		if err := tx.DeleteJobs(ctx, IssueJob, v, op.RequestID); err != nil {
			return err
		}
		st.cert.Pending = true
		out = &Bundle{Certificate: st.cert, Version: fresh.certificate}
		return nil
	})
	if err != nil {
		return nil, err
	}
	describe(g, out.Version)
	g.Attempt().Describe(audit.Details{Differences: differenceProperties(built.differences)})
	return out, nil
}

// mayMerge reports why the operation's state forbids a merge.
func mayMerge(op *issuance.Operation) error {
	switch {
	case op.Status == issuance.Completed:
		return &fault.Error{Kind: fault.Forbidden, Msg: "Pending status must be in progress to allow update."}
	case op.Status == issuance.InProgress && !op.Spec.IsUnknown():
		return &fault.Error{Kind: fault.Forbidden, Msg: "Merge is forbidden on pending object created with issuer : " +
			op.Spec.Name + " while it is in progess."} // sic (8.7)
	}
	return nil
}

// merged builds the version from what the caller brought.
func (s *Service) merged(ctx context.Context, op *issuance.Operation, p MergeParams, caller string, now time.Time) (*newVersion, error) {
	certs, err := compute.Do(ctx, s.cfg.Workers, caller, func() ([]*pki.Certificate, error) {
		ders, err := bundle.ReadMerge(p.X5C)
		if err != nil {
			return nil, err
		}
		return parseCertificates(ders)
	})
	if err != nil {
		return nil, content("x5c", err)
	}
	public, err := pki.ParsePublic(op.Public)
	if err != nil {
		return nil, err
	}
	m, err := match("x5c", certs, public, -1, now)
	if err != nil {
		return nil, err
	}
	private, err := s.pendingKey(ctx, op)
	if err != nil {
		return nil, err
	}
	built, err := s.build(ctx, inputs{
		caller: caller,
		vault:  op.Vault, name: op.Name, policy: op.Policy, leaf: m.leaf, others: m.others, leafAt: m.leafAt,
		private: private, preserve: op.PreserveOrder, enabled: op.Enabled, tags: op.Tags, created: now,
	})
	if err != nil {
		return nil, buildError("x5c", err)
	}
	// A merge refuses none of it (contract certificates.md, 8.7 rule 4): it goes on record.
	built.differences, err = compute.Do(ctx, s.cfg.Workers, caller, func() (issuance.Differences, error) {
		_, d := issuance.Compare(op.Policy, m.leaf, m.others, now)
		return d, nil
	})
	return built, err
}
