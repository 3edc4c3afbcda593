package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Sealer seals and opens values.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext []byte) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Config is what a Service is made of. Fields without a comment on nil are
// required.
type Config struct {
	DB     object.DB[Tx]
	Sealer Sealer
	Now    func() time.Time

	// Generation counts the commits of the database, and grows before a commit is
	// answered; ok is false when other processes commit too. nil: nothing that was
	// read is kept for the next read.
	Generation func() (n uint64, ok bool)

	// ToPEM turns a stored PFX (standard base64) into PEM. It is given by the
	// wiring, because the codec of certificates is not this package's business.
	ToPEM func(pfx seal.Value) (seal.Value, error)
}

// Service holds the rules of secrets. Every exported method that serves a caller
// takes the grant of its own action, which only the gate can make.
type Service struct {
	cfg    Config
	recent *object.Recent[Bundle] // values are sealed in there
}

// What is kept in memory of what was read last: so many versions with boxes of so
// many bytes, 8 MB together. A PFX with a chain of RSA certificates has about 6 KB.
const (
	maxRecent = 512
	maxKept   = 16 << 10
)

// NewService checks the configuration; it starts nothing.
func NewService(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.Sealer == nil || cfg.Now == nil || cfg.ToPEM == nil {
		return nil, errors.New("secret: DB, Sealer, Now and ToPEM are required")
	}
	keep := func(b *Bundle) bool { return len(b.Version.Value) <= maxKept }
	return &Service{cfg, object.NewRecent(cfg.Generation, maxRecent, keep)}, nil
}

// now is the one reading of the clock in an operation, as it is stored and shown.
func (s *Service) now() time.Time { return object.Second(s.cfg.Now()) }

// NotFound is the recorded answer for a secret or version that is not there.
func NotFound(n object.Name, ver object.Version) error {
	id := n.String()
	if ver != "" {
		id += "/" + string(ver)
	}
	return &fault.Error{Kind: fault.NotFound, Subject: fault.Secret, Msg: "A secret with (name/id) " + id +
		" was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command." +
		" For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}
}

func deletedNotFound(n object.Name) error {
	return &fault.Error{Kind: fault.NotFound, Subject: fault.Secret, Msg: "Deleted Secret not found: " + n.String()}
}

func isDeleted(n object.Name) error {
	return &fault.Error{Kind: fault.Conflict, Reason: fault.ObjectIsDeletedButRecoverable, Subject: fault.Secret,
		Msg: "Secret " + n.String() + " is currently in a deleted but recoverable state, and its name cannot be reused;" +
			" in this state, the secret can only be recovered or purged."}
}

// writable refuses what the secret of a certificate may not: it is changed
// through its certificate only (contract certificates.md, 7.2). op is the word
// of the message, such as "set".
func writable(h object.Head, op string) error {
	if !h.Managed {
		return nil
	}
	return &fault.Error{Kind: fault.Forbidden, Reason: fault.SecretManagedByKeyVault,
		Msg: fmt.Sprintf("Operation %q is not allowed as this object's lifetime is managed by Key Vault.", op)}
}

// live is the head of a name that exists and is not deleted, or NotFound.
func live(ctx context.Context, tx Tx, v object.VaultID, n object.Name, ver object.Version) (object.Head, error) {
	h, err := tx.SecretHead(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) || err == nil && h.Deletion != nil {
		return h, NotFound(n, ver)
	}
	return h, err
}

// version reads one version of a head; "" means the current one.
func version(ctx context.Context, tx Tx, h object.Head, ver object.Version) (*Version, error) {
	want := ver
	if want == "" {
		want = h.Current
	}
	v, err := tx.SecretVersion(ctx, h.Vault, h.Name, want)
	if errors.Is(err, object.ErrNotFound) {
		return nil, NotFound(h.Name, ver)
	}
	return v, err
}
