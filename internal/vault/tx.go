package vault

import (
	"context"

	"coffer/internal/object"
)

// Tx is what vaults need of one open transaction.
type Tx interface {
	// InsertVault fails with object.ErrExists when the name is taken.
	InsertVault(ctx context.Context, v *Vault) error
	// Vault finds by canonical name; object.ErrNotFound when there is none.
	Vault(ctx context.Context, key string) (*Vault, error)
	// VaultByID finds by id; object.ErrNotFound when there is none.
	VaultByID(ctx context.Context, id object.VaultID) (*Vault, error)
	// Vaults lists all vaults by canonical name.
	Vaults(ctx context.Context) ([]*Vault, error)
	// UpdateVault stores the settings if the stored Revision is v.Revision-1,
	// else answers object.ErrChanged.
	UpdateVault(ctx context.Context, v *Vault) error
	// DeleteVault removes the vault with everything in it.
	DeleteVault(ctx context.Context, id object.VaultID) error
}
