package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// period is how often Run asks a check that says no other time.
	period = 10 * time.Second
	// readyTimeout bounds all answers that Ready waits for, and askTimeout one of Run.
	readyTimeout = 2 * time.Second
	askTimeout   = 10 * time.Minute
)

// Check is one question. Its fields do not change.
type Check struct {
	Name string // in a sentence: "the audit log"
	// Ask answers nil when all is well. Its error is a sentence for the operator.
	Ask func(ctx context.Context) error
	// Slow is for a check that costs too much for each Ready: only Run asks it, and
	// the answer says when to ask again. Ask is not used.
	Slow func(ctx context.Context) (next time.Duration, err error)
	// Serves tells that the process can serve although the check fails.
	Serves bool
}

// Finding is a check that fails.
type Finding struct {
	Check  string
	What   string
	Since  time.Time
	Serves bool // all the same
}

// Checks asks and remembers. It is safe for concurrent use.
type Checks struct {
	now    func() time.Time
	logger *slog.Logger
	list   []*state
}

type state struct {
	Check
	mu    sync.Mutex
	err   error     // guarded by mu: the last answer
	since time.Time // guarded by mu: of an error
}

// New makes the Checks; it asks nothing yet.
func New(now func() time.Time, logger *slog.Logger, list ...Check) *Checks {
	c := &Checks{now: now, logger: logger}
	for _, one := range list {
		c.list = append(c.list, &state{Check: one})
	}
	return c
}

// Ready is nil when the process can serve: it asks, but for slow checks, whose last
// answer counts.
func (c *Checks) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var errs []error
	for _, s := range c.list {
		if s.Serves {
			continue
		}
		if err := c.answer(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Findings are the checks that fail now, in their order; it asks as Ready does.
func (c *Checks) Findings(ctx context.Context) (list []Finding) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, s := range c.list {
		if err := c.answer(ctx, s); err != nil {
			s.mu.Lock()
			list = append(list, Finding{Check: s.Name, What: err.Error(), Since: s.since, Serves: s.Serves})
			s.mu.Unlock()
		}
	}
	return list
}

func (c *Checks) answer(ctx context.Context, s *state) error {
	if s.Slow != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.err
	}
	return c.keep(ctx, s, s.Ask(ctx))
}

// keep remembers an answer, and logs one that is new.
func (c *Checks) keep(ctx context.Context, s *state, err error) error {
	s.mu.Lock()
	was := s.err
	s.err = err
	if was == nil {
		s.since = c.now()
	}
	s.mu.Unlock()
	switch {
	case err != nil && was == nil:
		c.logger.ErrorContext(ctx, "health: "+s.Name+" fails", "error", err, "serves", s.Serves)
	case err == nil && was != nil:
		c.logger.InfoContext(ctx, "health: "+s.Name+" is well again")
	}
	return err
}

// Run asks every check again and again until ctx ends, each in its own time.
func (c *Checks) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range c.list {
		all.Go(func() {
			for next := time.Duration(0); ; {
				select {
				case <-ctx.Done():
					return
				case <-time.After(next):
				}
				next = c.ask(ctx, s)
			}
		})
	}
	all.Wait()
	return nil
}

func (c *Checks) ask(ctx context.Context, s *state) (next time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	next = period
	var err error
	if s.Slow != nil {
		next, err = s.Slow(ctx)
	} else {
		err = s.Ask(ctx)
	}
	if ctx.Err() == nil { // a question that was broken off is no answer
		c.keep(ctx, s, err)
	}
	return next
}
