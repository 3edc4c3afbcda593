package object

// Recent keeps what was read last, for as long as nothing has been committed
// since: every commit, of whatever, makes all of it stale. So it can only ever
// answer what the database would answer now. It is safe for concurrent use.
type Recent[T any] struct {
	generation func() (n uint64, ok bool)
	keep       func(*T) bool
	kept       Bounded[RecentKey, kept[T]]
}

// NewRecent makes an empty one that holds at most max values. generation counts the
// commits; ok is false when others may commit unseen, and nil means that nothing is
// kept. keep is asked about each value before it is kept; nil: all are.
func NewRecent[T any](generation func() (n uint64, ok bool), max int, keep func(*T) bool) *Recent[T] {
	return &Recent[T]{generation, keep, Bounded[RecentKey, kept[T]]{Max: max}}
}

// RecentKey says what is read.
type RecentKey struct {
	Vault   VaultID
	Name    string  // canonical
	Version Version // "": the current one
}

type kept[T any] struct {
	value      *T
	generation uint64
}

// Read answers a value that is still what the database holds, or else what read
// gives. Either may be shared: it must not be changed.
func (r *Recent[T]) Read(k RecentKey, read func() (*T, error)) (*T, error) {
	if r.generation == nil {
		return read()
	}
	generation, ok := r.generation() // before the read: what is committed meanwhile makes it stale
	if !ok {
		return read()
	}
	if e, found := r.kept.Get(k); found && e.generation == generation {
		return e.value, nil
	}
	v, err := read()
	if err == nil && (r.keep == nil || r.keep(v)) {
		r.kept.Put(k, kept[T]{v, generation})
	}
	return v, err
}
