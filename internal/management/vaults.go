package management

import (
	"context"
	"errors"
	"strings"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// NewVault describes a vault to create; zero fields take the defaults of vault.New.
type NewVault struct {
	Location        string
	SKU             vault.SKU
	RBAC            bool
	RetentionDays   int
	PurgeProtection bool
}

// CreateVault stores a vault under the resource id of the grant. Rights that an
// earlier vault of that name left behind go: they are not meant for this one.
func (s *Service) CreateVault(ctx context.Context, g access.Grant, in NewVault) (*vault.Vault, error) {
	g.Must(access.VaultCreate)
	p, err := parseVaultID(g.Resource())
	if err != nil {
		return nil, err
	}
	v, err := vault.New(vault.Vault{
		Name: p.name, TenantID: s.cfg.TenantID, Subscription: p.subscription, ResourceGroup: p.resourceGroup,
		Location: in.Location, SKU: in.SKU, RBAC: in.RBAC,
		RetentionDays: in.RetentionDays, PurgeProtection: in.PurgeProtection,
	}, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	g.Attempt().ConcernsVault(v)
	var dropped []access.Assignment
	err = s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if err := tx.InsertVault(ctx, v); err != nil {
			return err
		}
		dropped, err = dropBelow(ctx, tx, v.ResourceID())
		return err
	})
	if errors.Is(err, object.ErrExists) {
		return nil, &fault.Error{Kind: fault.Conflict, Subject: fault.Vault, Msg: "The vault name '" + v.Name + "' is already in use."}
	}
	if err != nil {
		return nil, err
	}
	g.Attempt().Describe(settings(v))
	alsoDropped(g, dropped)
	return v, nil
}

// Vault reads the vault that the grant is for.
func (s *Service) Vault(ctx context.Context, g access.Grant) (v *vault.Vault, err error) {
	g.Must(access.VaultGet)
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		v, err = find(ctx, tx, g)
		return err
	})
	return v, err
}

// Vaults lists the vaults at and below the scope of the grant, by name.
func (s *Service) Vaults(ctx context.Context, g access.Grant) (list []*vault.Vault, err error) {
	g.Must(access.VaultList)
	var all []*vault.Vault
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		all, err = tx.Vaults(ctx)
		return err
	})
	for _, v := range all {
		if within(g.Resource(), v.ResourceID()) {
			list = append(list, v)
		}
	}
	return list, err
}

// find reads the vault that the grant is for, and tells the record of it.
func find(ctx context.Context, tx Tx, g access.Grant) (*vault.Vault, error) {
	v, err := findByID(ctx, tx, g.Resource())
	if err == nil {
		g.Attempt().ConcernsVault(v)
	}
	return v, err
}

// findByID reads a vault by its resource id.
func findByID(ctx context.Context, tx Tx, id string) (*vault.Vault, error) {
	p, err := parseVaultID(id)
	if err != nil {
		return nil, err
	}
	v, err := tx.Vault(ctx, strings.ToLower(p.name))
	if errors.Is(err, object.ErrNotFound) || err == nil && !strings.EqualFold(v.ResourceID(), id) {
		return nil, &fault.Error{Kind: fault.NotFound, Subject: fault.Vault, Msg: "There is no vault named '" + p.name + "'."}
	}
	return v, err
}

// VaultChange changes what is not nil.
type VaultChange struct {
	SKU                 *vault.SKU
	RBAC                *bool
	PurgeProtection     *bool
	PublicNetworkAccess *bool
	DefaultDeny         *bool
	IPRules             *[]string // addresses or CIDR prefixes
}

// UpdateVault changes the settings of the vault that the grant is for.
func (s *Service) UpdateVault(ctx context.Context, g access.Grant, in VaultChange) (*vault.Vault, error) {
	g.Must(access.VaultUpdate)
	return s.change(ctx, g, func(v *vault.Vault) error {
		v.RBAC = deref(in.RBAC, v.RBAC)
		v.SKU = deref(in.SKU, v.SKU)
		v.PurgeProtection = deref(in.PurgeProtection, v.PurgeProtection)
		v.Network.DefaultDeny = deref(in.DefaultDeny, v.Network.DefaultDeny)
		v.Network.PublicAccessDisabled = !deref(in.PublicNetworkAccess, !v.Network.PublicAccessDisabled)
		if in.IPRules == nil {
			return nil
		}
		for _, r := range *in.IPRules {
			if !access.IsIPRule(r) {
				return &fault.Error{Kind: fault.Invalid, Field: "ipRules", Msg: "'" + r + "' is not an address or prefix."}
			}
		}
		v.Network.IPRules = *in.IPRules
		return nil
	})
}

func deref[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

// change stores a change of the grant's vault, with the settings before and after
// on record.
func (s *Service) change(ctx context.Context, g access.Grant, change func(*vault.Vault) error) (next *vault.Vault, err error) {
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		old, err := find(ctx, tx, g)
		if err != nil {
			return err
		}
		g.Attempt().DescribeBefore(settings(old))
		if next, err = old.Changed(s.cfg.Now(), change); err != nil {
			return err
		}
		return tx.UpdateVault(ctx, next)
	})
	if err != nil {
		return nil, err
	}
	g.Attempt().Describe(settings(next))
	return next, nil
}

// DeleteVault removes the vault that the grant is for, with everything in it and
// with the rights on it, for ever. Purge protection forbids it.
func (s *Service) DeleteVault(ctx context.Context, g access.Grant) error {
	g.Must(access.VaultDelete)
	var v *vault.Vault
	var dropped []access.Assignment
	err := s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if v, err = find(ctx, tx, g); err != nil {
			return err
		}
		g.Attempt().DescribeBefore(settings(v))
		if v.PurgeProtection {
			return &fault.Error{Kind: fault.Forbidden, Msg: "The vault '" + v.Name + "' has purge protection and cannot be deleted."}
		}
		if err := tx.DeleteVault(ctx, v.ID); err != nil {
			return err
		}
		dropped, err = dropBelow(ctx, tx, v.ResourceID())
		return err
	})
	if err == nil {
		alsoDropped(g, dropped)
		s.cfg.Deleted(v)
	}
	return err
}
