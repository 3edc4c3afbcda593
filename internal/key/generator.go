package key

import (
	"context"
	"crypto"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"coffer/internal/fault"
	"coffer/internal/pki"
)

// Generator makes key pairs with a fixed number of low-priority workers, so that
// key generation never starves everything else. No key is made ahead of need: a
// cloned machine must not hand out the same key twice.
type Generator struct {
	requests chan request
	stop     chan struct{}
	wg       sync.WaitGroup
	once     sync.Once
}

type request struct {
	ctx    context.Context
	spec   pki.KeySpec
	result chan<- result // buffered: a worker never waits for a caller that left
}

type result struct {
	key crypto.Signer
	err error
}

// maxQueue is how many callers may wait for a key. RSA-4096 takes seconds; more
// than these would wait longer than clients do.
const maxQueue = 256

// DefaultWorkers leaves at least one core to everything else.
func DefaultWorkers() int { return max(1, runtime.NumCPU()-1) }

// NewGenerator starts workers; Close ends them. workers below 1 means
// DefaultWorkers.
func NewGenerator(workers int, log *slog.Logger) *Generator {
	if workers < 1 {
		workers = DefaultWorkers()
	}
	g := &Generator{requests: make(chan request, maxQueue), stop: make(chan struct{})}
	for range workers {
		g.wg.Go(func() { g.work(log) })
	}
	return g
}

// Close stops the workers after the keys they are making.
func (g *Generator) Close() {
	g.once.Do(func() { close(g.stop) })
	g.wg.Wait()
}

// Generate waits for a worker and its key. It fails with fault.Busy when too
// many wait already.
func (g *Generator) Generate(ctx context.Context, spec pki.KeySpec) (crypto.Signer, error) {
	res := make(chan result, 1)
	select {
	case g.requests <- request{ctx, spec, res}:
	case <-g.stop:
		return nil, errStopped
	default:
		return nil, &fault.Error{Kind: fault.Busy, Msg: "Too many keys are being generated.", RetryAfter: 5 * time.Second}
	}
	select {
	case r := <-res:
		return r.key, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-g.stop:
		return nil, errStopped
	}
}

var errStopped = errors.New("key: generation has stopped")

func (g *Generator) work(log *slog.Logger) {
	// The priority belongs to the thread: it stays locked to this goroutine and
	// ends with it.
	runtime.LockOSThread()
	if err := lowerPriority(); err != nil {
		log.Warn("key generation runs at normal priority", "error", err)
	}
	for {
		select {
		case <-g.stop:
			return
		case r := <-g.requests:
			if r.ctx.Err() != nil {
				continue // nobody waits for it any more
			}
			k, err := pki.Generate(r.spec)
			r.result <- result{k, err}
		}
	}
}
