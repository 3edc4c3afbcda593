package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
)

const (
	secretVersionColumns = `v.version, v.content_type, v.previous,
		v.enabled, v.not_before, v.expires, v.created, v.updated, v.tags`

	insertSecretVersion = `INSERT INTO secret_versions (vault, name, version, content_type, previous,
			enabled, not_before, expires, created, updated, tags, value, seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
			(SELECT COALESCE(MAX(seq), 0) + 1 FROM secret_versions WHERE vault = $1 AND name = $2))
		ON CONFLICT DO NOTHING`

	selectSecretVersion = `SELECT h.display, ` + secretVersionColumns + `, v.value
		FROM secret_versions v JOIN secrets h ON h.vault = v.vault AND h.name = v.name
		WHERE v.vault = $1 AND v.name = $2 AND v.version = $3`

	updateSecretVersion = `UPDATE secret_versions SET content_type = $4,
			enabled = $5, not_before = $6, expires = $7, created = $8, updated = $9, tags = $10
		WHERE vault = $1 AND name = $2 AND version = $3`

	listedSecrets = `SELECT h.display, h.managed, h.current, h.deleted_at, h.purge_at, h.display, ` + secretVersionColumns + `
		FROM secrets h JOIN secret_versions v ON v.vault = h.vault AND v.name = h.name AND v.version = h.current
		WHERE h.vault = $1 AND h.name > $2 AND `
	listSecrets        = listedSecrets + `h.listed = TRUE ORDER BY h.name LIMIT $3`
	listDeletedSecrets = listedSecrets + `h.deleted_at IS NOT NULL AND NOT h.managed ORDER BY h.name LIMIT $3`

	secretSequence = `SELECT seq FROM secret_versions WHERE vault = $1 AND name = $2 AND version = $3`

	listSecretVersions = `SELECT h.display, ` + secretVersionColumns + `
		FROM secrets h JOIN secret_versions v ON v.vault = h.vault AND v.name = h.name
		WHERE h.vault = $1 AND h.name = $2 AND h.deleted_at IS NULL AND v.seq > $3
		ORDER BY v.seq LIMIT $4`

	allSecretVersions = `SELECT h.display, ` + secretVersionColumns + `, v.value
		FROM secrets h JOIN secret_versions v ON v.vault = h.vault AND v.name = h.name
		WHERE h.vault = $1 AND h.name = $2 ORDER BY v.seq`
)

// InsertSecret implements secret.Tx.
func (tx *Tx) InsertSecret(ctx context.Context, h object.Head) error {
	return tx.insertHead(ctx, "InsertSecret", secretHeads, h)
}

// SecretHead implements secret.Tx.
func (tx *Tx) SecretHead(ctx context.Context, v object.VaultID, n object.Name) (object.Head, error) {
	return tx.head(ctx, secretHeads, v, n)
}

// UpdateSecretHead implements secret.Tx; object.ErrNotFound when there is none.
func (tx *Tx) UpdateSecretHead(ctx context.Context, h object.Head) error {
	return tx.updateHead(ctx, "UpdateSecretHead", secretHeads, h)
}

// PurgeSecret implements secret.Tx.
func (tx *Tx) PurgeSecret(ctx context.Context, v object.VaultID, n object.Name) error {
	_, err := tx.exec(ctx, "PurgeSecret", secretHeads.purge, string(v), n.Key())
	return err
}

// InsertSecretVersion implements secret.Tx; object.ErrNotFound when there is no
// head.
func (tx *Tx) InsertSecretVersion(ctx context.Context, v *secret.Version) error {
	contentType, attributes, err := secretArgs(v)
	if err != nil {
		return err
	}
	args := []any{string(v.Vault), v.Name.Key(), string(v.Version), contentType, string(v.Previous)}
	args = slices.Concat(args, attributes, []any{blob(v.Value)})
	return tx.insert(ctx, "InsertSecretVersion", insertSecretVersion, args...)
}

// SecretVersion implements secret.Tx.
func (tx *Tx) SecretVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*secret.Version, error) {
	r := secretRow{vault: v}
	if err := tx.row(ctx, selectSecretVersion, []any{string(v), n.Key(), string(ver)}, r.dest(true)...); err != nil {
		return nil, err
	}
	return r.secret()
}

// UpdateSecretVersion implements secret.Tx; object.ErrNotFound when there is
// none.
func (tx *Tx) UpdateSecretVersion(ctx context.Context, v *secret.Version) error {
	contentType, attributes, err := secretArgs(v)
	if err != nil {
		return err
	}
	args := append([]any{string(v.Vault), v.Name.Key(), string(v.Version), contentType}, attributes...)
	return tx.change(ctx, object.ErrNotFound, "UpdateSecretVersion", updateSecretVersion, args...)
}

// Secrets implements secret.Tx.
func (tx *Tx) Secrets(ctx context.Context, v object.VaultID, page object.Page) ([]secret.Listed, error) {
	return tx.secretList(ctx, listSecrets, v, page)
}

// DeletedSecrets implements secret.Tx.
func (tx *Tx) DeletedSecrets(ctx context.Context, v object.VaultID, page object.Page) ([]secret.Listed, error) {
	return tx.secretList(ctx, listDeletedSecrets, v, page)
}

// DueSecrets implements secret.Tx.
func (tx *Tx) DueSecrets(ctx context.Context, now time.Time, limit int) ([]object.Head, error) {
	return tx.dueHeads(ctx, secretHeads.due, now, limit)
}

func (tx *Tx) secretList(ctx context.Context, query string, v object.VaultID, page object.Page) (list []secret.Listed, err error) {
	err = tx.rows(ctx, query, []any{string(v), page.After, page.Limit}, func(s scanner) error {
		h, r := headRow{vault: v}, secretRow{vault: v}
		if err := s.Scan(append(h.dest(), r.dest(false)...)...); err != nil {
			return err
		}
		head, err := h.head()
		if err != nil {
			return err
		}
		version, err := r.secret()
		if err != nil {
			return err
		}
		list = append(list, secret.Listed{Head: head, Version: *version})
		return nil
	})
	return list, err
}

// SecretVersions implements secret.Tx. Value is filled only with a Limit of 0.
func (tx *Tx) SecretVersions(ctx context.Context, v object.VaultID, n object.Name, page object.Page) (list []*secret.Version, err error) {
	query, args, all := allSecretVersions, []any{string(v), n.Key()}, page.Limit == 0
	if !all {
		seq, err := tx.sequence(ctx, secretSequence, v, n, page.After)
		if errors.Is(err, object.ErrNotFound) {
			return nil, nil // nothing follows what is gone
		}
		if err != nil {
			return nil, err
		}
		query, args = listSecretVersions, append(args, seq, page.Limit)
	}
	err = tx.rows(ctx, query, args, func(s scanner) error {
		r := secretRow{vault: v}
		if err := s.Scan(r.dest(all)...); err != nil {
			return err
		}
		version, err := r.secret()
		list = append(list, version)
		return err
	})
	return list, err
}

func secretArgs(v *secret.Version) (contentType string, attributes []any, err error) {
	if contentType, err = toJSON(v.ContentType); err != nil {
		return "", nil, err
	}
	attributes, err = attributeArgs(v.Attributes, v.Tags)
	return contentType, attributes, err
}

// secretRow receives display, secretVersionColumns and perhaps value.
type secretRow struct {
	vault                 object.VaultID
	display, version      string
	contentType, previous string
	attributeRow
	value []byte
}

func (r *secretRow) dest(value bool) []any {
	dest := append([]any{&r.display, &r.version, &r.contentType, &r.previous}, r.attributeRow.dest()...)
	if value {
		dest = append(dest, &r.value)
	}
	return dest
}

func (r *secretRow) secret() (*secret.Version, error) {
	name, err := storedName(r.display)
	if err != nil {
		return nil, err
	}
	v := &secret.Version{
		Vault:    r.vault,
		Name:     name,
		Version:  object.Version(r.version),
		Value:    seal.Box(r.value),
		Previous: object.Version(r.previous),
	}
	if err := fromJSON(r.contentType, &v.ContentType); err != nil {
		return nil, err
	}
	v.Attributes, v.Tags, err = r.attributes()
	return v, err
}
