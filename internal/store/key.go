package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

const (
	keyVersionColumns = `v.version, v.algorithm, v.size, v.curve, v.ops, v.exportable,
		v.enabled, v.not_before, v.expires, v.created, v.updated, v.tags, v.public, v.hsm_id`

	insertKeyVersion = `INSERT INTO key_versions (vault, name, version, algorithm, size, curve, ops, exportable,
			enabled, not_before, expires, created, updated, tags, public, private, hsm_id, seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
			(SELECT COALESCE(MAX(seq), 0) + 1 FROM key_versions WHERE vault = $1 AND name = $2))
		ON CONFLICT DO NOTHING`

	selectKeyVersion = `SELECT h.display, ` + keyVersionColumns + `, v.private
		FROM key_versions v JOIN keys h ON h.vault = v.vault AND h.name = v.name
		WHERE v.vault = $1 AND v.name = $2 AND v.version = $3`

	updateKeyVersion = `UPDATE key_versions SET ops = $4,
			enabled = $5, not_before = $6, expires = $7, created = $8, updated = $9, tags = $10
		WHERE vault = $1 AND name = $2 AND version = $3`

	// selectKey is a version by its id, or the current one by "".
	selectKey = `SELECT h.display, h.managed, h.current, h.deleted_at, h.purge_at, h.display, ` + keyVersionColumns + `, v.private
		FROM keys h JOIN key_versions v ON v.vault = h.vault AND v.name = h.name
			AND v.version = CASE WHEN $3 = '' THEN h.current ELSE $3 END
		WHERE h.vault = $1 AND h.name = $2`

	listedKeys = `SELECT h.display, h.managed, h.current, h.deleted_at, h.purge_at, h.display, ` + keyVersionColumns + `
		FROM keys h JOIN key_versions v ON v.vault = h.vault AND v.name = h.name AND v.version = h.current
		WHERE h.vault = $1 AND h.name > $2 AND `
	listKeys        = listedKeys + `h.listed = TRUE ORDER BY h.name LIMIT $3`
	listDeletedKeys = listedKeys + `h.deleted_at IS NOT NULL AND NOT h.managed ORDER BY h.name LIMIT $3`

	keySequence = `SELECT seq FROM key_versions WHERE vault = $1 AND name = $2 AND version = $3`

	listKeyVersions = `SELECT h.display, ` + keyVersionColumns + `
		FROM keys h JOIN key_versions v ON v.vault = h.vault AND v.name = h.name
		WHERE h.vault = $1 AND h.name = $2 AND h.deleted_at IS NULL AND v.seq > $3
		ORDER BY v.seq LIMIT $4`

	allKeyVersions = `SELECT h.display, ` + keyVersionColumns + `, v.private
		FROM keys h JOIN key_versions v ON v.vault = h.vault AND v.name = h.name
		WHERE h.vault = $1 AND h.name = $2 ORDER BY v.seq`

	selectRotation = `SELECT rotate_after, rotate_before, notify_before, expiry, created, updated
		FROM key_rotation WHERE vault = $1 AND name = $2`

	putRotation = `INSERT INTO key_rotation (vault, name, rotate_after, rotate_before, notify_before, expiry, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (vault, name) DO UPDATE SET rotate_after = excluded.rotate_after, rotate_before = excluded.rotate_before,
			notify_before = excluded.notify_before, expiry = excluded.expiry, created = excluded.created, updated = excluded.updated`
)

// InsertKey implements key.Tx.
func (tx *Tx) InsertKey(ctx context.Context, h object.Head) error {
	return tx.insertHead(ctx, "InsertKey", keyHeads, h)
}

// KeyHead implements key.Tx.
func (tx *Tx) KeyHead(ctx context.Context, v object.VaultID, n object.Name) (object.Head, error) {
	return tx.head(ctx, keyHeads, v, n)
}

// UpdateKeyHead implements key.Tx; object.ErrNotFound when there is none.
func (tx *Tx) UpdateKeyHead(ctx context.Context, h object.Head) error {
	return tx.updateHead(ctx, "UpdateKeyHead", keyHeads, h)
}

// PurgeKey implements key.Tx.
func (tx *Tx) PurgeKey(ctx context.Context, v object.VaultID, n object.Name) error {
	_, err := tx.exec(ctx, "PurgeKey", keyHeads.purge, string(v), n.Key())
	return err
}

// InsertKeyVersion implements key.Tx; object.ErrNotFound when there is no head.
func (tx *Tx) InsertKeyVersion(ctx context.Context, v *key.Version) error {
	ops, attributes, err := keyArgs(v)
	if err != nil {
		return err
	}
	args := []any{string(v.Vault), v.Name.Key(), string(v.Version),
		string(v.Spec.Algorithm), v.Spec.Size, string(v.Spec.Curve), ops, v.Exportable}
	args = slices.Concat(args, attributes, []any{blob(v.Public), blob(v.Private), hsmColumn(v.HSM)})
	return tx.insert(ctx, "InsertKeyVersion", insertKeyVersion, args...)
}

// KeyVersion implements key.Tx.
func (tx *Tx) KeyVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*key.Version, error) {
	r := keyRow{vault: v}
	if err := tx.row(ctx, selectKeyVersion, []any{string(v), n.Key(), string(ver)}, r.dest(true)...); err != nil {
		return nil, err
	}
	return r.key()
}

// UpdateKeyVersion implements key.Tx; object.ErrNotFound when there is none.
func (tx *Tx) UpdateKeyVersion(ctx context.Context, v *key.Version) error {
	ops, attributes, err := keyArgs(v)
	if err != nil {
		return err
	}
	args := append([]any{string(v.Vault), v.Name.Key(), string(v.Version), ops}, attributes...)
	return tx.change(ctx, object.ErrNotFound, "UpdateKeyVersion", updateKeyVersion, args...)
}

// Key implements key.Tx.
func (tx *Tx) Key(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (object.Head, *key.Version, error) {
	h, r := headRow{vault: v}, keyRow{vault: v}
	if err := tx.row(ctx, selectKey, []any{string(v), n.Key(), string(ver)}, append(h.dest(), r.dest(true)...)...); err != nil {
		return object.Head{}, nil, err
	}
	head, err := h.head()
	if err != nil {
		return object.Head{}, nil, err
	}
	version, err := r.key()
	return head, version, err
}

// Keys implements key.Tx.
func (tx *Tx) Keys(ctx context.Context, v object.VaultID, page object.Page) ([]key.Listed, error) {
	return tx.keyList(ctx, listKeys, v, page)
}

// DeletedKeys implements key.Tx.
func (tx *Tx) DeletedKeys(ctx context.Context, v object.VaultID, page object.Page) ([]key.Listed, error) {
	return tx.keyList(ctx, listDeletedKeys, v, page)
}

// DueKeyPurges implements key.Tx.
func (tx *Tx) DueKeyPurges(ctx context.Context, now time.Time, limit int) ([]object.Head, error) {
	return tx.dueHeads(ctx, keyHeads.due, now, limit)
}

func (tx *Tx) keyList(ctx context.Context, query string, v object.VaultID, page object.Page) (list []key.Listed, err error) {
	err = tx.rows(ctx, query, []any{string(v), page.After, page.Limit}, func(s scanner) error {
		h, r := headRow{vault: v}, keyRow{vault: v}
		if err := s.Scan(append(h.dest(), r.dest(false)...)...); err != nil {
			return err
		}
		head, err := h.head()
		if err != nil {
			return err
		}
		version, err := r.key()
		if err != nil {
			return err
		}
		list = append(list, key.Listed{Head: head, Version: *version})
		return nil
	})
	return list, err
}

// RotationPolicy implements key.Tx.
func (tx *Tx) RotationPolicy(ctx context.Context, v object.VaultID, n object.Name) (*key.RotationPolicy, error) {
	var afterCreate, beforeExpiry, notice, expiry string
	var created, updated int64
	err := tx.row(ctx, selectRotation, []any{string(v), n.Key()}, &afterCreate, &beforeExpiry, &notice, &expiry, &created, &updated)
	if err != nil {
		return nil, err
	}
	return key.StoredPolicy(afterCreate, beforeExpiry, notice, expiry, fromSecond(created), fromSecond(updated))
}

// PutRotationPolicy implements key.Tx; object.ErrNotFound when there is no head.
func (tx *Tx) PutRotationPolicy(ctx context.Context, v object.VaultID, n object.Name, p *key.RotationPolicy) error {
	_, err := tx.exec(ctx, "PutRotationPolicy", putRotation, string(v), n.Key(), p.RotateAfterCreate.String(),
		p.RotateBeforeExpiry.String(), p.NotifyBeforeExpiry.String(), p.ExpiryTime.String(), second(p.Created), second(p.Updated))
	return err
}

// KeyVersions implements key.Tx. Private is filled only with a Limit of 0.
func (tx *Tx) KeyVersions(ctx context.Context, v object.VaultID, n object.Name, page object.Page) (list []*key.Version, err error) {
	query, args, all := allKeyVersions, []any{string(v), n.Key()}, page.Limit == 0
	if !all {
		seq, err := tx.sequence(ctx, keySequence, v, n, page.After)
		if errors.Is(err, object.ErrNotFound) {
			return nil, nil // nothing follows what is gone
		}
		if err != nil {
			return nil, err
		}
		query, args = listKeyVersions, append(args, seq, page.Limit)
	}
	err = tx.rows(ctx, query, args, func(s scanner) error {
		r := keyRow{vault: v}
		if err := s.Scan(r.dest(all)...); err != nil {
			return err
		}
		version, err := r.key()
		list = append(list, version)
		return err
	})
	return list, err
}

func keyArgs(v *key.Version) (ops string, attributes []any, err error) {
	if ops, err = toJSON(v.Ops); err != nil {
		return "", nil, err
	}
	attributes, err = attributeArgs(v.Attributes, v.Tags)
	return ops, attributes, err
}

// keyRow receives display, keyVersionColumns and perhaps private.
type keyRow struct {
	vault            object.VaultID
	display, version string
	algorithm, curve string
	size             int
	ops              string
	exportable       bool
	attributeRow
	public, hsm, private []byte
}

func (r *keyRow) dest(private bool) []any {
	dest := []any{&r.display, &r.version, &r.algorithm, &r.size, &r.curve, &r.ops, &r.exportable}
	dest = append(append(dest, r.attributeRow.dest()...), &r.public, &r.hsm)
	if private {
		dest = append(dest, &r.private)
	}
	return dest
}

func (r *keyRow) key() (*key.Version, error) {
	name, err := storedName(r.display)
	if err != nil {
		return nil, err
	}
	v := &key.Version{
		Vault:      r.vault,
		Name:       name,
		Version:    object.Version(r.version),
		Spec:       pki.KeySpec{Algorithm: pki.Algorithm(r.algorithm), Size: r.size, Curve: pki.Curve(r.curve)},
		Public:     r.public,
		Private:    seal.Box(r.private),
		Exportable: r.exportable,
	}
	if err := fromJSON(r.ops, &v.Ops); err != nil {
		return nil, err
	}
	if v.HSM, err = fromHSM(r.hsm); err != nil {
		return nil, err
	}
	v.Attributes, v.Tags, err = r.attributes()
	return v, err
}
