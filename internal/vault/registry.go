package vault

import (
	"context"
	"errors"
	"strings"

	"coffer/internal/fresh"
	"coffer/internal/object"
)

// Registry finds vaults by name, for every request, and keeps what it read as its
// Source allows.
type Registry struct {
	db   object.DB[Tx]
	kept *fresh.Cache[string, *Vault] // by canonical name; nil: there is none of that name
}

// maxKept bounds the vaults kept, and the names of none that host names can make us
// remember.
const maxKept = 4096

// NewRegistry makes an empty registry over db.
func NewRegistry(db object.DB[Tx], s fresh.Source) *Registry {
	return &Registry{db, fresh.NewCache[string, *Vault](s, fresh.Vaults, maxKept, nil)}
}

// ByName finds a vault by its name in any casing; object.ErrNotFound when there
// is none. The vault must not be changed.
func (r *Registry) ByName(ctx context.Context, name string) (*Vault, error) {
	key := strings.ToLower(name)
	if ParseName(key) != nil {
		return nil, object.ErrNotFound
	}
	v, err := r.kept.Get(key, func() (v *Vault, err error) {
		err = r.db.View(ctx, func(tx Tx) error {
			v, err = tx.Vault(ctx, key)
			return err
		})
		if errors.Is(err, object.ErrNotFound) {
			return nil, nil
		}
		return v, err
	})
	if err == nil && v == nil {
		err = object.ErrNotFound
	}
	return v, err
}
