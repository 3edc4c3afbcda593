package store

import (
	"context"
	"errors"

	"coffer/internal/hsm"
	"coffer/internal/object"
)

const (
	// hsmKeys: "" is every name.
	hsmKeys = `/* unverified: who adds a row keeps a key from being destroyed, no more */ SELECT hsm_id FROM key_versions WHERE vault = $1 AND ($2 = '' OR name = $2) AND hsm_id IS NOT NULL
		UNION SELECT hsm_id FROM certificate_operations WHERE vault = $1 AND ($2 = '' OR name = $2) AND hsm_id IS NOT NULL
		ORDER BY hsm_id`

	hsmKeyInUse = `/* unverified: who adds a row keeps a key from being destroyed, no more */ SELECT 1 FROM key_versions WHERE hsm_id = $1
		UNION ALL SELECT 1 FROM certificate_operations WHERE hsm_id = $1 LIMIT 1`
)

// HSMKeys implements key.HandleTx.
func (tx *Tx) HSMKeys(ctx context.Context, v object.VaultID, n object.Name) (list []hsm.ID, err error) {
	err = tx.rows(ctx, hsmKeys, []any{string(v), n.Key()}, func(s scanner) error {
		var column []byte
		if err := s.Scan(&column); err != nil {
			return err
		}
		id, err := fromHSM(column)
		list = append(list, id)
		return err
	})
	return list, err
}

// HSMKeyInUse implements key.HandleTx.
func (tx *Tx) HSMKeyInUse(ctx context.Context, id hsm.ID) (bool, error) {
	var found int
	err := tx.row(ctx, hsmKeyInUse, []any{id[:]}, &found)
	if errors.Is(err, object.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// hsmColumn stores the zero id as NULL.
func hsmColumn(id hsm.ID) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

var errHSMColumn = errors.New("malformed id of a key in the HSM")

func fromHSM(column []byte) (id hsm.ID, err error) {
	if column != nil && len(column) != len(id) {
		return id, errHSMColumn
	}
	copy(id[:], column)
	return id, nil
}
