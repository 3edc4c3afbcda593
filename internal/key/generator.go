package key

import (
	"context"
	"crypto"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/pki"
)

// Generator makes key pairs with a fixed number of low-priority workers, so that
// key generation never starves everything else. No key is made ahead of need: a
// cloned machine must not hand out the same key twice.
type Generator struct {
	workers *compute.Pool
	waiting atomic.Int64 // for a key
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
	return &Generator{workers: compute.NewPool(workers, log)}
}

// Close stops the workers after the keys they are making.
func (g *Generator) Close() { g.workers.Close() }

// Generate waits for a worker and its key. It fails with fault.Busy when too
// many wait already.
func (g *Generator) Generate(ctx context.Context, spec pki.KeySpec) (crypto.Signer, error) {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > maxQueue {
		return nil, &fault.Error{Kind: fault.Busy, Msg: "Too many keys are being generated.", RetryAfter: 5 * time.Second}
	}
	return compute.Do(ctx, g.workers, "", func() (crypto.Signer, error) { return pki.Generate(spec) })
}
