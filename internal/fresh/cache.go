package fresh

import "time"

// Cache keeps what was read last for as long as its Source allows. It is safe for
// concurrent use; readers of one key that come together may each read.
type Cache[K comparable, V any] struct {
	source Source
	areas  Areas
	kept   *Map[K, entry[V]]
}

type entry[V any] struct {
	value   V
	commits uint64    // when the reading began
	at      time.Time // when the reading began; not set where this process is alone
}

// NewCache makes an empty Cache of what is read from the areas of a database. It
// holds at most max of what size measures, as a Map does.
func NewCache[K comparable, V any](s Source, areas Areas, max int, size func(V) int) *Cache[K, V] {
	if s.Now == nil {
		s.Now = time.Now
	}
	var measure func(entry[V]) int
	if size != nil {
		measure = func(e entry[V]) int { return size(e.value) }
	}
	return &Cache[K, V]{s, areas, NewMap[K](max, measure)}
}

// Get answers the value of k: one that is kept, if it may still be used, or else what
// read gives, which is kept unless read fails. Several callers get the same value:
// nobody may change it.
//
// read must ask the database and no other Cache, so that ages do not add up; what is
// kept of a value that is absent is up to V.
func (c *Cache[K, V]) Get(k K, read func() (V, error)) (V, error) {
	if !c.source.Keeps() {
		return read()
	}
	now := entry[V]{commits: c.source.Commits.of(c.areas)} // before the read: what is committed meanwhile counts
	if !c.source.Commits.alone {
		now.at = c.source.Now()
	}
	if e, ok := c.kept.Get(k); ok && c.usable(e, now) {
		return e.value, nil
	}
	var err error
	if now.value, err = read(); err == nil {
		c.kept.Put(k, now)
	}
	return now.value, err
}

// usable is the rule.
func (c *Cache[K, V]) usable(e, now entry[V]) bool {
	if e.commits != now.commits {
		return false
	}
	age := now.at.Sub(e.at)
	return c.source.Commits.alone || age >= 0 && age < c.source.MaxAge
}
