package secret

import (
	"context"
	"errors"
	"time"

	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
)

// Sealer seals and opens values.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext seal.Value) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Config is what a Service is made of. Fields without a comment on nil are
// required.
type Config struct {
	DB     object.DB[Tx]
	Sealer Sealer
	Now    func() time.Time

	// Workers run what takes much of a processor. nil: it runs in place.
	Workers *compute.Pool

	// Fresh says how long what was read may serve the next read. Zero: not at all.
	Fresh fresh.Source

	// Outbox is told of new versions. nil: nobody is.
	Outbox *outbox.Outbox

	// ToPEM turns a stored PFX (standard base64) into PEM. It is given by the
	// wiring, because the codec of certificates is not this package's business.
	ToPEM func(pfx seal.Value) (seal.Value, error)
}

// Service holds the rules of secrets. Every exported method that serves a caller
// takes the grant of its own action, which only the gate can make.
type Service struct {
	cfg    Config
	names  lifecycle.Names[Tx, *Bundle]
	recent *fresh.Cache[object.VersionKey, *Bundle] // values are sealed in there
}

// maxRecent bounds what is kept in memory of what was read last, in bytes. A PFX with
// a chain of RSA certificates has about 6 KB.
const maxRecent = 8 << 20

// size is about what a bundle takes in memory, its value sealed.
func size(b *Bundle) int { return 1<<10 + len(b.Version.Value) }

// NewService checks the configuration; it starts nothing.
func NewService(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.Sealer == nil || cfg.Now == nil || cfg.ToPEM == nil {
		return nil, errors.New("secret: DB, Sealer, Now and ToPEM are required")
	}
	names := lifecycle.Names[Tx, *Bundle]{DB: cfg.DB, Rows: rows, Now: cfg.Now, Wake: func() {}}
	return &Service{cfg, names, fresh.NewCache[object.VersionKey](cfg.Fresh, fresh.Objects, maxRecent, size)}, nil
}

// now is the one reading of the clock in an operation, as it is stored and shown.
func (s *Service) now() time.Time { return object.Second(s.cfg.Now()) }

// version reads one version of a head; "" means the current one.
func version(ctx context.Context, tx VersionTx, h object.Head, ver object.Version) (*Version, error) {
	want := ver
	if want == "" {
		want = h.Current
	}
	v, err := tx.SecretVersion(ctx, h.Vault, h.Name, want)
	if errors.Is(err, object.ErrNotFound) {
		return nil, lifecycle.NotFound(fault.Secret, h.Name, ver)
	}
	return v, err
}
