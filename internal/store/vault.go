package store

import (
	"context"
	"time"

	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// A vault's settings are one JSON text: they are read and written whole. The
// field names of vault.Vault are the storage format.
const (
	insertVault = `INSERT INTO vaults (id, name, revision, settings) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	vaultByName = `SELECT settings FROM vaults WHERE name = $1`
	vaultByID   = `SELECT settings FROM vaults WHERE id = $1`
	listVaults  = `SELECT settings FROM vaults /* each row */ ORDER BY name`
	updateVault = `UPDATE vaults SET settings = $2, revision = $3 WHERE id = $1 AND revision = $4`
	deleteVault = `DELETE FROM vaults WHERE id = $1`
)

// vaultSettings is the settings column of a vault (stored shapes: column.go).
type vaultSettings struct {
	ID              object.VaultID      `json:"ID"`
	Name            string              `json:"Name"`
	TenantID        string              `json:"TenantID"`
	Subscription    string              `json:"Subscription"`
	ResourceGroup   string              `json:"ResourceGroup"`
	Location        string              `json:"Location"`
	SKU             vault.SKU           `json:"SKU"`
	RBAC            bool                `json:"RBAC"`
	AccessPolicies  []vaultAccessPolicy `json:"AccessPolicies"`
	RetentionDays   int                 `json:"RetentionDays"`
	PurgeProtection bool                `json:"PurgeProtection"`
	Network         vaultNetwork        `json:"Network"`
	Tags            map[string]string   `json:"Tags"`
	Created         time.Time           `json:"Created"`
	Updated         time.Time           `json:"Updated"`
	Revision        int64               `json:"Revision"`
}

type vaultAccessPolicy struct {
	TenantID      string   `json:"TenantID"`
	ObjectID      string   `json:"ObjectID"`
	ApplicationID string   `json:"ApplicationID"`
	Certificates  []string `json:"Certificates"`
	Keys          []string `json:"Keys"`
	Secrets       []string `json:"Secrets"`
	Storage       []string `json:"Storage"`
}

type vaultNetwork struct {
	PublicAccessDisabled bool     `json:"PublicAccessDisabled"`
	DefaultDeny          bool     `json:"DefaultDeny"`
	IPRules              []string `json:"IPRules"`
	BypassNone           bool     `json:"BypassNone"`
}

func vaultSettingsOf(v *vault.Vault) vaultSettings {
	return vaultSettings{
		ID: v.ID, Name: v.Name, TenantID: v.TenantID, Subscription: v.Subscription, ResourceGroup: v.ResourceGroup,
		Location: v.Location, SKU: v.SKU, RBAC: v.RBAC,
		AccessPolicies: convertList(v.AccessPolicies, func(p vault.AccessPolicy) vaultAccessPolicy { return vaultAccessPolicy(p) }),
		RetentionDays:  v.RetentionDays, PurgeProtection: v.PurgeProtection, Network: vaultNetwork(v.Network), Tags: v.Tags,
		Created: v.Created, Updated: v.Updated, Revision: v.Revision,
	}
}

func (s vaultSettings) vault() *vault.Vault {
	return &vault.Vault{
		ID: s.ID, Name: s.Name, TenantID: s.TenantID, Subscription: s.Subscription, ResourceGroup: s.ResourceGroup,
		Location: s.Location, SKU: s.SKU, RBAC: s.RBAC,
		AccessPolicies: convertList(s.AccessPolicies, func(p vaultAccessPolicy) vault.AccessPolicy { return vault.AccessPolicy(p) }),
		RetentionDays:  s.RetentionDays, PurgeProtection: s.PurgeProtection, Network: vault.NetworkRules(s.Network), Tags: s.Tags,
		Created: s.Created, Updated: s.Updated, Revision: s.Revision,
	}
}

// InsertVault implements vault.Tx.
func (tx *Tx) InsertVault(ctx context.Context, v *vault.Vault) error {
	settings, err := toJSON(vaultSettingsOf(v))
	if err != nil {
		return err
	}
	return tx.insert(ctx, "InsertVault", insertVault, string(v.ID), v.Key(), v.Revision, settings)
}

// Vault implements vault.Tx.
func (tx *Tx) Vault(ctx context.Context, key string) (*vault.Vault, error) {
	return tx.vault(ctx, vaultByName, key)
}

// VaultByID implements vault.Tx.
func (tx *Tx) VaultByID(ctx context.Context, id object.VaultID) (*vault.Vault, error) {
	return tx.vault(ctx, vaultByID, string(id))
}

func (tx *Tx) vault(ctx context.Context, query, arg string) (*vault.Vault, error) {
	var settings string
	if err := tx.row(ctx, query, []any{arg}, &settings); err != nil {
		return nil, err
	}
	return fromVaultSettings(settings)
}

func fromVaultSettings(text string) (*vault.Vault, error) {
	var s vaultSettings
	if err := fromJSON(text, &s); err != nil {
		return nil, err
	}
	return s.vault(), nil
}

// Vaults implements vault.Tx.
func (tx *Tx) Vaults(ctx context.Context) (list []*vault.Vault, err error) {
	err = tx.rows(ctx, listVaults, nil, func(s scanner) error {
		var settings string
		if err := s.Scan(&settings); err != nil {
			return err
		}
		v, err := fromVaultSettings(settings)
		list = append(list, v)
		return err
	})
	return list, err
}

// UpdateVault implements vault.Tx. A vault that is gone has changed too. The
// name is not among the settings that may change.
func (tx *Tx) UpdateVault(ctx context.Context, v *vault.Vault) error {
	settings, err := toJSON(vaultSettingsOf(v))
	if err != nil {
		return err
	}
	return tx.change(ctx, object.ErrChanged, "UpdateVault", updateVault, string(v.ID), settings, v.Revision, v.Revision-1)
}

// DeleteVault implements vault.Tx: what is in the vault hangs on its row, its
// data keys included. Absent is not an error. Its keys in the HSM have no rows
// to hang on: jobs destroy them.
func (tx *Tx) DeleteVault(ctx context.Context, id object.VaultID) error {
	held, err := tx.HSMKeys(ctx, id, object.Name{})
	if err != nil {
		return err
	}
	if err := key.Discard(ctx, tx, held...); err != nil {
		return err
	}
	_, err = tx.exec(ctx, "DeleteVault", deleteVault, string(id))
	return err
}
