package store_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// stalledServer is a database whose server can be stopped: every connection's process is.
type stalledServer struct {
	db   *store.DB
	when func(point string, when store.When) bool // nil: never
	pids []int
}

func openStalled(t *testing.T) *stalledServer {
	s := &stalledServer{}
	cfg := storetest.Postgres(t)
	cfg.Faults = func(point string, when store.When) error {
		if s.when != nil && s.when(point, when) {
			s.stop(t)
		}
		return nil
	}
	s.db = storetest.Open(t, cfg)
	// One connection is enough: its process is found by what it says of itself.
	if err := s.db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.pids = storetest.Backends(t, cfg)
	t.Cleanup(func() { s.goOn() })
	return s
}

func (s *stalledServer) stop(t *testing.T) {
	for _, pid := range s.pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
	}
}

func (s *stalledServer) goOn() {
	for _, pid := range s.pids {
		_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
	}
}

// insert stores a vault of that name.
func (s *stalledServer) insert(ctx context.Context, name string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		return tx.InsertVault(ctx, &vault.Vault{ID: object.VaultID(name), Name: name})
	})
}

// A server that is stalled says nothing at all, for as long as it likes. Who asks it is
// told within his time, or within the store's patience; and where the commit was on its
// way, that nobody knows. Then the server goes on, and so does everything.
func TestStalledServerIsNotWaitedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("PostgreSQL is left out of short runs")
	}
	soon := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	within := func(t *testing.T, what func() error) error {
		t.Helper()
		begin := time.Now()
		err := what()
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		return err
	}
	for name, patience := range map[string]time.Duration{"the caller's time": time.Minute, "the store's": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if patience == time.Minute {
				ctx = soon(t)
			}
			s := openStalled(t)
			store.SetPatience(s.db, patience)
			s.stop(t)
			if err := within(t, func() error { return s.db.Ping(ctx) }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a read: %v", err)
			}
			s.goOn()
			if err := s.db.Ping(t.Context()); err != nil {
				t.Errorf("a read after it: %v", err)
			}
		})
	}
	for point, unknown := range map[string]bool{"InsertVault": false, store.Commit: true} {
		t.Run(point, func(t *testing.T) {
			s := openStalled(t)
			store.SetPatience(s.db, 300*time.Millisecond)
			s.when = func(at string, when store.When) bool { return at == point && when == store.Before }
			err := within(t, func() error { return s.insert(t.Context(), "one") })
			if unknown != errors.Is(err, object.ErrOutcomeUnknown) || !unknown && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			s.when = nil
			s.goOn()
			if err := s.insert(t.Context(), "two"); err != nil {
				t.Errorf("an update after it: %v", err)
			}
		})
	}
}
