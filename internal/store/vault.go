package store

import (
	"context"

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
	listVaults  = `SELECT settings FROM vaults ORDER BY name`
	updateVault = `UPDATE vaults SET settings = $2, revision = $3 WHERE id = $1 AND revision = $4`
	deleteVault = `DELETE FROM vaults WHERE id = $1`
)

// InsertVault implements vault.Tx.
func (tx *Tx) InsertVault(ctx context.Context, v *vault.Vault) error {
	settings, err := toJSON(v)
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
	v := new(vault.Vault)
	return v, fromJSON(settings, v)
}

// Vaults implements vault.Tx.
func (tx *Tx) Vaults(ctx context.Context) (list []*vault.Vault, err error) {
	err = tx.rows(ctx, listVaults, nil, func(s scanner) error {
		var settings string
		if err := s.Scan(&settings); err != nil {
			return err
		}
		v := new(vault.Vault)
		list = append(list, v)
		return fromJSON(settings, v)
	})
	return list, err
}

// UpdateVault implements vault.Tx. A vault that is gone has changed too. The
// name is not among the settings that may change.
func (tx *Tx) UpdateVault(ctx context.Context, v *vault.Vault) error {
	settings, err := toJSON(v)
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
