package key

import (
	"sync"

	"coffer/internal/object"
)

// recent keeps the rows that were read last, for as long as nothing has been
// committed since: every commit, of whatever, makes all of it stale. So it can
// only ever answer what the database would answer now. Private keys in it are
// sealed.
type recent struct {
	// generation counts the commits; ok is false when others may commit unseen.
	generation func() (n uint64, ok bool)

	mu      sync.RWMutex
	bundles map[recentKey]recentBundle // guarded by mu
}

type recentKey struct {
	vault   object.VaultID
	name    string // canonical
	version object.Version
}

type recentBundle struct {
	bundle     *Bundle // never changed
	generation uint64
}

// maxRecent bounds the bundles kept: about 4 KB each with a key of RSA-4096.
const maxRecent = 1024

// get answers a bundle that is still what the database holds, and the generation
// to keep a newly read one under; keep is false when there is no telling.
func (r *recent) get(k recentKey) (b *Bundle, generation uint64, keep bool) {
	if r.generation == nil {
		return nil, 0, false
	}
	if generation, keep = r.generation(); !keep {
		return nil, 0, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e, ok := r.bundles[k]; ok && e.generation == generation {
		return e.bundle, generation, true
	}
	return nil, generation, true
}

// put keeps a bundle that was read after the generation was taken.
func (r *recent) put(k recentKey, b *Bundle, generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bundles == nil || len(r.bundles) >= maxRecent {
		r.bundles = map[recentKey]recentBundle{}
	}
	r.bundles[k] = recentBundle{b, generation}
}
