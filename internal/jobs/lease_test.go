package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// A handler that works long keeps its job: another runner does not take it.
func TestLeaseIsRenewedWhileTheHandlerWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTable(job("a", time.Now()))
		ran := 0
		handler := func(ctx context.Context, j jobs.Job) error {
			ran++
			time.Sleep(80 * time.Second)
			return errors.Join(ctx.Err(), d.done(ctx, j))
		}
		run(t, jobs.Config{DB: d, Kinds: kinds(handler)}, func(*jobs.Runner) {
			run(t, jobs.Config{DB: d, Kinds: kinds(handler)}, func(*jobs.Runner) { time.Sleep(3 * time.Minute) })
		})
		if ran != 1 || d.left() != 0 {
			t.Errorf("ran %d times, %d left", ran, d.left())
		}
	})
}

// A worker that cannot renew its lease is stopped before another may take the job,
// and the other takes it soon.
func TestLostLeaseStopsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var stopped, again time.Duration
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			if j.Attempt == 1 {
				d.mu.Lock()
				d.broken = errors.New("away")
				d.mu.Unlock()
				<-ctx.Done()
				stopped = time.Since(start)
				d.mu.Lock()
				d.broken = nil
				d.mu.Unlock()
				time.Sleep(2 * time.Minute) // it does not listen
				if err := d.done(ctx, j); !errors.Is(err, object.ErrChanged) && ctx.Err() == nil {
					t.Errorf("the stopped handler completes: %v", err)
				}
				return ctx.Err()
			}
			again = time.Since(start)
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { time.Sleep(3 * time.Minute) })
		if stopped == 0 || stopped > 9*time.Second || again < 9*time.Second || again > 13*time.Second || d.left() != 0 {
			t.Errorf("stopped after %v, taken over after %v, %d left", stopped, again, d.left())
		}
	})
}

// Replicas whose clocks differ by minutes do not take one another's jobs.
func TestClocksOfReplicasMayDiffer(t *testing.T) {
	for _, own := range []time.Duration{-2 * time.Minute, 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			d := newTable(job("a", start.Add(-time.Hour)))
			d.skew = own                                                 // of the shared clock against this replica's
			if err := d.Update(t.Context(), func(tx jobs.WorkTx) error { // another replica works on it
				now, err := tx.JobClock(t.Context())
				_, claimed := tx.ClaimJobs(t.Context(), []jobs.Kind{"k"}, start, now, now.Add(9*time.Second), 1)
				return errors.Join(err, claimed)
			}); err != nil {
				t.Fatal(err)
			}
			var at time.Duration
			run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
				at = time.Since(start)
				return d.done(ctx, j)
			})}, func(*jobs.Runner) { time.Sleep(time.Minute) })
			if at < 9*time.Second || at > 12*time.Second || d.updates > 20 {
				t.Errorf("with clocks %v apart it was taken over after %v, with %d updates", own, at, d.updates)
			}
		})
	}
}

// Later is no failure: nothing is counted, and the time is kept.
func TestLaterIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var at []time.Duration
		run(t, jobs.Config{DB: d, Kinds: map[jobs.Kind]jobs.Spec{"k": {Limit: 2, Run: func(ctx context.Context, j jobs.Job) error {
			at = append(at, time.Since(start))
			switch len(at) {
			case 2:
				return errors.New("no luck")
			case 7:
				if j.Failures != 1 || j.LastError != "no luck" {
					t.Errorf("what is counted is %d, %q", j.Failures, j.LastError)
				}
				return d.done(ctx, j)
			}
			return jobs.Later(time.Now().Add(10 * time.Minute))
		}}}}, func(*jobs.Runner) { time.Sleep(24 * time.Hour) })
		if len(at) != 7 || at[1] != 10*time.Minute || d.left() != 0 {
			t.Errorf("ran at %v, %d left", at, d.left())
		}
	})
}

// What is given up, at its limit or at once, stays as a row and is logged once.
func TestGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		runs int
		lost int
	}{
		"at its limit":        {errors.New("no\x00luck " + strings.Repeat("é", jobs.MaxError)), 3, 0},
		"at once":             {jobs.Permanent(errors.New("it can never be done")), 1, 0},
		"by its lost workers": {nil, 3, 3}, // each return without a result ends with the lease
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newTable(job("a", time.Now()))
			var log strings.Builder
			runs := 0
			spec := jobs.Spec{Limit: 3, Retry: []time.Duration{time.Second, time.Minute}, Run: func(context.Context, jobs.Job) error { runs++; return c.err }}
			run(t, jobs.Config{DB: d, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})), Kinds: map[jobs.Kind]jobs.Spec{"k": spec}},
				func(*jobs.Runner) { time.Sleep(time.Hour) })
			j := d.jobs[0]
			if runs != c.runs || j.GaveUp.IsZero() || j.Failures != c.runs+min(c.lost, 1) || len(j.LastError) > jobs.MaxError || strings.ContainsRune(j.LastError, 0) || j.LastError == "" {
				t.Errorf("%s: %d runs, %+v", name, runs, j)
			}
			if n := strings.Count(log.String(), "given up"); n != 1 {
				t.Errorf("%s: logged %d times: %s", name, n, &log)
			}
		})
	}
}

// The waits and the time of an attempt are the kind's own.
func TestKindsHaveTheirOwnTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var at []time.Duration
		run(t, jobs.Config{DB: d, Kinds: map[jobs.Kind]jobs.Spec{"k": {Timeout: time.Hour, Retry: []time.Duration{4 * time.Hour}, Run: func(ctx context.Context, j jobs.Job) error {
			if at = append(at, time.Since(start)); len(at) == 3 {
				return d.done(ctx, j)
			}
			<-ctx.Done()
			return ctx.Err()
		}}}}, func(*jobs.Runner) { time.Sleep(24 * time.Hour) })
		if len(at) != 3 || at[1] < 5*time.Hour || at[1] > 6*time.Hour+time.Minute || at[2]-at[1] < 5*time.Hour {
			t.Errorf("ran at %v", at)
		}
	})
}

func TestEveryRunsAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var at []time.Duration
		run(t, jobs.Config{DB: d, Kinds: kinds(jobs.Every(time.Minute, time.Now, func(context.Context) error {
			if at = append(at, time.Since(start)); len(at) == 2 {
				return errors.New("no luck")
			}
			return nil
		}))}, func(*jobs.Runner) { time.Sleep(3 * time.Minute) })
		if len(at) != 4 || at[1] != time.Minute || at[2] < 61*time.Second || at[2] > 62*time.Second || d.left() != 1 {
			t.Errorf("ran at %v, %d left", at, d.left())
		}
	})
}

// TestOnce over the real store: while one works another is told so; a crash in the
// middle holds it back only until the lease ends.
func TestOnce(t *testing.T) {
	db := storetest.Open(t, storetest.SQLite(t))
	now := time.Now()
	once := jobs.Once{DB: store.For[jobs.OnceTx]{DB: db}, Kind: "rotate", Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	nothing := func(context.Context) error { return nil }
	ran := errors.New("it ran")
	err := once.Do(t.Context(), func(ctx context.Context) error {
		if err := once.Do(ctx, nothing); !errors.Is(err, jobs.ErrUnderWay) {
			t.Errorf("the second one: %v", err)
		}
		return ran
	})
	if !errors.Is(err, ran) {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if err := once.Do(t.Context(), nothing); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
	// A process that is killed leaves the row with its lease.
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		err := tx.EnqueueJob(t.Context(), jobs.Job{ID: "rotate", Kind: "rotate", Due: now})
		_, claimed := tx.ClaimJobs(t.Context(), []jobs.Kind{"rotate"}, now, now, now.Add(9*time.Second), 1)
		return errors.Join(err, claimed)
	})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(8 * time.Second)
	if err := once.Do(t.Context(), nothing); !errors.Is(err, jobs.ErrUnderWay) {
		t.Errorf("before the lease ends: %v", err)
	}
	now = now.Add(time.Second)
	if err := once.Do(t.Context(), nothing); err != nil {
		t.Errorf("after the lease: %v", err)
	}
}

// Ensure keeps one row, and makes it due.
func TestEnsure(t *testing.T) {
	db := storetest.Open(t, storetest.SQLite(t))
	now := time.Now().UTC().Truncate(time.Millisecond)
	for _, at := range []time.Time{now.Add(time.Hour), now.Add(2 * time.Hour), now} {
		if err := jobs.Ensure(t.Context(), store.For[jobs.Tx]{DB: db}, "purge", at); err != nil {
			t.Fatal(err)
		}
	}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Jobs(t.Context())
		if len(all) != 1 || !all[0].Due.Equal(now) {
			t.Errorf("the jobs are %+v", all)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
