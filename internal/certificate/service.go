package certificate

import (
	"context"
	"crypto"
	"errors"
	"log/slog"
	"time"

	"coffer/internal/audit"
	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// Sealer seals and opens values.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext seal.Value) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Keys makes key pairs in software; it may wait for its turn.
type Keys interface {
	Generate(ctx context.Context, spec pki.KeySpec) (crypto.Signer, error)
}

// Config is what a Service is made of. Fields without a comment on zero are
// required.
type Config struct {
	DB     object.DB[Tx]
	Sealer Sealer
	Keys   Keys
	Now    func() time.Time
	Logger *slog.Logger

	// Workers run what takes much of a processor. nil: it runs in place.
	Workers *compute.Pool

	// Device keeps keys of HSM types, in premium vaults. nil: no vault has them.
	Device key.Device

	// Issuers are the drivers: "Self" and the providers of named issuers, in
	// lower case. A provider that is not here fails its operations.
	Issuers map[string]issuance.Issuer

	// SelfDelay is how long an operation of the issuer Self stays inProgress
	// before the vault signs, so that a client has time to cancel it. Zero: none.
	SelfDelay time.Duration

	// ModernPKCS12 writes PFX files with AES-256 and SHA-256 instead of the
	// service's 3DES and SHA-1, which old readers need.
	ModernPKCS12 bool

	// Wake is called after a commit that enqueued a job; nil: nobody waits.
	Wake func()

	// Outbox is told of new versions. nil: nobody is.
	Outbox *outbox.Outbox

	// Record puts on record that background work is about to end an operation. What
	// it returns is called with the operation as it ended and how the certificate
	// differs from its order (nil: it does not), or with why it did not end.
	// Its error keeps the operation from ending: it is tried again.
	Record func(op *issuance.Operation, jobID string) (done func(*issuance.Operation, *audit.DifferenceProperties, error), err error)
}

// Service holds the rules of certificates. Every exported method that serves a
// caller takes the grant of its own action, which only the gate can make.
type Service struct {
	cfg     Config
	custody key.Custody
	names   lifecycle.Names[Tx, *Bundle]
}

// NewService checks the configuration; it starts nothing.
func NewService(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.Sealer == nil || cfg.Keys == nil || cfg.Now == nil || cfg.Logger == nil || cfg.Record == nil {
		return nil, errors.New("certificate: DB, Sealer, Keys, Now, Logger and Record are required")
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	custody := key.Custody{
		Sealer: cfg.Sealer, Maker: cfg.Keys, Device: cfg.Device, Now: cfg.Now, Wake: cfg.Wake, Logger: cfg.Logger,
		Update: func(ctx context.Context, fn func(key.HandleTx) error) error {
			return cfg.DB.Update(ctx, func(tx Tx) error { return fn(tx) })
		},
	}
	names := lifecycle.Names[Tx, *Bundle]{DB: cfg.DB, Rows: rows, Now: cfg.Now, Wake: cfg.Wake}
	return &Service{cfg: cfg, custody: custody, names: names}, nil
}

// now is the one reading of the clock in an operation, as it is stored and shown.
func (s *Service) now() time.Time { return object.Second(s.cfg.Now()) }

// IssueJob is the kind of the job that carries a pending operation on.
const IssueJob jobs.Kind = "issue"

// IssueTime bounds one run of an IssueJob: several steps of an issuer, of a minute
// each at most.
const IssueTime = 5 * time.Minute

// Bundle is one version with what its name has: what most answers show.
type Bundle struct {
	Certificate *Certificate
	Version     *Version
}

func notFound(n object.Name, ver object.Version) error {
	return lifecycle.NotFound(fault.Certificate, n, ver)
}

func pendingNotFound(n object.Name) error {
	return &fault.Error{Kind: fault.NotFound, Subject: fault.PendingCertificate, Msg: "Pending certificate not found: " + n.String()}
}

func inProgress() error {
	return &fault.Error{Kind: fault.Conflict, Subject: fault.Certificate,
		Msg: "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress."}
}

func nameInUse(n object.Name) error {
	return &fault.Error{Kind: fault.Conflict, Subject: fault.Certificate,
		Msg: "A key or secret named " + n.String() + " already exists and is not managed by a certificate."}
}

func pendingChanged(n object.Name, doing string) error {
	return &fault.Error{Kind: fault.Conflict, Subject: fault.PendingCertificate,
		Msg: "There was a conflict while " + doing + " pending certificate '" + n.String() + "'." +
			" This can happen when multiple operations are performed in parallel against the pending certificate." +
			" To avoid this error, perform operations against the pending certificate in a sequential manner."}
}

// invalid is a refusal of content whose text the contract gives whole.
func invalid(field, msg string) error {
	return &fault.Error{Kind: fault.Invalid, Field: field, Msg: msg}
}

// state is what one name holds at one moment.
type state struct {
	cert    *Certificate        // nil: the name is free
	current *Version            // nil when cert is nil
	op      *issuance.Operation // nil: none
}

// stateTx is what load needs of one open transaction.
type stateTx interface {
	HeadTx
	issuance.Tx
}

// load reads the state of a name, deleted or not.
func load(ctx context.Context, tx stateTx, v object.VaultID, n object.Name) (state, error) {
	var st state
	var err error
	st.cert, st.current, err = tx.CurrentCertificate(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	st.op, err = tx.Operation(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) {
		st.op, err = nil, nil
	}
	return st, err
}

// live reports NotFound unless the name exists and is not deleted.
func (st state) live(n object.Name) error {
	if st.cert == nil || st.cert.Head.Deletion != nil {
		return notFound(n, "")
	}
	return nil
}

// mayBegin reports why no new version can be begun on the name now.
func (st state) mayBegin(ctx context.Context, tx headsTx, v object.VaultID, n object.Name) error {
	if st.cert == nil {
		return nameFree(ctx, tx, v, n)
	}
	if st.cert.Head.Deletion != nil {
		return fault.Certificate.NameDeleted(n.String())
	}
	if st.op != nil && st.op.Status == issuance.InProgress {
		return inProgress()
	}
	return nil
}

// nameFree reports a conflict when a key or secret of its own holds the name,
// also a deleted one.
func nameFree(ctx context.Context, tx headsTx, v object.VaultID, n object.Name) error {
	if _, err := tx.KeyHead(ctx, v, n); !errors.Is(err, object.ErrNotFound) {
		if err == nil {
			err = nameInUse(n)
		}
		return err
	}
	if _, err := tx.SecretHead(ctx, v, n); !errors.Is(err, object.ErrNotFound) {
		if err == nil {
			err = nameInUse(n)
		}
		return err
	}
	return nil
}

// completed reports whether the name has a finished version.
func (st state) completed() bool { return st.current != nil && st.current.Completed }

// version is the current version, "" when the name is free.
func (st state) version() object.Version {
	if st.current == nil {
		return ""
	}
	return st.current.Version
}

// insertHeads takes the name in all three families at once.
func insertHeads(ctx context.Context, tx headsTx, c *Certificate) error {
	if err := tx.InsertCertificate(ctx, c); errors.Is(err, object.ErrExists) {
		return pendingChanged(c.Head.Name, "updating")
	} else if err != nil {
		return err
	}
	h := object.Head{Vault: c.Head.Vault, Name: c.Head.Name, Managed: true}
	for _, insert := range []func(context.Context, object.Head) error{tx.InsertKey, tx.InsertSecret} {
		if err := insert(ctx, h); errors.Is(err, object.ErrExists) {
			return nameInUse(c.Head.Name)
		} else if err != nil {
			return err
		}
	}
	return nil
}
