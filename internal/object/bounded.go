package object

import "sync"

// Bounded is a map that forgets everything when it holds Max entries and gets
// another: for what can be made again, and what anybody may choose the keys of.
// It is safe for concurrent use.
type Bounded[K comparable, V any] struct {
	Max int

	mu      sync.RWMutex
	entries map[K]V // guarded by mu
}

// Get answers what was put last under a key, unless it was forgotten.
func (b *Bounded[K, V]) Get(k K) (V, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	v, ok := b.entries[k]
	return v, ok
}

// Put keeps a value.
func (b *Bounded[K, V]) Put(k K, v V) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries == nil || len(b.entries) >= b.Max {
		b.entries = map[K]V{}
	}
	b.entries[k] = v
}
