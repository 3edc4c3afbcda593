package jobs_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

// table is a small store of jobs, so that tests can run in fake time.
type table struct {
	mu      sync.Mutex
	jobs    []jobs.Job           // guarded by mu
	leases  map[string]time.Time // guarded by mu
	broken  error                // guarded by mu; what writes fail with
	updates int                  // guarded by mu
	skew    time.Duration        // of the clock that all share
}

func newTable(list ...jobs.Job) *table { return &table{jobs: list, leases: map[string]time.Time{}} }

func (d *table) View(ctx context.Context, fn func(jobs.WorkTx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fn((*tableTx)(d))
}

func (d *table) Update(ctx context.Context, fn func(jobs.WorkTx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.updates++
	if d.broken != nil {
		return d.broken
	}
	return fn((*tableTx)(d))
}

func (d *table) done(ctx context.Context, j jobs.Job) error {
	return d.Update(ctx, func(tx jobs.WorkTx) error { return tx.(*tableTx).CompleteJob(ctx, j) })
}

func (d *table) left() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.jobs)
}

type tableTx table

func (d *tableTx) free(j jobs.Job, now time.Time) bool {
	until, leased := d.leases[j.ID]
	return !leased || !until.After(now)
}

func (d *tableTx) EnqueueJob(_ context.Context, j jobs.Job) error {
	d.jobs = append(d.jobs, j)
	return nil
}

func (d *tableTx) JobClock(context.Context) (time.Time, error) {
	if d.skew == 0 {
		return time.Time{}, nil
	}
	return time.Now().Add(d.skew), nil
}

func (d *tableTx) ClaimJobs(_ context.Context, kinds []jobs.Kind, due, now, until time.Time, limit int) (took []jobs.Job, err error) {
	slices.SortStableFunc(d.jobs, func(a, b jobs.Job) int { return a.Due.Compare(b.Due) })
	for i := range d.jobs {
		j := &d.jobs[i]
		if len(took) < limit && slices.Contains(kinds, j.Kind) && !j.Due.After(due) && j.GaveUp.IsZero() && d.free(*j, now) {
			if _, leased := d.leases[j.ID]; leased {
				j.Failures++
			}
			j.Attempt++
			d.leases[j.ID] = until
			took = append(took, *j)
		}
	}
	return took, nil
}

func (d *tableTx) at(j jobs.Job) (int, error) {
	i := slices.IndexFunc(d.jobs, func(k jobs.Job) bool { return k.ID == j.ID && k.Attempt == j.Attempt })
	if i < 0 {
		return 0, object.ErrChanged
	}
	return i, nil
}

func (d *tableTx) CompleteJob(_ context.Context, j jobs.Job) error {
	i, err := d.at(j)
	if err == nil {
		d.jobs = slices.Delete(d.jobs, i, i+1)
	}
	return err
}

func (d *tableTx) PostponeJob(_ context.Context, j jobs.Job, due time.Time) error {
	i, err := d.at(j)
	if err == nil {
		d.jobs[i].Due = due
		delete(d.leases, j.ID)
	}
	return err
}

func (d *tableTx) FailJob(ctx context.Context, j jobs.Job, due time.Time, why string) error {
	err := d.PostponeJob(ctx, j, due)
	if err == nil {
		i, _ := d.at(j)
		d.jobs[i].Failures, d.jobs[i].LastError = d.jobs[i].Failures+1, why
	}
	return err
}

func (d *tableTx) GiveUpJob(ctx context.Context, j jobs.Job, at time.Time, why string) error {
	err := d.FailJob(ctx, j, j.Due, why)
	if err == nil {
		i, _ := d.at(j)
		d.jobs[i].GaveUp = at
	}
	return err
}

func (d *tableTx) RenewJob(_ context.Context, j jobs.Job, until time.Time) error {
	_, err := d.at(j)
	if err == nil {
		d.leases[j.ID] = until
	}
	return err
}

func (d *tableTx) NextJobs(_ context.Context, kinds []jobs.Kind) (due, leaseEnds time.Time, err error) {
	first := func(t *time.Time, c time.Time) {
		if t.IsZero() || c.Before(*t) {
			*t = c
		}
	}
	for _, j := range d.jobs {
		if !slices.Contains(kinds, j.Kind) || !j.GaveUp.IsZero() {
			continue
		}
		if until, leased := d.leases[j.ID]; leased {
			first(&leaseEnds, until)
		} else {
			first(&due, j.Due)
		}
	}
	return due, leaseEnds, nil
}

// run runs a runner until the test's own function returns.
func run(t *testing.T, cfg jobs.Config, during func(r *jobs.Runner)) {
	t.Helper()
	cfg.Now, cfg.Logger = time.Now, cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	r, err := jobs.NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	during(r)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func job(id string, due time.Time) jobs.Job { return jobs.Job{ID: id, Kind: "k", Due: due} }

func kinds(h jobs.Handler) map[jobs.Kind]jobs.Spec { return map[jobs.Kind]jobs.Spec{"k": {Run: h}} }

func TestJobsRunWhenDueOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("late", start.Add(time.Hour)), job("b", start.Add(-time.Minute)), job("a", start.Add(-time.Hour)), job("soon", start.Add(20*time.Second)))
		d.jobs = append(d.jobs, jobs.Job{ID: "other", Kind: "other", Due: start})
		var got []string
		run(t, jobs.Config{DB: d, Workers: 1, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			got = append(got, fmt.Sprintf("%s %v", j.ID, time.Since(start)))
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { time.Sleep(2 * time.Hour) })
		want := []string{"a 0s", "b 0s", "soon 20s", "late 1h0m0s"}
		if !slices.Equal(got, want) || d.left() != 1 {
			t.Errorf("got %v, want %v; %d left", got, want, d.left())
		}
	})
}

func TestRetryDelaysGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var at []time.Duration
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			at = append(at, time.Since(start))
			if j.Attempt != len(at) {
				t.Errorf("attempt %d is told as %d", len(at), j.Attempt)
			}
			if len(at) == 9 {
				return d.done(ctx, j)
			}
			return errors.New("no luck")
		})}, func(*jobs.Runner) { time.Sleep(24 * time.Hour) })
		want := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, time.Hour, time.Hour}
		if len(at) != 9 || d.left() != 0 {
			t.Fatalf("%d attempts", len(at))
		}
		for i, w := range want {
			if wait := at[i+1] - at[i]; wait < w || wait > w+w/4+time.Millisecond {
				t.Errorf("wait %d: %v, want %v and at most a quarter more", i, wait, w)
			}
		}
	})
}

func TestPanicIsAnErrorOfItsJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTable(job("bad", time.Now()), job("good", time.Now()))
		var log strings.Builder
		ran := 0
		run(t, jobs.Config{DB: d, Workers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil)), Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			if ran++; j.ID == "bad" && j.Attempt == 1 {
				panic("at the worst moment")
			}
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { time.Sleep(time.Minute) })
		if ran != 3 || d.left() != 0 || !strings.Contains(log.String(), "at the worst moment") {
			t.Errorf("%d runs, %d left, log %s", ran, d.left(), &log)
		}
	})
}

// A handler that runs out of time is stopped before its lease ends, and tried
// again like any other failure.
func TestHandlerOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var at []time.Duration
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			at = append(at, time.Since(start))
			if j.Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { time.Sleep(10 * time.Minute) })
		if len(at) != 2 || at[1] < 91*time.Second || at[1] > 92*time.Second || d.left() != 0 {
			t.Errorf("ran at %v, %d left", at, d.left())
		}
	})
}

// A job whose worker is gone is taken over when its lease has ended; what the old
// worker writes then fails.
func TestLeaseTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable(job("a", start))
		var stale jobs.Job // claimed by a process that was killed
		err := d.Update(t.Context(), func(tx jobs.WorkTx) error {
			took, err := tx.ClaimJobs(t.Context(), []jobs.Kind{"k"}, start, start, start.Add(2*time.Minute), 1)
			stale = took[0]
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var at time.Duration
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			at = time.Since(start)
			if err := d.done(ctx, stale); !errors.Is(err, object.ErrChanged) {
				t.Errorf("the stale worker completes: %v", err)
			}
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { time.Sleep(time.Hour) })
		if at != 2*time.Minute || d.left() != 0 {
			t.Errorf("taken over after %v, %d left", at, d.left())
		}
	})
}

// A handler that forgets to remove its job sees it again when the lease ends; one
// that was overtaken is not tried again.
func TestJobThatStays(t *testing.T) {
	for result, want := range map[error]time.Duration{nil: 9 * time.Second, fmt.Errorf("wrapped: %w", object.ErrChanged): 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			d := newTable(job("a", start))
			var again time.Duration
			run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
				if j.Attempt == 1 {
					return result
				}
				again = time.Since(start)
				return d.done(ctx, j)
			})}, func(*jobs.Runner) { time.Sleep(time.Hour) })
			if again != want {
				t.Errorf("%v: again after %v", result, again)
			}
		})
	}
}

func TestStopFinishesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTable(job("a", time.Now()), job("b", time.Now().Add(time.Second)))
		finished := false
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			if j.ID != "a" {
				t.Error("a job is begun after the stop")
			}
			time.Sleep(time.Minute)
			finished = ctx.Err() == nil
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { synctest.Wait(); time.Sleep(time.Millisecond) })
		if !finished || d.left() != 1 {
			t.Errorf("finished %v, %d left", finished, d.left())
		}
	})
}

func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable()
		var at []time.Duration
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			at = append(at, time.Since(start))
			return d.done(ctx, j)
		})}, func(r *jobs.Runner) {
			for i, wake := range []bool{true, false} {
				time.Sleep(time.Second)
				if err := d.Update(t.Context(), func(tx jobs.WorkTx) error {
					return tx.(*tableTx).EnqueueJob(t.Context(), job(fmt.Sprint(i), time.Now()))
				}); err != nil {
					t.Error(err)
				}
				if wake {
					for range 100 {
						r.Wake() // never blocks
					}
				}
				synctest.Wait()
			}
			time.Sleep(time.Minute)
		})
		// Without a wake, as by another replica, it is found before long.
		if len(at) != 2 || at[0] != time.Second || at[1] <= 2*time.Second || at[1] > 5*time.Second {
			t.Errorf("ran at %v", at)
		}
	})
}

// No more jobs at one time than there are workers, and a worker that ends takes
// the next job at once.
func TestWorkersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newTable()
		for i := range 10 {
			d.jobs = append(d.jobs, job(fmt.Sprint(i), start))
		}
		var mu sync.Mutex
		running, most := 0, 0
		var last time.Duration
		run(t, jobs.Config{DB: d, Workers: 3, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			running--
			last = time.Since(start)
			return d.done(ctx, j)
		})}, func(*jobs.Runner) { time.Sleep(time.Minute) })
		if most != 3 || last > 5*time.Second || d.left() != 0 {
			t.Errorf("%d at one time, the last after %v, %d left", most, last, d.left())
		}
	})
}

// A database that can be read and not written does not make the runner spin.
func TestBrokenDatabaseIsNotAskedWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTable(job("a", time.Now()))
		d.broken = errors.New("disk full")
		ran := false
		run(t, jobs.Config{DB: d, Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
			ran = true
			return d.done(ctx, j)
		})}, func(*jobs.Runner) {
			time.Sleep(time.Minute)
			d.mu.Lock()
			updates := d.updates
			d.broken = nil
			d.mu.Unlock()
			if updates > 61 || updates < 4 {
				t.Errorf("asked %d times in a minute", updates)
			}
			time.Sleep(time.Minute)
		})
		if !ran {
			t.Error("the job was not done when the database was back")
		}
	})
}

// An idle runner reads now and then, and writes nothing.
func TestIdleRunnerWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTable(job("later", time.Now().Add(24*time.Hour)))
		run(t, jobs.Config{DB: d, Kinds: kinds(func(context.Context, jobs.Job) error { return nil })}, func(*jobs.Runner) { time.Sleep(time.Hour) })
		if d.updates != 0 {
			t.Errorf("%d updates", d.updates)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := jobs.Config{DB: newTable(), Kinds: kinds(func(context.Context, jobs.Job) error { return nil }), Now: time.Now, Logger: slog.Default()}
	for claim, change := range map[string]func(*jobs.Config){
		"no DB": func(c *jobs.Config) { c.DB = nil }, "no kinds": func(c *jobs.Config) { c.Kinds = nil }, "no handler": func(c *jobs.Config) { c.Kinds = kinds(nil) },
		"no clock": func(c *jobs.Config) { c.Now = nil }, "no log": func(c *jobs.Config) { c.Logger = nil },
	} {
		bad := good
		change(&bad)
		if _, err := jobs.NewRunner(bad); err == nil {
			t.Error(claim)
		}
	}
}

// Two runners over the real store: each job is done once.
func TestRunnersShareTheRealStore(t *testing.T) {
	db := storetest.Open(t, storetest.SQLite(t))
	v := object.NewVaultID()
	const n = 40
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		err := tx.InsertVault(t.Context(), &vault.Vault{ID: v, Name: "one", Revision: 1})
		for i := range n {
			j := jobs.Job{ID: object.NewRequestID(), Kind: "k", Vault: v, Name: "x", Ref: fmt.Sprint(i), Due: time.Now()}
			err = errors.Join(err, tx.EnqueueJob(t.Context(), j))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	over := store.For[jobs.OnceTx]{DB: db}
	var mu sync.Mutex
	done := map[string]int{}
	all := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		r, err := jobs.NewRunner(jobs.Config{DB: store.For[jobs.WorkTx]{DB: db}, Workers: 4, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			Kinds: kinds(func(ctx context.Context, j jobs.Job) error {
				if err := over.Update(ctx, func(tx jobs.OnceTx) error { return tx.CompleteJob(ctx, j) }); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				if done[j.Ref]++; len(done) == n {
					close(all)
				}
				return nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	<-all
	stop()
	wg.Wait()
	for ref, times := range done {
		if times != 1 {
			t.Errorf("job %s was done %d times", ref, times)
		}
	}
}
