package identity

import "sync"

// recent is a map that holds at most 2*half entries: when the young half is
// full it becomes the old one, and what was old and not asked for since is
// forgotten. It is safe for concurrent use.
type recent[K comparable, V any] struct {
	half int

	mu         sync.Mutex
	young, old map[K]V // guarded by mu
}

func newRecent[K comparable, V any](half int) *recent[K, V] {
	return &recent[K, V]{half: half, young: map[K]V{}}
}

func (r *recent[K, V]) get(k K) (V, bool) {
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

func (r *recent[K, V]) set(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(k, v)
}

// put expects mu to be held.
func (r *recent[K, V]) put(k K, v V) {
	if _, ok := r.young[k]; !ok && len(r.young) >= r.half {
		r.young, r.old = make(map[K]V, r.half), r.young
	}
	r.young[k] = v
}

func (r *recent[K, V]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.old = map[K]V{}, nil
}
