package storetest

import (
	"context"
	"testing"
	"time"

	"coffer/internal/store"
	"coffer/internal/vault"
)

// NewVault stores a vault as it begins, with the defaults of vault.New.
func NewVault(t testing.TB, db *store.DB, v vault.Vault, now time.Time) *vault.Vault {
	t.Helper()
	made, err := vault.New(v, now)
	if err == nil {
		err = db.Update(context.Background(), func(tx *store.Tx) error { return tx.InsertVault(context.Background(), made) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}
