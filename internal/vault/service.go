package vault

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Service changes vaults. It serves the command line now and the management door
// later; who may call it is decided there.
type Service struct {
	db       object.DB[Tx]
	registry *Registry
	now      func() time.Time
}

// NewService changes the vaults of db and tells registry.
func NewService(db object.DB[Tx], registry *Registry, now func() time.Time) *Service {
	return &Service{db: db, registry: registry, now: now}
}

// Create stores a new vault. Zero fields take the defaults: 90 days of retention,
// the standard SKU, location "local".
func (s *Service) Create(ctx context.Context, v Vault) (*Vault, error) {
	now := object.Second(s.now())
	v.ID, v.Created, v.Updated, v.Revision = object.NewVaultID(), now, now, 1
	v.RetentionDays = cmp.Or(v.RetentionDays, DefaultRetentionDays)
	v.SKU = cmp.Or(v.SKU, Standard)
	v.Location = cmp.Or(v.Location, DefaultLocation)
	if err := v.Check(); err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Field: "properties", Msg: err.Error()}
	}
	err := s.db.Update(ctx, func(tx Tx) error { return tx.InsertVault(ctx, &v) })
	if errors.Is(err, object.ErrExists) {
		return nil, &fault.Error{Kind: fault.Conflict, Subject: fault.Vault, Msg: "The vault name '" + v.Name + "' is already in use."}
	}
	if err != nil {
		return nil, err
	}
	s.registry.Forget()
	return &v, nil
}

// Get finds a vault by name.
func (s *Service) Get(ctx context.Context, name string) (*Vault, error) {
	var v *Vault
	err := s.db.View(ctx, func(tx Tx) (err error) {
		v, err = find(ctx, tx, name)
		return err
	})
	return v, err
}

// List lists all vaults by name.
func (s *Service) List(ctx context.Context) (list []*Vault, err error) {
	err = s.db.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Vaults(ctx)
		return err
	})
	return list, err
}

func find(ctx context.Context, tx Tx, name string) (*Vault, error) {
	v, err := tx.Vault(ctx, strings.ToLower(name))
	if errors.Is(err, object.ErrNotFound) {
		return nil, &fault.Error{Kind: fault.NotFound, Subject: fault.Vault, Msg: "There is no vault named '" + name + "'."}
	}
	return v, err
}

// Update changes the settings of a vault: change gets a copy. What is fixed at
// creation stays, and purge protection cannot be switched off.
func (s *Service) Update(ctx context.Context, name string, change func(*Vault) error) (*Vault, error) {
	var out *Vault
	err := s.db.Update(ctx, func(tx Tx) error {
		old, err := find(ctx, tx, name)
		if err != nil {
			return err
		}
		next := *old
		next.AccessPolicies = slices.Clone(old.AccessPolicies)
		if err := change(&next); err != nil {
			return err
		}
		if old.PurgeProtection && !next.PurgeProtection {
			return &fault.Error{Kind: fault.Invalid, Field: "enablePurgeProtection", Msg: "Purge protection cannot be switched off."}
		}
		if next.RetentionDays != old.RetentionDays {
			return &fault.Error{Kind: fault.Invalid, Field: "softDeleteRetentionInDays", Msg: "The retention of a vault is fixed at its creation."}
		}
		next.ID, next.Name, next.TenantID, next.Created = old.ID, old.Name, old.TenantID, old.Created
		next.Revision, next.Updated = old.Revision+1, object.Second(s.now())
		if err := next.Check(); err != nil {
			return &fault.Error{Kind: fault.Invalid, Field: "properties", Msg: err.Error()}
		}
		out = &next
		return tx.UpdateVault(ctx, &next)
	})
	if err != nil {
		return nil, err
	}
	s.registry.Forget()
	return out, nil
}

// Delete removes a vault with everything in it, for ever. Purge protection
// forbids it.
func (s *Service) Delete(ctx context.Context, name string) error {
	err := s.db.Update(ctx, func(tx Tx) error {
		v, err := find(ctx, tx, name)
		if err != nil {
			return err
		}
		if v.PurgeProtection {
			return &fault.Error{Kind: fault.Forbidden, Msg: "The vault '" + v.Name + "' has purge protection and cannot be deleted."}
		}
		return tx.DeleteVault(ctx, v.ID)
	})
	if err == nil {
		s.registry.Forget()
	}
	return err
}

// SetPolicy adds an access policy, or replaces that of the same identity.
func (v *Vault) SetPolicy(p AccessPolicy) {
	v.RemovePolicy(p.ObjectID, p.ApplicationID)
	v.AccessPolicies = append(v.AccessPolicies, p)
}

// RemovePolicy removes the access policy of an identity and reports whether there
// was one.
func (v *Vault) RemovePolicy(objectID, applicationID string) bool {
	n := len(v.AccessPolicies)
	v.AccessPolicies = slices.DeleteFunc(v.AccessPolicies, func(e AccessPolicy) bool {
		return strings.EqualFold(e.ObjectID, objectID) && strings.EqualFold(e.ApplicationID, applicationID)
	})
	return len(v.AccessPolicies) < n
}
