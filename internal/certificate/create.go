package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// CreateParams is the body of a create. nil means absent.
type CreateParams struct {
	Policy        *issuance.Patch
	Enabled       *bool
	Tags          object.Tags
	PreserveOrder bool
}

// Create begins the next version of a name: it stores the policy, a sealed key,
// the request made with it and a job, in one transaction. A crash before the
// commit leaves nothing; after it the job goes on at the next start.
func (s *Service) Create(ctx context.Context, g access.Grant, p CreateParams) (*issuance.Operation, error) {
	g.Must(access.CertificateCreate)
	if err := p.Tags.Check(object.Certificates); err != nil {
		return nil, fault.InvalidField("tags", "At most 15 tags; names and values have at most 256 characters.")
	}
	at := s.now()
	policy, st, err := s.mayCreate(ctx, g, p.Policy, at)
	if err != nil {
		return nil, err
	}
	op := &issuance.Operation{
		Vault: g.Vault().ID, Name: g.Name(), RequestID: object.NewRequestID(), Status: issuance.InProgress,
		Policy: policy, Spec: policy.Issuer, PreserveOrder: p.PreserveOrder,
		Enabled: p.Enabled == nil || *p.Enabled, Tags: p.Tags,
		Created: at, Updated: at,
	}
	if st.cert != nil {
		op.Name = st.cert.Head.Name // the casing of the first use
	}
	private, err := s.request(ctx, op, st)
	if err != nil {
		return nil, err
	}
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		if err := private.Keep(ctx, tx); err != nil {
			return err
		}
		return s.storeOperation(ctx, tx, g.Name(), op, st, p.Policy != nil)
	})
	if err != nil {
		s.custody.Drop(ctx, private)
		return nil, err
	}
	s.cfg.Wake()
	describeOperation(g, op)
	describeFirstPolicy(g, op.Policy, p.Policy != nil)
	return op, nil
}

// mayHold refuses a policy for a key that the vault has no HSM for.
func (s *Service) mayHold(v *vault.Vault, p *issuance.Policy) error {
	return s.custody.Check(v, p.Key.HSM(), "policy.key_props")
}

// mayCreate gives the policy of a create, the given one or that of the name, and the
// state that it was seen in. This look spares a key that could not be used; the
// transaction that stores it looks again.
func (s *Service) mayCreate(ctx context.Context, g access.Grant, given *issuance.Patch, at time.Time) (policy *issuance.Policy, st state, err error) {
	if given != nil {
		if policy, err = issuance.NewPolicy(given, at); err == nil {
			err = s.mayHold(g.Vault(), policy)
		}
		if err != nil {
			return nil, st, err
		}
	}
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		if st, err = load(ctx, tx, g.Vault().ID, g.Name()); err != nil {
			return err
		}
		if err := st.mayBegin(ctx, tx, g.Vault().ID, g.Name()); err != nil {
			return err
		}
		if policy == nil {
			if policy, err = s.storedPolicy(g.Vault(), st); err != nil {
				return err
			}
		}
		return issuerExists(ctx, tx, g.Vault().ID, policy.Issuer)
	})
	return policy, st, err
}

// storedPolicy is the policy of the name, for a create that gives none.
func (s *Service) storedPolicy(v *vault.Vault, st state) (*issuance.Policy, error) {
	if st.cert == nil {
		return nil, fault.InvalidField("policy", "")
	}
	p := st.cert.Policy
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p, s.mayHold(v, p)
}

// storeOperation writes a new operation, unless the name, as the caller wrote it, is no
// longer as it was seen: the key, the tags and perhaps the policy are those of that
// state, and the key of a certificate that is purged meanwhile stays purged.
func (s *Service) storeOperation(ctx context.Context, tx Tx, n object.Name, op *issuance.Operation, seen state, policyGiven bool) error {
	now, err := load(ctx, tx, op.Vault, n)
	if err != nil {
		return err
	}
	if err := now.mayBegin(ctx, tx, op.Vault, n); err != nil {
		return err
	}
	if now.version() != seen.version() {
		return pendingChanged(n, "updating")
	}
	if err := s.storePolicy(ctx, tx, &now, op, policyGiven); err != nil {
		return err
	}
	if now.op != nil { // its place is taken
		if err := key.Discard(ctx, tx, now.op.HSM); err != nil {
			return err
		}
	}
	if err := tx.PutOperation(ctx, op); err != nil {
		return err
	}
	if op.Spec.IsUnknown() {
		return nil // it waits for a merge
	}
	due := s.cfg.Now()
	if op.Spec.IsSelf() {
		due = due.Add(s.cfg.SelfDelay)
	}
	return tx.EnqueueJob(ctx, jobs.Job{ID: object.NewRequestID(), Kind: IssueJob,
		Vault: op.Vault, Name: op.Name.Key(), Ref: op.RequestID, Due: due})
}

// storePolicy makes the name, or changes its policy and placeholder, for a new
// operation.
func (s *Service) storePolicy(ctx context.Context, tx Tx, st *state, op *issuance.Operation, given bool) error {
	if st.completed() {
		if !given {
			return nil
		}
		return setPolicy(ctx, tx, *st, op.Policy)
	}
	stand := placeholder(op, op.Created)
	if stand.Tags == nil && st.current != nil {
		stand.Tags = st.current.Tags
	}
	if st.cert == nil {
		c := &Certificate{Head: object.Head{Vault: op.Vault, Name: op.Name, Current: stand.Version}, Policy: op.Policy}
		if err := insertHeads(ctx, tx, c); err != nil {
			return err
		}
		return tx.InsertVersion(ctx, stand)
	}
	if err := tx.DeleteVersion(ctx, op.Vault, op.Name, st.current.Version); err != nil {
		return err
	}
	if err := tx.InsertVersion(ctx, stand); err != nil {
		return err
	}
	st.cert.Head.Current = stand.Version
	if given {
		return setPolicy(ctx, tx, *st, op.Policy)
	}
	return tx.UpdateCertificate(ctx, st.cert)
}

// setPolicy replaces the policy of a name. Its creation time survives; what it
// says of the lifetime holds for the current version at once.
func setPolicy(ctx context.Context, tx certificatesTx, st state, p *issuance.Policy) error {
	p = p.Clone()
	p.Created = st.cert.Policy.Created
	st.cert.Policy = p
	if st.completed() {
		cur := *st.current
		cur.NextAction = p.NextAction(*cur.Attributes.NotBefore, *cur.Attributes.Expires)
		if err := tx.UpdateVersion(ctx, &cur); err != nil {
			return err
		}
		st.current.NextAction = cur.NextAction
	}
	return tx.UpdateCertificate(ctx, st.cert)
}

// request makes the key and the CSR of an operation and seals the key, which the
// caller keeps with it or drops.
func (s *Service) request(ctx context.Context, op *issuance.Operation, st state) (*key.Private, error) {
	private, err := s.keyFor(ctx, op.Policy, st)
	if err != nil {
		return nil, err
	}
	op.HSM = private.HSM
	if op.CSR, err = pki.CreateCSR(op.Policy.X509.Template(), private.Signer); err != nil {
		err = fmt.Errorf("building the request of %s: %w", op.Name, err)
	}
	if err == nil {
		op.Public, err = pki.MarshalPublic(private.Signer.Public())
	}
	if err == nil {
		op.Private, err = s.custody.Seal(ctx, pendingPlace(op), private)
	}
	if err != nil {
		s.custody.Drop(ctx, private)
		return nil, err
	}
	return private, nil
}

func pendingPlace(op *issuance.Operation) seal.Place {
	return issuance.PendingPlace(op.Vault, op.Name, op.RequestID)
}

// pendingKey opens the key of an operation.
func (s *Service) pendingKey(ctx context.Context, op *issuance.Operation) (*key.Private, error) {
	private, err := s.custody.Open(ctx, pendingPlace(op), op.Private, op.HSM, op.Public)
	if err != nil {
		return nil, fmt.Errorf("opening the pending key of %s: %w", op.Name, err)
	}
	return private, nil
}

// keyFor is the current key when the policy says reuse and it still fits, else a
// new one.
func (s *Service) keyFor(ctx context.Context, p *issuance.Policy, st state) (*key.Private, error) {
	if p.Key.Reuse && st.completed() {
		v, n, ver := st.cert.Head.Vault, st.cert.Head.Name, st.current.Version
		var kv *key.Version
		err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
			kv, err = tx.KeyVersion(ctx, v, n, ver)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading the key to reuse for %s: %w", n, err)
		}
		// A key that was made or imported as not exportable is not reused by a
		// policy that would give it away, nor one of software by a policy for the
		// HSM: the caller gets a new one.
		if kv.Type() == p.Key.Type && kv.Spec == p.Key.Spec() && (kv.Exportable || !p.Key.Exportable) {
			private, err := s.custody.Open(ctx, key.PrivatePlace(v, n, ver), kv.Private, kv.HSM, kv.Public)
			if err != nil {
				return nil, fmt.Errorf("opening the key to reuse for %s: %w", n, err)
			}
			return private, nil
		}
	}
	return s.custody.Generate(ctx, p.Key.Spec(), p.Key.HSM())
}

// issuerExists reports an issuer name that is neither built in nor stored.
func issuerExists(ctx context.Context, tx IssuerTx, v object.VaultID, ref issuance.IssuerRef) error {
	if ref.IsSelf() || ref.IsUnknown() {
		return nil
	}
	n, err := object.ParseName(ref.Name)
	if err == nil {
		_, err = tx.Issuer(ctx, v, n)
	}
	if errors.Is(err, object.ErrName) || errors.Is(err, object.ErrNotFound) {
		e := issuerNotFound()
		e.Msg += fmt.Sprintf(". The policy names the issuer %q, which this vault does not have.", ref.Name)
		return e
	}
	return err
}

func issuerNotFound() *fault.Error {
	return &fault.Error{Kind: fault.NotFound, Subject: fault.CertificateIssuer, Msg: "Issuer not found"}
}
