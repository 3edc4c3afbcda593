package object

import "sync"

// Recent keeps what was read last, for as long as nothing has been committed
// since: every commit, of whatever, makes all of it stale. So it can only ever
// answer what the database would answer now. What is kept must not be changed. It
// is safe for concurrent use.
type Recent[T any] struct {
	// Generation counts the commits; ok is false when others may commit unseen.
	// nil: nothing is kept.
	Generation func() (n uint64, ok bool)
	// Max bounds what is kept.
	Max int

	mu   sync.RWMutex
	kept map[RecentKey]kept[T] // guarded by mu
}

// RecentKey says what was read.
type RecentKey struct {
	Vault   VaultID
	Name    string  // canonical
	Version Version // "": the current one
}

type kept[T any] struct {
	value      *T
	generation uint64
}

// Get answers a value that is still what the database holds, and the generation
// to keep a newly read one under; keep is false when there is no telling.
func (r *Recent[T]) Get(k RecentKey) (v *T, generation uint64, keep bool) {
	if r.Generation == nil {
		return nil, 0, false
	}
	if generation, keep = r.Generation(); !keep {
		return nil, 0, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e, ok := r.kept[k]; ok && e.generation == generation {
		return e.value, generation, true
	}
	return nil, generation, true
}

// Put keeps a value that was read after the generation was taken.
func (r *Recent[T]) Put(k RecentKey, v *T, generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil || len(r.kept) >= r.Max {
		r.kept = map[RecentKey]kept[T]{}
	}
	r.kept[k] = kept[T]{v, generation}
}
