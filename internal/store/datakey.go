package store

import (
	"context"
	"database/sql"
	"time"

	"coffer/internal/object"
	"coffer/internal/seal"
)

const (
	dataKeyColumns = `scope, id, root_id, wrapped, created, sealed, replaced, closed, kept`
	// Every scope but those of the installation is a vault, and its keys go with it.
	insertDataKey = `INSERT INTO data_keys (` + dataKeyColumns + `, vault)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`
	listDataKeys  = `SELECT ` + dataKeyColumns + ` FROM data_keys ORDER BY scope, replaced IS NULL, created, id`
	scopeDataKeys = `SELECT ` + dataKeyColumns + ` FROM data_keys WHERE scope = $1 ORDER BY replaced IS NULL, created, id`
	rewrapDataKey = `UPDATE data_keys SET root_id = $3, wrapped = $4 WHERE scope = $1 AND id = $2`

	reserveBoxes = `UPDATE data_keys SET sealed = sealed + $3
		WHERE scope = $1 AND id = $2 AND replaced IS NULL AND sealed + $3 <= $4`
	replaceDataKey  = `UPDATE data_keys SET replaced = $3 WHERE scope = $1 AND id = $2 AND replaced IS NULL`
	lockDataKey     = `SELECT id FROM data_keys WHERE scope = $1 AND id = $2 AND replaced IS NOT NULL`
	closeDataKey    = `UPDATE data_keys SET closed = $3 WHERE scope = $1 AND id = $2 AND replaced IS NOT NULL AND closed IS NULL`
	releaseDataKeys = `UPDATE data_keys SET kept = FALSE WHERE replaced IS NOT NULL AND kept`
	destroyDataKey  = `DELETE FROM data_keys WHERE scope = $1 AND id = $2 AND closed IS NOT NULL AND NOT kept`
)

// DataKeys implements seal.Tx.
func (tx *Tx) DataKeys(ctx context.Context, scope string) (list []seal.DataKey, err error) {
	query, args := listDataKeys, []any(nil)
	if scope != "" {
		query, args = scopeDataKeys, []any{scope}
	}
	err = tx.rows(ctx, query, args, func(s scanner) error {
		var k seal.DataKey
		var created int64
		var replaced, closed sql.NullInt64
		if err := s.Scan(&k.Scope, &k.ID, &k.RootID, &k.Wrapped, &created, &k.Sealed, &replaced, &closed, &k.Kept); err != nil {
			return err
		}
		k.Created, k.Replaced, k.Closed = fromSecond(created), fromZeroSecond(replaced), fromZeroSecond(closed)
		list = append(list, k)
		return nil
	})
	return list, err
}

// InsertDataKey implements seal.Tx; object.ErrNotFound when the scope is not a vault.
func (tx *Tx) InsertDataKey(ctx context.Context, k seal.DataKey) error {
	return tx.insert(ctx, "InsertDataKey", insertDataKey, k.Scope, k.ID, k.RootID, k.Wrapped, second(k.Created),
		k.Sealed, zeroIsNull(k.Replaced), zeroIsNull(k.Closed), k.Kept, vaultOrNull(seal.VaultOf(k.Scope)))
}

// RewrapDataKey implements seal.Tx; object.ErrNotFound when there is none.
func (tx *Tx) RewrapDataKey(ctx context.Context, k seal.DataKey) error {
	return tx.change(ctx, object.ErrNotFound, "RewrapDataKey", rewrapDataKey, k.Scope, k.ID, k.RootID, k.Wrapped)
}

// ReserveBoxes implements seal.Tx.
func (tx *Tx) ReserveBoxes(ctx context.Context, scope, id string, n, most int64) error {
	return tx.change(ctx, object.ErrChanged, "ReserveBoxes", reserveBoxes, scope, id, n, most)
}

// ReplaceDataKey implements seal.Tx.
func (tx *Tx) ReplaceDataKey(ctx context.Context, scope, id string, at time.Time) error {
	return tx.change(ctx, object.ErrChanged, "ReplaceDataKey", replaceDataKey, scope, id, second(at))
}

// CloseDataKey implements seal.Tx; object.ErrChanged when the key is closed or gone, or
// was not replaced. In PostgreSQL it waits for the transactions that store a box of the
// key, which hold its row shared (migration 8), and those that come after it find it
// closed. SQLite has one writer.
func (tx *Tx) CloseDataKey(ctx context.Context, scope, id string, at time.Time) error {
	var held string
	if lock := tx.session.dialect().forUpdate; lock != "" {
		if err := tx.row(ctx, lockDataKey+lock, []any{scope, id}, &held); err != nil {
			return changedIfAbsent(err)
		}
	}
	return tx.change(ctx, object.ErrChanged, "CloseDataKey", closeDataKey, scope, id, second(at))
}

// ReleaseDataKeys implements seal.Tx.
func (tx *Tx) ReleaseDataKeys(ctx context.Context) error {
	_, err := tx.exec(ctx, "ReleaseDataKeys", releaseDataKeys)
	return err
}

// DestroyDataKey implements seal.Tx.
func (tx *Tx) DestroyDataKey(ctx context.Context, scope, id string) error {
	left, err := tx.SealedUnder(ctx, scope, id, seal.Place{}, 1)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return object.ErrChanged
	}
	return tx.change(ctx, object.ErrChanged, "DestroyDataKey", destroyDataKey, scope, id)
}
