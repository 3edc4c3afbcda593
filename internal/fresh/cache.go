package fresh

import (
	"time"

	"golang.org/x/time/rate"
)

// How often a Cache reads again because of who finds what is kept wanting: so often a
// second, and so often at once.
const (
	rereads      = 10
	rereadsBurst = 20
)

// Cache keeps what was read last for as long as its Source allows. It is safe for
// concurrent use; readers of one key that come together may each read.
type Cache[K comparable, V any] struct {
	source Source
	areas  Areas
	kept   *Map[K, entry[V]]
	again  *rate.Limiter // of Reread
}

type entry[V any] struct {
	value   V
	busy    bool      // a commit was under way when the reading began
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
	return &Cache[K, V]{s, areas, NewMap[K](max, measure), rate.NewLimiter(rereads, rereadsBurst)}
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
	now := c.begin()
	if e, ok := c.kept.Get(k); ok && c.usable(e, now) {
		return e.value, nil
	}
	return c.read(k, now, read)
}

// Reread reads the value of k again although one is kept that may still be used: for
// who finds that one wanting, because another process has just added what is looked
// for. Whoever invents what is looked for must not have the database read at will: it
// reads 10 times a second, whatever the keys, and beyond that answers what Get does.
func (c *Cache[K, V]) Reread(k K, read func() (V, error)) (V, error) {
	if !c.source.Keeps() || c.source.Commits.alone || !c.again.AllowN(c.source.Now(), 1) {
		return c.Get(k, read) // alone, what is kept is what is there
	}
	return c.read(k, c.begin(), read)
}

// begin is an entry without its value, made before the read: what is committed
// meanwhile counts.
func (c *Cache[K, V]) begin() entry[V] {
	// First whether one is under way, then how many there were: one that ends in between
	// has been counted.
	e := entry[V]{busy: c.source.Commits.committing(c.areas)}
	e.commits = c.source.Commits.of(c.areas)
	if !c.source.Commits.alone {
		e.at = c.source.Now()
	}
	return e
}

func (c *Cache[K, V]) read(k K, e entry[V], read func() (V, error)) (V, error) {
	var err error
	if e.value, err = read(); err == nil {
		c.kept.Put(k, e)
	}
	return e.value, err
}

// usable is the rule.
func (c *Cache[K, V]) usable(e, now entry[V]) bool {
	if now.busy || e.commits != now.commits {
		return false
	}
	age := now.at.Sub(e.at)
	return c.source.Commits.alone || age >= 0 && age < c.source.MaxAge
}
