package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"coffer/internal/object"
)

// Handler does one job. It must remove the job in the transaction that does the
// work; returning nil without that runs the job again when its lease ends, as a
// failure. Later and Permanent are results of their own, object.ErrChanged means
// that somebody else did it; any other error means: try again. Errors are kept with
// the job and logged, so that they hold no secrets.
type Handler func(ctx context.Context, j Job) error

// Spec is how jobs of one kind are done.
type Spec struct {
	Run Handler
	// Retry are the waits before the attempts after a failure; the last one
	// repeats. nil: DefaultRetry.
	Retry []time.Duration
	// Limit is the number of failures after which a job is given up. Zero: never.
	Limit int
	// Timeout bounds one attempt. Zero: DefaultTimeout.
	Timeout time.Duration
}

// DefaultRetry are short at first because most failures are a database that was
// busy; the last is as long as an outage of somebody else may be.
var DefaultRetry = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour}

// DefaultTimeout is far longer than what only asks the database takes.
const DefaultTimeout = 90 * time.Second

// Config is what a Runner is made of.
type Config struct {
	DB      object.DB[WorkTx]
	Kinds   map[Kind]Spec
	Now     func() time.Time
	Logger  *slog.Logger
	Workers int // jobs at one time; zero means DefaultWorkers
}

// DefaultWorkers is how many jobs run at one time.
const DefaultWorkers = 8

// Bounds in time. The lease is how long a job waits after its worker was lost; it is
// renewed twice before it ends.
const (
	lease    = 9 * time.Second
	renewal  = 3 * time.Second
	afterRun = 20 * time.Second // to store when to try again
	idle     = 3 * time.Second  // how long another replica's job can wait for this one to look

	afterError = time.Second // before the database is asked again that just failed
)

// Runner takes due jobs and runs their handlers.
type Runner struct {
	cfg   Config
	kinds []Kind
	wake  chan struct{}
}

// NewRunner checks the configuration; Run starts it.
func NewRunner(cfg Config) (*Runner, error) {
	if cfg.DB == nil || cfg.Now == nil || cfg.Logger == nil || len(cfg.Kinds) == 0 {
		return nil, errors.New("jobs: DB, Kinds, Now and Logger are required")
	}
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers
	}
	r := &Runner{cfg: cfg, wake: make(chan struct{}, 1)}
	for k, spec := range cfg.Kinds {
		if spec.Run == nil || spec.Limit < 0 || spec.Timeout < 0 {
			return nil, fmt.Errorf("jobs: the kind %q has no handler, or a negative bound", k)
		}
		r.kinds = append(r.kinds, k)
	}
	return r, nil
}

// Wake makes the runner look for jobs now; it never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends and the jobs under way have ended.
func (r *Runner) Run(ctx context.Context) error {
	slots := make(chan struct{}, r.cfg.Workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		took, err := r.take(ctx, cap(slots)-len(slots))
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.ErrorContext(ctx, "looking for jobs", "error", err)
		}
		for _, j := range took {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots; r.Wake() }()
				r.run(ctx, j)
			})
		}
		if len(took) > 0 && len(slots) < cap(slots) {
			continue // there may be more
		}
		wait := idle // with all workers busy: one that ends wakes us
		if len(slots) < cap(slots) && err == nil {
			wait, err = r.pause(ctx)
		}
		if err != nil {
			wait = afterError // what is due stays due: without it we would spin
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-r.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// take claims what is due.
func (r *Runner) take(ctx context.Context, limit int) (took []Job, err error) {
	if limit == 0 || ctx.Err() != nil {
		return nil, nil
	}
	// Looking first keeps an idle runner from writing.
	if wait, err := r.next(ctx); err != nil || wait > 0 {
		return nil, err
	}
	err = r.cfg.DB.Update(ctx, func(tx WorkTx) error {
		now, err := clock(ctx, tx, r.cfg.Now)
		if err != nil {
			return err
		}
		took, err = tx.ClaimJobs(ctx, r.kinds, r.cfg.Now(), now, now.Add(lease), limit)
		return err
	})
	return took, err
}

// clock is the time by which leases are told.
func clock(ctx context.Context, tx WorkTx, own func() time.Time) (time.Time, error) {
	now, err := tx.JobClock(ctx)
	if err == nil && now.IsZero() {
		now = own()
	}
	return now, err
}

// next is how long it is until there is something to take: not positive when there
// is now.
func (r *Runner) next(ctx context.Context) (wait time.Duration, err error) {
	wait = idle
	err = r.cfg.DB.View(ctx, func(tx WorkTx) error {
		due, leaseEnds, err := tx.NextJobs(ctx, r.kinds)
		if err != nil {
			return err
		}
		if !due.IsZero() {
			wait = min(wait, due.Sub(r.cfg.Now()))
		}
		if !leaseEnds.IsZero() {
			now, err := clock(ctx, tx, r.cfg.Now)
			if err != nil {
				return err
			}
			wait = min(wait, leaseEnds.Sub(now))
		}
		return nil
	})
	return wait, err
}

// pause is how long to wait for the next due job.
func (r *Runner) pause(ctx context.Context) (time.Duration, error) {
	wait, err := r.next(ctx)
	return max(wait, time.Millisecond), err
}

// run does one job and arranges what comes after it.
func (r *Runner) run(ctx context.Context, j Job) {
	spec := r.cfg.Kinds[j.Kind]
	log := r.cfg.Logger.With("job", j.ID, "kind", j.Kind, "vault", j.Vault, "name", j.Name, "attempt", j.Attempt)
	// A stop of the process does not cut a job in the middle of its work; the
	// deadline does.
	ctx = context.WithoutCancel(ctx)
	err := Permanent(errLost)
	if spec.Limit == 0 || j.Failures < spec.Limit {
		err = r.work(ctx, spec, j, log)
	}
	var wait time.Duration
	var at later
	after := func(ctx context.Context, tx WorkTx) error { return tx.PostponeJob(ctx, j, time.Time(at)) }
	switch now := r.cfg.Now(); {
	case err == nil:
		return
	case errors.Is(err, object.ErrChanged):
		log.InfoContext(ctx, "the job was done elsewhere")
		return
	case errors.As(err, &at):
	case errors.As(err, new(permanent)) || spec.Limit > 0 && j.Failures+1 >= spec.Limit:
		log.ErrorContext(ctx, "the job failed and is given up", "error", err, "failures", j.Failures+1)
		after = func(ctx context.Context, tx WorkTx) error { return tx.GiveUpJob(ctx, j, now, text(err)) }
	default:
		wait = spec.wait(j.Failures)
		log.WarnContext(ctx, "the job failed and will be tried again", "error", err, "wait", wait)
		after = func(ctx context.Context, tx WorkTx) error { return tx.FailJob(ctx, j, now.Add(wait), text(err)) }
	}
	// The time of the work may be what has run out.
	ctx, cancel := context.WithTimeout(ctx, afterRun)
	defer cancel()
	err = r.cfg.DB.Update(ctx, func(tx WorkTx) error { return after(ctx, tx) })
	if err != nil && !errors.Is(err, object.ErrChanged) {
		log.ErrorContext(ctx, "the next attempt waits for the lease to end", "error", err)
	}
}

// wait is how long the attempt after so many failures and another one waits.
func (s Spec) wait(failures int) time.Duration {
	table := s.Retry
	if len(table) == 0 {
		table = DefaultRetry
	}
	wait := table[min(failures, len(table)-1)]
	return wait + rand.N(wait/4+1) // replicas do not retry in step
}

// work runs the handler under a lease that is renewed.
func (r *Runner) work(ctx context.Context, spec Spec, j Job, log *slog.Logger) error {
	timeout := spec.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return held(ctx, r.cfg.DB, r.cfg.Now, j, log, func(ctx context.Context) error { return guard(ctx, spec.Run, j) })
}

// guard turns a panic of a handler into an error: one job must not end the
// process.
func guard(ctx context.Context, h Handler, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return h(ctx, j)
}
