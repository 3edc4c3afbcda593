package storetest

import (
	"context"
	"encoding/hex"

	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// boxKey is the id of the data key that all boxes of the suite name: the store looks at
// no more of a box.
const boxKey = "boxes of"

// Box makes a box that the store takes, once its scope has the DataKey.
func Box(content string) seal.Box { return seal.Box("\x01" + boxKey + content) }

// DataKey is the key of a scope that Box names. It opens nothing.
func DataKey(scope string) seal.DataKey {
	return seal.DataKey{Scope: scope, ID: hex.EncodeToString([]byte(boxKey)), RootID: "r", Wrapped: []byte("w"), Created: epoch}
}

// insertVault stores a vault with its data key.
func insertVault(ctx context.Context, tx *store.Tx, id object.VaultID, name string) error {
	if err := tx.InsertVault(ctx, newVault(id, name)); err != nil {
		return err
	}
	return tx.InsertDataKey(ctx, DataKey(string(id)))
}
