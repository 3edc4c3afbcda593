package store

import (
	"context"

	"coffer/internal/object"
	"coffer/internal/seal"
)

const (
	dataKeyColumns = `scope, id, root_id, wrapped, created`
	// Every scope but the installation is a vault, and its keys go with it.
	insertDataKey = `INSERT INTO data_keys (` + dataKeyColumns + `, vault)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`
	listDataKeys  = `SELECT ` + dataKeyColumns + ` FROM data_keys ORDER BY scope, created, id`
	scopeDataKeys = `SELECT ` + dataKeyColumns + ` FROM data_keys WHERE scope = $1 ORDER BY created, id`
	rewrapDataKey = `UPDATE data_keys SET root_id = $3, wrapped = $4 WHERE scope = $1 AND id = $2`
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
		if err := s.Scan(&k.Scope, &k.ID, &k.RootID, &k.Wrapped, &created); err != nil {
			return err
		}
		k.Created = fromSecond(created)
		list = append(list, k)
		return nil
	})
	return list, err
}

// InsertDataKey implements seal.Tx. A key has no successor yet, so that a scope
// has one key; object.ErrNotFound when the scope is not a vault.
func (tx *Tx) InsertDataKey(ctx context.Context, k seal.DataKey) error {
	var vault any
	if k.Scope != seal.Installation {
		vault = k.Scope
	}
	return tx.insert(ctx, "InsertDataKey", insertDataKey, k.Scope, k.ID, k.RootID, k.Wrapped, second(k.Created), vault)
}

// RewrapDataKey implements seal.Tx; object.ErrNotFound when there is none.
func (tx *Tx) RewrapDataKey(ctx context.Context, k seal.DataKey) error {
	return tx.change(ctx, object.ErrNotFound, "RewrapDataKey", rewrapDataKey, k.Scope, k.ID, k.RootID, k.Wrapped)
}
