package seal_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"

	"coffer/internal/seal"
	"coffer/internal/store"
)

// lendingKeeper remembers the data keys that it gave out.
type lendingKeeper struct {
	*seal.RootFile
	mu    sync.Mutex
	given [][]byte // guarded by mu
}

func (k *lendingKeeper) Unwrap(ctx context.Context, d seal.DataKey) (seal.Value, error) {
	v, err := k.RootFile.Unwrap(ctx, d)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.given = append(k.given, v.Reveal())
	}
	return v, err
}

// TestUnwrappedKeysAreCleared: whatever a data key is unwrapped for, no copy of its bytes is left behind.
func TestUnwrappedKeysAreCleared(t *testing.T) {
	s := newSafe(t)
	ctx := t.Context()
	p := seal.Place{Kind: "secret", Vault: s.vaults[0], Name: "n", Version: "v", Column: "value"}
	first := s.sealer()
	box, err := first.Seal(ctx, p, seal.NewValue([]byte("x")))
	s.must(err)
	keeper := &lendingKeeper{RootFile: s.root}
	sealer := seal.NewSealer(keeper, store.For[seal.Tx]{DB: s.db}, now)
	for what, do := range map[string]func() error{
		"open": func() error { _, err := sealer.Open(ctx, p, box); return err },
		"seal": func() error {
			p.Vault = s.vaults[1]
			_, err := sealer.Seal(ctx, p, seal.NewValue([]byte("y")))
			return err
		},
		"check":   func() error { return sealer.Check(ctx, "it", slog.New(slog.DiscardHandler)) },
		"verify":  func() error { return sealer.Verify(ctx) },
		"at hand": func() error { return sealer.AtHand(ctx) },
		"rewrap":  func() error { _, err := sealer.Rewrap(ctx); return err },
	} {
		keeper.given = nil
		where := p
		s.must(do())
		p = where
		if len(keeper.given) == 0 && what != "seal" {
			t.Errorf("%s: no key was asked for", what)
		}
		for _, raw := range keeper.given {
			if !bytes.Equal(raw, make([]byte, 32)) {
				t.Errorf("%s leaves a data key behind", what)
			}
		}
	}
	if got, err := sealer.Open(ctx, p, box); err != nil || string(got.Reveal()) != "x" {
		t.Errorf("afterwards: %v", err)
	}
}
