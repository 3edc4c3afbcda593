package vault

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"coffer/internal/object"
)

// Registry finds vaults by name, for every request. It keeps what it read: a
// change made through this process counts at once, one of another replica after
// at most MaxAge.
type Registry struct {
	db  object.DB[Tx]
	now func() time.Time

	mu      sync.RWMutex
	entries map[string]entry // guarded by mu; by canonical name, absent vaults too
	epoch   uint64           // guarded by mu; grows with every change here
}

type entry struct {
	vault *Vault // nil: there is none of that name
	until time.Time
}

// MaxAge is how old the settings may be that a decision uses when another replica
// changed them (contract access-control.md, 7: at most 5 s).
const MaxAge = 2 * time.Second

// maxEntries bounds what unknown host names can make us remember.
const maxEntries = 4096

// NewRegistry makes an empty registry over db.
func NewRegistry(db object.DB[Tx], now func() time.Time) *Registry {
	return &Registry{db: db, now: now, entries: map[string]entry{}}
}

// ByName finds a vault by its name in any casing; object.ErrNotFound when there
// is none. The vault must not be changed.
func (r *Registry) ByName(ctx context.Context, name string) (*Vault, error) {
	key := strings.ToLower(name)
	now := r.now()
	r.mu.RLock()
	e, ok := r.entries[key]
	epoch := r.epoch
	r.mu.RUnlock()
	if ok && now.Before(e.until) {
		if e.vault == nil {
			return nil, object.ErrNotFound
		}
		return e.vault, nil
	}
	if ParseName(key) != nil {
		return nil, object.ErrNotFound
	}
	var v *Vault
	err := r.db.View(ctx, func(tx Tx) (err error) {
		v, err = tx.Vault(ctx, key)
		return err
	})
	if err != nil && !errors.Is(err, object.ErrNotFound) {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch == epoch { // else what we read may be older than a change
		if len(r.entries) >= maxEntries {
			clear(r.entries)
		}
		r.entries[key] = entry{v, now.Add(MaxAge)}
	}
	if v == nil {
		return nil, object.ErrNotFound
	}
	return v, nil
}

// Forget drops everything that is kept: after a change of any vault, before it
// is answered.
func (r *Registry) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	clear(r.entries)
}
