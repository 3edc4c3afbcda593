package key

import (
	"context"
	"crypto"
	"errors"
	"log/slog"
	"time"

	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/jobs"
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

// Maker makes key pairs; it may wait for its turn. A Generator is one.
type Maker interface {
	Generate(ctx context.Context, spec pki.KeySpec) (crypto.Signer, error)
}

// Config is what a Service is made of. Fields without a comment on zero are
// required.
type Config struct {
	DB     object.DB[Tx]
	Sealer Sealer
	Maker  Maker
	Now    func() time.Time
	Logger *slog.Logger

	// Workers run what takes much of a processor. nil: it runs in place.
	Workers *compute.Pool

	// Device keeps keys of HSM types, in premium vaults. nil: no vault has them.
	Device Device

	// KeepOpen is how long an opened private key stays in memory for the next use
	// of the same version. Zero: every use opens its box anew.
	KeepOpen time.Duration

	// Fresh says how long what was read may serve the next read. Zero: not at all.
	Fresh fresh.Source

	// Wake is called after a commit that enqueued a job; nil: nobody waits.
	Wake func()

	// Outbox is told of new versions and of those that are about to expire. nil:
	// nobody is.
	Outbox *outbox.Outbox

	// Record puts on record that a key is about to be rotated because it is due.
	// What it returns is called with the new version, or with why there is none.
	// Its error keeps the key from rotating: it is tried again.
	Record func(h object.Head, jobID string) (done func(rotated *Bundle, err error), err error)
}

// Service holds the rules of keys. Every exported method that serves a caller
// takes the grant of its own action, which only the gate can make.
type Service struct {
	cfg     Config
	custody Custody
	names   lifecycle.Names[Tx, *Bundle]
	recent  *fresh.Cache[object.VersionKey, *Bundle]
	opened  *opened
}

// maxRecent bounds the bundles kept in memory: about 4 KB each with a key of RSA-4096.
const maxRecent = 1024

// NewService checks the configuration; it starts nothing.
func NewService(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.Sealer == nil || cfg.Maker == nil || cfg.Now == nil || cfg.Logger == nil || cfg.Record == nil {
		return nil, errors.New("key: DB, Sealer, Maker, Now, Logger and Record are required")
	}
	if cfg.KeepOpen < 0 {
		return nil, errors.New("key: KeepOpen is negative")
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	custody := Custody{
		Sealer: cfg.Sealer, Maker: cfg.Maker, Device: cfg.Device, Now: cfg.Now, Wake: cfg.Wake, Logger: cfg.Logger,
		Update: func(ctx context.Context, fn func(HandleTx) error) error {
			return cfg.DB.Update(ctx, func(tx Tx) error { return fn(tx) })
		},
	}
	s := &Service{
		cfg: cfg, custody: custody, opened: newOpened(cfg.KeepOpen),
		recent: fresh.NewCache[object.VersionKey, *Bundle](cfg.Fresh, fresh.Objects, maxRecent, nil),
	}
	s.names = lifecycle.Names[Tx, *Bundle]{DB: cfg.DB, Rows: s.rows, Now: cfg.Now, Wake: cfg.Wake}
	return s, nil
}

// DestroyInHSM does a DestroyJob, of keys and of certificates.
func (s *Service) DestroyInHSM(ctx context.Context, j jobs.Job) error {
	return s.custody.Destroy(ctx, j)
}

// now is the one reading of the clock in an operation, as it is stored and shown.
func (s *Service) now() time.Time { return object.Second(s.cfg.Now()) }

// update runs a transaction and wakes the workers after it: most changes of a key
// move its jobs.
func (s *Service) update(ctx context.Context, fn func(Tx) error) error {
	if err := s.cfg.DB.Update(ctx, fn); err != nil {
		return err
	}
	s.cfg.Wake()
	return nil
}

// Reasons of contract errors.md, 4.4, that only keys have.
const (
	keyNotYetValid        fault.Reason = "KeyNotYetValid"
	keyExpired            fault.Reason = "KeyExpired"
	keyOperationForbidden fault.Reason = "KeyOperationForbidden"
)

func changedMeanwhile(n object.Name) error {
	return &fault.Error{Kind: fault.Conflict, Subject: fault.Key, Msg: "The key " + n.String() +
		" was changed by another operation at the same time. Please retry."}
}

func unsupported(msg string) error { return &fault.Error{Kind: fault.Unsupported, Msg: msg} }

// invalid is a refusal of a member whose text the contract gives whole.
func invalid(field, msg string) error {
	return &fault.Error{Kind: fault.Invalid, Field: field, Msg: msg}
}
