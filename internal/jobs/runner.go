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
// work; returning nil without that runs the job again when its lease ends. An
// error means: try again later.
type Handler func(ctx context.Context, j Job) error

// Config is what a Runner is made of.
type Config struct {
	DB       object.DB[Tx]
	Handlers map[Kind]Handler
	Now      func() time.Time
	Logger   *slog.Logger
	Workers  int // jobs at one time; zero means DefaultWorkers
}

// DefaultWorkers is how many jobs run at one time.
const DefaultWorkers = 8

// Bounds in time. A handler is stopped before its lease ends, so that two never
// work on one job.
const (
	lease     = 2 * time.Minute
	handlerOf = 90 * time.Second
	afterRun  = 20 * time.Second // to store when to try again
	idle      = 15 * time.Second // how long another replica's job can wait for this one to look

	afterError = time.Second // before the database is asked again that just failed
)

// retryDelays are the waits before the next attempts; the last one repeats. The
// first are short because most failures are a database that was busy, the last
// is as long as an outage of an issuer may be.
var retryDelays = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour}

// Runner takes due jobs and runs their handlers.
type Runner struct {
	cfg   Config
	kinds []Kind
	wake  chan struct{}
}

// NewRunner checks the configuration; Run starts it.
func NewRunner(cfg Config) (*Runner, error) {
	if cfg.DB == nil || cfg.Now == nil || cfg.Logger == nil || len(cfg.Handlers) == 0 {
		return nil, errors.New("jobs: DB, Handlers, Now and Logger are required")
	}
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers
	}
	r := &Runner{cfg: cfg, wake: make(chan struct{}, 1)}
	for k := range cfg.Handlers {
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
		wait := r.pause(ctx, len(slots) == cap(slots))
		if err != nil {
			wait = max(wait, afterError) // what is due stays due: without it we would spin
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
	due, err := r.next(ctx)
	now := r.cfg.Now()
	if err != nil || due.IsZero() || due.After(now) {
		return nil, err
	}
	err = r.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		took, err = tx.ClaimJobs(ctx, r.kinds, now, now.Add(lease), limit)
		return err
	})
	return took, err
}

func (r *Runner) next(ctx context.Context) (due time.Time, err error) {
	err = r.cfg.DB.View(ctx, func(tx Tx) (err error) {
		due, err = tx.NextJob(ctx, r.kinds)
		return err
	})
	return due, err
}

// pause is how long to wait for the next due job.
func (r *Runner) pause(ctx context.Context, full bool) time.Duration {
	if full {
		return idle // a worker that ends wakes us
	}
	due, err := r.next(ctx)
	if err != nil || due.IsZero() {
		return idle
	}
	return min(max(due.Sub(r.cfg.Now()), time.Millisecond), idle)
}

// run does one job and arranges the next attempt when it fails.
func (r *Runner) run(ctx context.Context, j Job) {
	log := r.cfg.Logger.With("job", j.ID, "kind", j.Kind, "vault", j.Vault, "name", j.Name, "attempt", j.Attempt)
	// A stop of the process does not cut a job in the middle of its work; the
	// deadline does.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), handlerOf)
	defer cancel()
	err := r.guard(work, j)
	switch {
	case err == nil:
		return
	case errors.Is(err, object.ErrChanged):
		log.InfoContext(ctx, "the job was done elsewhere")
		return
	}
	wait := retryDelays[min(j.Attempt-1, len(retryDelays)-1)]
	wait += rand.N(wait/4 + 1) // replicas do not retry in step
	log.WarnContext(ctx, "the job failed and will be tried again", "error", err, "wait", wait)
	// The time of the work may be what has run out.
	store, cancelStore := context.WithTimeout(context.WithoutCancel(ctx), afterRun)
	defer cancelStore()
	err = r.cfg.DB.Update(store, func(tx Tx) error { return tx.RetryJob(store, j, r.cfg.Now().Add(wait)) })
	if err != nil && !errors.Is(err, object.ErrChanged) {
		log.ErrorContext(ctx, "the next attempt waits for the lease to end", "error", err)
	}
}

// guard turns a panic of a handler into an error: one job must not end the
// process.
func (r *Runner) guard(ctx context.Context, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.cfg.Handlers[j.Kind](ctx, j)
}
