package compute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
)

// ErrClosed reports work that came to a pool after it was closed, or waited then.
var ErrClosed = errors.New("compute: the workers have stopped")

// Pool is a fixed number of workers, each a thread of the lowest priority. Work is
// taken in turns by holder and, of one holder, in its order: whoever brings much waits
// for it longest. It is safe for concurrent use; a nil Pool runs work at once, in the
// goroutine of its caller.
type Pool struct {
	workers sync.WaitGroup
	size    int

	mu     sync.Mutex
	some   sync.Cond          // there is work, or the end
	queues map[string][]*task // guarded by mu; by holder, none empty
	turns  []string           // guarded by mu; the holders that have a queue, the next one first
	closed bool               // guarded by mu
}

type task struct {
	run  func()
	done chan struct{} // closed when run has returned or panicked, or will not be called

	// Set before done is closed.
	err      error
	panicked any // nil: it was not
}

// NewPool starts workers, at least one; Close ends them.
func NewPool(workers int, log *slog.Logger) *Pool {
	workers = max(1, workers)
	p := &Pool{size: workers, queues: map[string][]*task{}}
	p.some.L = &p.mu
	widen(workers)
	for range workers {
		p.workers.Go(func() { p.work(log) })
	}
	return p
}

// Close stops the workers after what they are doing. What waits is not done.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.workers.Wait()
		return
	}
	p.closed = true
	for _, q := range p.queues {
		for _, t := range q {
			t.err = ErrClosed
			close(t.done)
		}
	}
	p.queues, p.turns = map[string][]*task{}, nil
	p.some.Broadcast()
	p.mu.Unlock()
	p.workers.Wait()
	widen(-p.size)
}

var widening sync.Mutex // of GOMAXPROCS, which is of the process

// widen changes by n how many goroutines Go runs at a time. Whoever runs has one of that
// many places, and keeps it while the system lets its thread wait, as it does with
// workers for as long as there is anything else to do: without places of their own the
// workers would take those of everything else (reads became 17 times slower than with).
func widen(n int) {
	widening.Lock()
	defer widening.Unlock()
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)+n))
}

// Run waits until a worker has run fn. It gives up with the error of ctx when that ends
// before; fn may have begun then, and goes on to its end alone: it must not touch what
// its caller goes on to use. A panic of fn is one of Run.
func (p *Pool) Run(ctx context.Context, holder string, fn func()) error {
	if p == nil {
		fn()
		return nil
	}
	t := &task{run: fn, done: make(chan struct{})}
	if err := p.put(holder, t); err != nil {
		return err
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		p.remove(holder, t)
		return ctx.Err()
	}
	if t.panicked != nil {
		panic(t.panicked)
	}
	return t.err
}

// Do is Run for a function that gives something.
func Do[T any](ctx context.Context, p *Pool, holder string, fn func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	r := new(result) // nobody reads that of a function which was not waited for
	if err := p.Run(ctx, holder, func() { r.value, r.err = fn() }); err != nil {
		var none T
		return none, err
	}
	return r.value, r.err
}

func (p *Pool) put(holder string, t *task) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if len(p.queues[holder]) == 0 {
		p.turns = append(p.turns, holder)
	}
	p.queues[holder] = append(p.queues[holder], t)
	p.some.Signal()
	return nil
}

// remove takes out what nobody waits for any more, unless a worker has it.
func (p *Pool) remove(holder string, t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[holder]
	i := slices.Index(q, t)
	if i < 0 {
		return
	}
	if p.queues[holder] = slices.Delete(q, i, i+1); len(q) == 1 {
		delete(p.queues, holder)
		p.turns = slices.DeleteFunc(p.turns, func(h string) bool { return h == holder })
	}
}

// next waits for work; nil is the end.
func (p *Pool) next() *task {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.turns) == 0 {
		if p.closed {
			return nil
		}
		p.some.Wait()
	}
	holder := p.turns[0]
	q := p.queues[holder]
	if p.turns = p.turns[1:]; len(q) > 1 {
		p.queues[holder], p.turns = q[1:], append(p.turns, holder)
	} else {
		delete(p.queues, holder)
	}
	return q[0]
}

func (p *Pool) work(log *slog.Logger) {
	// The priority belongs to the thread: it stays locked to this goroutine and
	// ends with it.
	runtime.LockOSThread()
	if err := lowerPriority(); err != nil {
		log.Warn("costly work runs at normal priority", "error", err)
	}
	for t := p.next(); t != nil; t = p.next() {
		t.do()
	}
}

// do runs the task, and keeps a panic for whoever waits for it: here it would be the
// end of the process.
func (t *task) do() {
	defer close(t.done)
	defer func() {
		if v := recover(); v != nil {
			t.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
		}
	}()
	t.run()
}
