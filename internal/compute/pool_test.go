package compute_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"coffer/internal/compute"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// held is a pool of one worker, who is busy until it is let go.
func held(t *testing.T) (p *compute.Pool, letGo func()) {
	t.Helper()
	p = compute.NewPool(1, quiet())
	wait := make(chan struct{})
	go func() {
		if err := p.Run(context.Background(), "first", func() { <-wait }); err != nil {
			t.Error(err)
		}
	}()
	synctest.Wait()
	return p, sync.OnceFunc(func() { close(wait) })
}

// TestHoldersTakeTurns: who brings one piece of work waits for one of him who brings
// many, and not for all of them.
func TestHoldersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, letGo := held(t)
		var order []string // by the one worker
		var wg sync.WaitGroup
		for _, holder := range []string{"ann", "ann", "ann", "ben", "carl", "ben"} {
			wg.Go(func() {
				if err := p.Run(t.Context(), holder, func() { order = append(order, holder) }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		letGo()
		wg.Wait()
		if want := []string{"ann", "ben", "carl", "ann", "ben", "ann"}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
		p.Close()
	})
}

func TestWhoLeavesIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, letGo := held(t)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- p.Run(ctx, "ann", func() { t.Error("nobody waits for this") }) }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		letGo()
		if n, err := compute.Do(t.Context(), p, "ann", func() (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Error(n, err)
		}
		p.Close()
	})
}

func TestClosedPoolAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, letGo := held(t)
		waiting := make(chan error, 1)
		go func() { waiting <- p.Run(t.Context(), "ann", func() { t.Error("done after the end") }) }()
		synctest.Wait()
		go p.Close()
		if err := <-waiting; !errors.Is(err, compute.ErrClosed) {
			t.Errorf("who waited is told %v", err)
		}
		letGo()
		p.Close()
		if err := p.Run(t.Context(), "ann", func() {}); !errors.Is(err, compute.ErrClosed) {
			t.Errorf("who comes later is told %v", err)
		}
	})
}

// TestAPanicIsTheCallers: the worker goes on, and with it the process.
func TestAPanicIsTheCallers(t *testing.T) {
	p := compute.NewPool(1, quiet())
	defer p.Close()
	func() {
		defer func() {
			if v, ok := recover().(string); !ok || !strings.Contains(v, "broken") || !strings.Contains(v, "TestAPanicIsTheCallers") {
				t.Errorf("recovered %q, want what was said and where", v)
			}
		}()
		_ = p.Run(t.Context(), "", func() { panic("broken") })
	}()
	if err := p.Run(t.Context(), "", func() {}); err != nil {
		t.Error(err)
	}
}

// TestWorkRunsAtTheLowestPriority asks the system, and Go for the places it has.
func TestWorkRunsAtTheLowestPriority(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	p := compute.NewPool(3, quiet())
	if n := runtime.GOMAXPROCS(0); n != before+3 {
		t.Errorf("%d goroutines run at a time beside 3 workers, want %d", n, before+3)
	}
	if runtime.GOOS == "linux" {
		stat, err := compute.Do(t.Context(), p, "", func() ([]byte, error) { return os.ReadFile("/proc/thread-self/stat") })
		if err != nil {
			t.Fatal(err)
		}
		// proc(5): the nice value is the 19th field, the 17th after the name.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if nice, err := strconv.Atoi(fields[16]); err != nil || nice != 19 {
			t.Errorf("nice %q, want 19", fields[16])
		}
	}
	p.Close()
	p.Close()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d goroutines run at a time after the end, want %d", n, before)
	}
}
