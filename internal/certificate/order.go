package certificate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"coffer/internal/compute"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// Bounds of an order.
const (
	stepTime  = time.Minute         // of one question to the issuer
	stepsRun  = 20                  // questions in one run of the job; then others have their turn
	maxLook   = 24 * time.Hour      // between two questions
	orderTime = 31 * 24 * time.Hour // of the whole: a person's approval may take a month (contract issuers.md, 1.5)
)

// carryOn asks the issuer of an operation, step by step, until it is done or must be
// asked again later. What it answers is durable before it is asked again. A crash at
// any line leaves the state of the last step, from which the issuer finds its order.
func (s *Service) carryOn(ctx context.Context, j jobs.Job, op *issuance.Operation) error {
	issuer, settings, failure, err := s.issuer(ctx, op)
	if err != nil {
		return err
	}
	if failure == nil && s.cfg.Now().Sub(op.Created) > orderTime {
		failure = &issuance.OperationError{Code: issuance.IssuerError, Message: "The issuer did not deliver a certificate in 31 days."}
	}
	for step := 1; failure == nil; step++ {
		var answer issuance.Answer
		if answer, err = s.ask(ctx, issuer, settings, op); err != nil {
			return fmt.Errorf("asking the issuer %s for %s: %w", op.Spec.Name, op.Name, err)
		}
		switch a := answer.(type) {
		case issuance.Pending:
			var waits bool
			if op, waits, err = s.storeOrder(ctx, j, op, a, step < stepsRun); err != nil || waits {
				return err
			}
		case issuance.Issued:
			var built *newVersion
			if built, failure, err = s.received(ctx, op, a); err != nil {
				return err
			}
			if failure == nil {
				return s.complete(ctx, j, op, built)
			}
		case issuance.OrderCancelled:
			return s.end(ctx, j, op, issuance.Cancelled, nil)
		case *issuance.OperationError:
			failure = a
		}
	}
	if op.CancellationRequested {
		return s.end(ctx, j, op, issuance.Cancelled, nil)
	}
	return s.end(ctx, j, op, issuance.Failed, failure)
}

var errNoAnswer = errors.New("certificate: the issuer gave no answer, or a state that cannot be kept")

// ask puts the next question.
func (s *Service) ask(ctx context.Context, issuer issuance.Issuer, settings issuance.Settings, op *issuance.Operation) (answer issuance.Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	o := s.orderOf(ctx, op, settings)
	if op.Order == nil {
		answer, err = issuer.Begin(ctx, o)
	} else {
		var state seal.Value
		if state, err = s.cfg.Sealer.Open(ctx, orderPlace(op), op.Order); err != nil {
			return nil, err
		}
		if canceller, ok := issuer.(issuance.Canceller); op.CancellationRequested && ok {
			answer, err = canceller.Cancel(ctx, o, state)
		} else if op.CancellationRequested {
			answer = issuance.OrderCancelled{} // its order is left alone
		} else {
			answer, err = issuer.Continue(ctx, o, state)
		}
	}
	if err != nil {
		return nil, err
	}
	switch a := answer.(type) {
	case nil:
		return nil, errNoAnswer
	case issuance.Pending:
		if n := len(a.State.Reveal()); n == 0 || n > issuance.MaxState {
			return nil, errNoAnswer
		}
	}
	return answer, nil
}

// orderOf is what the issuer is told.
func (s *Service) orderOf(ctx context.Context, op *issuance.Operation, settings issuance.Settings) issuance.Order {
	now := s.now()
	return issuance.Order{
		Vault: op.Vault, Name: op.Name, RequestID: op.RequestID, CSR: op.CSR, Public: op.Public, Policy: op.Policy,
		Type: given(op.Spec.CertificateType), Begun: op.Created, Now: now, Settings: settings,
		SelfSign: func() ([]byte, error) {
			private, err := s.pendingKey(ctx, op)
			if err != nil {
				return nil, err
			}
			notBefore, notAfter := op.Policy.Validity(now)
			return pki.SelfSign(op.Policy.X509.Template(), private.Signer, notBefore, notAfter)
		},
	}
}

func orderPlace(op *issuance.Operation) seal.Place {
	return issuance.OrderPlace(op.Vault, op.Name, op.RequestID)
}

// storeOrder makes the state of an order durable. waits tells that the job was put
// off until the issuer wants to be asked again; else it goes on with the operation
// as it is now. A cancellation that came meanwhile does not wait.
func (s *Service) storeOrder(ctx context.Context, j jobs.Job, op *issuance.Operation, p issuance.Pending, mayGoOn bool) (stored *issuance.Operation, waits bool, err error) {
	box, err := s.cfg.Sealer.Seal(ctx, orderPlace(op), p.State)
	if err != nil {
		return nil, false, err
	}
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		if err := tx.CheckJob(ctx, j); err != nil {
			return err
		}
		cur, err := stillPending(ctx, tx, op)
		if err != nil {
			return err
		}
		now := s.cfg.Now()
		look := time.Time{}
		if p.Look.After(now) && (op.CancellationRequested || !cur.CancellationRequested) {
			look = p.Look
			if last := now.Add(maxLook); look.After(last) {
				look = last
			}
		} else if !mayGoOn {
			look = now.Add(time.Second)
		}
		cur.Order, cur.OrderStep, cur.OrderLook = box, cur.OrderStep+1, look.Truncate(time.Millisecond)
		if err := tx.PutOperation(ctx, cur); err != nil {
			return err
		}
		stored, waits = cur, !look.IsZero()
		if waits {
			return tx.PostponeJob(ctx, j, look)
		}
		return nil
	})
	return stored, waits, err
}

// received builds the version of what the issuer delivered; failure tells why it
// cannot be kept.
func (s *Service) received(ctx context.Context, op *issuance.Operation, issued issuance.Issued) (built *newVersion, failure *issuance.OperationError, err error) {
	private, err := s.pendingKey(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	type answer struct {
		m           *material
		differences issuance.Differences
		failure     *issuance.OperationError
	}
	got, err := compute.Do(ctx, s.cfg.Workers, "", func() (a answer, err error) {
		a.m, a.differences, a.failure = accepted(op, issued, s.now())
		return a, nil
	})
	if err != nil || got.failure != nil {
		return nil, got.failure, err
	}
	built, err = s.build(ctx, inputs{
		vault: op.Vault, name: op.Name, policy: op.Policy, leaf: got.m.leaf, others: got.m.others, leafAt: got.m.leafAt,
		private: private, preserve: op.PreserveOrder, rootless: !op.PreserveOrder, enabled: op.Enabled, tags: op.Tags, created: s.now(),
	})
	if errors.Is(err, errTooLong) {
		return nil, longChain(), nil
	}
	if err != nil {
		return nil, nil, err
	}
	built.differences = got.differences
	return built, nil, nil
}

func longChain() *issuance.OperationError {
	return &issuance.OperationError{Code: issuance.IssuerError, Message: "The issuer delivered certificates that are too long."}
}

// accepted finds the certificate for the requested key in what an issuer delivered, in
// whatever order, and compares it with what was ordered. Signatures are verified: it
// takes milliseconds, and longer for a chain that was made to.
func accepted(op *issuance.Operation, issued issuance.Issued, now time.Time) (*material, issuance.Differences, *issuance.OperationError) {
	var none issuance.Differences
	if len(issued.Chain) >= maxCertificates {
		return nil, none, longChain()
	}
	public, err := pki.ParsePublic(op.Public)
	var certs []*pki.Certificate
	if err == nil {
		certs, err = parseCertificates(append([][]byte{issued.Leaf}, issued.Chain...))
	}
	if err != nil {
		return nil, none, &issuance.OperationError{Code: issuance.IssuerError,
			Message: "The issuer delivered something that is not for the requested key: " + err.Error() + "."}
	}
	m := pick(certs, public, -1)
	if m == nil {
		m = &material{leaf: certs[0], others: certs[1:]} // to be refused
	}
	chain, differences, failure := issuance.Accept(op.Policy, public, m.leaf, m.others, now)
	return m.only(chain), differences, failure
}

// issuer finds who makes the certificate, with its settings opened, or why nobody
// does (contract certificates.md, 11).
func (s *Service) issuer(ctx context.Context, op *issuance.Operation) (issuance.Issuer, issuance.Settings, *issuance.OperationError, error) {
	var settings issuance.Settings
	provider := issuance.Self
	if !op.Spec.IsSelf() {
		n, err := object.ParseName(op.Spec.Name)
		if err != nil {
			return nil, settings, nil, err
		}
		var set *Issuer
		err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			set, err = tx.Issuer(ctx, op.Vault, n)
			return err
		})
		if errors.Is(err, object.ErrNotFound) {
			return nil, settings, &issuance.OperationError{Code: issuance.RequestRejected, Message: "The issuer " + op.Spec.Name + " does not exist any more."}, nil
		}
		if err != nil {
			return nil, settings, nil, err
		}
		if !set.Enabled {
			return nil, settings, &issuance.OperationError{Code: issuance.RequestRejected, Message: "The issuer " + op.Spec.Name + " is disabled."}, nil
		}
		if settings, err = s.open(ctx, set); err != nil {
			return nil, settings, nil, err
		}
		provider = set.Provider
	}
	issuer := s.cfg.Issuers[strings.ToLower(provider)]
	if issuer == nil {
		return nil, settings, &issuance.OperationError{Code: issuance.IssuerError,
			Message: "The issuer encountered an error processing the certificate request. This vault has no driver for the provider " + provider + "."}, nil
	}
	return issuer, settings, nil, nil
}

// open opens the settings of a named issuer for it.
func (s *Service) open(ctx context.Context, set *Issuer) (out issuance.Settings, err error) {
	out = issuance.Settings{Name: set.Name, Provider: set.Provider, AccountID: given(set.AccountID),
		OrganizationID: given(set.OrganizationID), Admins: set.Admins}
	if set.Password != nil {
		out.Password, err = s.cfg.Sealer.Open(ctx, passwordPlace(set.Vault, set.Name), set.Password)
	}
	return out, err
}

// given is a text, "" when there is none.
func given(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
