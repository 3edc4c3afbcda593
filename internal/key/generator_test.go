package key

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/pki"
)

var p256 = pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256}

// A cloned machine or a shared stream would give one key to two owners.
func TestWorkersMakeDistinctKeys(t *testing.T) {
	g := NewGenerator(4, slog.New(slog.DiscardHandler))
	defer g.Close()
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			k, err := g.Generate(t.Context(), p256)
			if err != nil {
				t.Error(err)
				return
			}
			spki, err := pki.MarshalPublic(k.Public())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(spki)] = true
		})
	}
	wg.Wait()
	if len(seen) != 100 {
		t.Errorf("%d different keys of 100", len(seen))
	}
}

func TestGeneratorMakesEveryKind(t *testing.T) {
	g := NewGenerator(0, slog.New(slog.DiscardHandler))
	defer g.Close()
	for _, want := range []pki.KeySpec{
		{Algorithm: pki.RSA, Size: 2048}, p256, {Algorithm: pki.EC, Size: 384, Curve: pki.P384},
		{Algorithm: pki.EC, Size: 521, Curve: pki.P521}, {Algorithm: pki.EC, Size: 256, Curve: pki.P256K},
	} {
		k, err := g.Generate(t.Context(), want)
		if err != nil {
			t.Errorf("%+v: %v", want, err)
		} else if got, err := pki.SpecOf(k.Public()); err != nil || got != want {
			t.Errorf("%+v: got %+v, %v", want, got, err)
		}
	}
	// An odd request is an error; the worker goes on.
	if _, err := g.Generate(t.Context(), pki.KeySpec{Algorithm: "oct", Size: 7}); err == nil {
		t.Error("a key of an unknown kind")
	}
	if _, err := g.Generate(t.Context(), p256); err != nil {
		t.Error(err)
	}
}

// busyGenerator has one worker, who does not come to a key until it is let go.
func busyGenerator(t *testing.T) (_ *Generator, letGo func()) {
	g := NewGenerator(1, slog.New(slog.DiscardHandler))
	held := make(chan struct{})
	letGo = sync.OnceFunc(func() { close(held) })
	go func() {
		if err := g.workers.Run(context.Background(), "", func() { <-held }); err != nil {
			t.Error(err)
		}
	}()
	synctest.Wait()
	return g, letGo
}

func TestFullQueueIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, letGo := busyGenerator(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range maxQueue {
			wg.Go(func() {
				if _, err := g.Generate(ctx, p256); !errors.Is(err, context.Canceled) {
					t.Errorf("waiting: %v", err)
				}
			})
		}
		synctest.Wait()
		_, err := g.Generate(t.Context(), p256)
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Busy || e.RetryAfter <= 0 {
			t.Errorf("got %v, want Busy with a time to come back", err)
		}
		cancel() // whoever waits may leave
		wg.Wait()
		letGo()
		if _, err := g.Generate(t.Context(), p256); err != nil {
			t.Errorf("after all have left: %v", err)
		}
		g.Close()
	})
}

func TestClosedGeneratorAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, letGo := busyGenerator(t)
		waiting := make(chan error, 1)
		go func() {
			_, err := g.Generate(t.Context(), p256)
			waiting <- err
		}()
		synctest.Wait()
		go g.Close()
		if err := <-waiting; !errors.Is(err, compute.ErrClosed) {
			t.Errorf("who waited is told %v", err)
		}
		letGo()
		g.Close()
		if _, err := g.Generate(t.Context(), p256); !errors.Is(err, compute.ErrClosed) {
			t.Errorf("who comes later is told %v", err)
		}
	})
}

// Close returns when all workers have ended: synctest fails if one is left.
func TestCloseWaitsForTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGenerator(3, slog.New(slog.DiscardHandler))
		g.Close()
	})
}

func TestWorkersLeaveACore(t *testing.T) {
	if n := DefaultWorkers(); n < 1 {
		t.Errorf("%d workers", n)
	}
}
