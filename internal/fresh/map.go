package fresh

import (
	"maps"
	"sync"
)

// Map is a bounded map with two halves: when the young half is full it becomes the
// old one, and what was old and not asked for since is forgotten. So whoever invents
// keys displaces what is not in use, and not everything. It is safe for concurrent
// use.
type Map[K comparable, V any] struct {
	half int
	size func(V) int // nil: each counts one

	mu         sync.RWMutex
	young, old map[K]V // guarded by mu
	used       int     // guarded by mu; by the young half
}

// NewMap makes an empty Map that holds at most max, which is at least 2, of what size
// measures; a value that is larger than half of that is not kept. size always answers
// the same of one value; nil counts entries.
func NewMap[K comparable, V any](max int, size func(V) int) *Map[K, V] {
	return &Map[K, V]{half: max / 2, size: size, young: map[K]V{}}
}

// Get answers what was put last under k, unless it was forgotten.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.mu.RLock()
	v, ok := m.young[k]
	_, aged := m.old[k]
	m.mu.RUnlock()
	if ok || !aged {
		return v, ok
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok = m.young[k]; ok {
		return v, true
	}
	if v, ok = m.old[k]; ok {
		m.put(k, v)
	}
	return v, ok
}

// Put keeps v under k.
func (m *Map[K, V]) Put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(k, v)
}

// put expects mu to be held.
func (m *Map[K, V]) put(k K, v V) {
	if last, ok := m.young[k]; ok {
		m.used -= m.measure(last)
		delete(m.young, k)
	}
	delete(m.old, k)
	n := m.measure(v)
	if n > m.half {
		return
	}
	if m.used+n > m.half {
		m.young, m.old, m.used = map[K]V{}, m.young, 0
	}
	m.young[k] = v
	m.used += n
}

func (m *Map[K, V]) measure(v V) int {
	if m.size == nil {
		return 1
	}
	return m.size(v)
}

// Drop forgets the values that over picks, and tells how many are left.
func (m *Map[K, V]) Drop(over func(V) bool) (left int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, v := range m.young {
		if over(v) {
			m.used -= m.measure(v)
			delete(m.young, k)
		}
	}
	maps.DeleteFunc(m.old, func(_ K, v V) bool { return over(v) })
	return len(m.young) + len(m.old)
}
