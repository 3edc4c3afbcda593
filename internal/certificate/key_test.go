package certificate_test

import (
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/store"
)

// key reads a version of a live key from the store; "" means the current one.
func (w *installation) key(name string, ver object.Version) (v *key.Version, h object.Head, err error) {
	n := object.MustName(name)
	err = w.db.View(w.Context(), func(tx *store.Tx) (err error) {
		if h, err = tx.KeyHead(w.Context(), w.home.ID, n); err != nil {
			return err
		}
		if h.Deletion != nil {
			return lifecycle.NotFound(fault.Key, n, ver)
		}
		if ver == "" {
			ver = h.Current
		}
		v, err = tx.KeyVersion(w.Context(), w.home.ID, n, ver)
		return err
	})
	return v, h, err
}
