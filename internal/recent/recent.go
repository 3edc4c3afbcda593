package recent

import "sync"

// Map is a map that holds at most 2*half entries: when the young half is
// full it becomes the old one, and what was old and not asked for since is
// forgotten. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	half int

	mu         sync.Mutex
	young, old map[K]V // guarded by mu
}

// New makes an empty Map that holds at most 2*half entries.
func New[K comparable, V any](half int) *Map[K, V] {
	return &Map[K, V]{half: half, young: map[K]V{}}
}

// Get answers what was put last under k, unless it was forgotten.
func (r *Map[K, V]) Get(k K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.young[k]; ok {
		return v, true
	}
	v, ok := r.old[k]
	if ok {
		r.put(k, v)
	}
	return v, ok
}

// Set keeps v.
func (r *Map[K, V]) Set(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(k, v)
}

// put expects mu to be held.
func (r *Map[K, V]) put(k K, v V) {
	if _, ok := r.young[k]; !ok && len(r.young) >= r.half {
		r.young, r.old = make(map[K]V, r.half), r.young
	}
	r.young[k] = v
}

// Clear forgets everything.
func (r *Map[K, V]) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.old = map[K]V{}, nil
}
