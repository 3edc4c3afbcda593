package budget

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Why there is no room now.
var (
	ErrShare = errors.New("budget: the holder has its whole share")
	ErrTotal = errors.New("budget: nothing is left")
)

// Pool is an amount of something (bytes, slots) that holders take from and give
// back. It is safe for concurrent use.
type Pool[K comparable] struct {
	total, share int64

	mu      sync.Mutex
	used    int64        // guarded by mu
	by      map[K]int64  // guarded by mu; without zeros
	waiting []*waiter[K] // guarded by mu; in their order
}

type waiter[K comparable] struct {
	holder K
	n      int64
	got    chan struct{} // closed when n is taken
}

// NewPool makes a pool of total, of which no holder has more than share at a time.
// It panics unless 0 < share <= total.
func NewPool[K comparable](total, share int64) *Pool[K] {
	if share <= 0 || share > total {
		panic("budget: a share must be positive and no more than the total")
	}
	return &Pool[K]{total: total, share: share, by: map[K]int64{}}
}

// Take takes n, or nothing: the error is ErrShare or ErrTotal.
func (p *Pool[K]) Take(holder K, n int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(holder, n)
}

func (p *Pool[K]) take(holder K, n int64) error {
	switch {
	case n > p.share-p.by[holder]:
		return ErrShare
	case n > p.total-p.used:
		return ErrTotal
	}
	p.used += n
	p.by[holder] += n
	return nil
}

// Wait is Take that waits up to limit for others, or the holder itself, to give
// back; it also ends with ctx, whose error it answers then.
func (p *Pool[K]) Wait(ctx context.Context, holder K, n int64, limit time.Duration) error {
	p.mu.Lock()
	err := p.take(holder, n)
	if err == nil || n > p.share {
		p.mu.Unlock()
		return err
	}
	w := &waiter[K]{holder, n, make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.got:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return err
	}
	return nil // it came at the last moment
}

// Give gives back what was taken, and lets those wait no longer who now have room.
func (p *Pool[K]) Give(holder K, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
	if p.by[holder] -= n; p.by[holder] == 0 {
		delete(p.by, holder)
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter[K]) bool {
		if p.take(w.holder, w.n) != nil {
			return false
		}
		close(w.got)
		return true
	})
}
