package servercert

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"
)

// Source gives the certificate that is right now.
type Source interface {
	Load() (*tls.Certificate, error)
}

// Files is a Source over two PEM files that someone else renews.
type Files struct{ Certificate, Key string }

// Load reads the files.
func (f Files) Load() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// checkPeriod is how often the certificate is looked at again.
const checkPeriod = time.Minute

// Keeper holds the current certificate for the listener and keeps it current.
type Keeper struct {
	source Source
	log    *slog.Logger
	cert   atomic.Pointer[tls.Certificate]
}

// NewKeeper loads the certificate; Run keeps it current.
func NewKeeper(s Source, log *slog.Logger) (*Keeper, error) {
	c, err := s.Load()
	if err != nil {
		return nil, err
	}
	k := &Keeper{source: s, log: log}
	k.cert.Store(c)
	return k, nil
}

// Get is the callback of tls.Config.
func (k *Keeper) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.cert.Load(), nil }

// Run looks again every minute until ctx ends. A certificate that cannot be
// loaded leaves the old one in use. Times of files are not looked at: a renewal
// may move in a key that is older than its certificate, and between the two
// moves the pair does not load.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(checkPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k.Look(ctx)
	}
}

// Look looks again now.
func (k *Keeper) Look(ctx context.Context) {
	c, err := k.source.Load()
	if err != nil {
		k.log.ErrorContext(ctx, "the listener's certificate cannot be loaded; the old one stays", "error", err)
		return
	}
	if old := k.cert.Swap(c); !old.Leaf.Equal(c.Leaf) {
		k.log.InfoContext(ctx, "the listener has a new certificate", "not_after", c.Leaf.NotAfter)
	}
}
