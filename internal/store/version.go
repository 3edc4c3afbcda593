package store

import (
	"bytes"
	"context"
	"database/sql"
	"slices"

	"coffer/internal/certificate"
	"coffer/internal/object"
)

const (
	versionColumns = `v.version, v.completed, v.thumbprint, v.preserve_order, v.next_action,
		v.enabled, v.not_before, v.expires, v.created, v.updated, v.tags`

	// wideColumns are covered by content, their digest.
	wideColumns = `v.leaf, v.chain, v.content`

	insertVersion = `INSERT INTO certificate_versions (vault, name, version, completed, thumbprint, preserve_order, next_action,
			enabled, not_before, expires, created, updated, tags, leaf, chain, content, seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
			(SELECT COALESCE(MAX(seq), 0) + 1 FROM certificate_versions WHERE vault = $1 AND name = $2))
		ON CONFLICT DO NOTHING`

	// markIssued marks the name that has a completed version. It never goes back:
	// completed versions end only with their name.
	markIssued = `UPDATE certificates SET issued = TRUE WHERE vault = $1 AND name = $2 AND NOT issued`

	updateVersion = `UPDATE certificate_versions SET next_action = $4,
			enabled = $5, not_before = $6, expires = $7, created = $8, updated = $9, tags = $10
		WHERE vault = $1 AND name = $2 AND version = $3`

	deleteVersion = `DELETE FROM certificate_versions WHERE vault = $1 AND name = $2 AND version = $3 AND NOT completed`

	selectVersion = `SELECT h.display, ` + versionColumns + `, ` + wideColumns + `
		FROM certificate_versions v JOIN certificates h ON h.vault = v.vault AND h.name = v.name
		WHERE v.vault = $1 AND v.name = $2 AND v.version = $3`

	versionSequence = `SELECT seq FROM certificate_versions WHERE vault = $1 AND name = $2 AND version = $3`

	listVersions = `SELECT h.display, ` + versionColumns + `
		FROM certificates h JOIN certificate_versions v ON v.vault = h.vault AND v.name = h.name
		WHERE h.vault = $1 AND h.name = $2 AND h.deleted_at IS NULL AND v.seq > $3 AND v.completed
		ORDER BY v.seq LIMIT $4`

	allVersions = `SELECT h.display, ` + versionColumns + `, ` + wideColumns + `
		FROM certificates h JOIN certificate_versions v ON v.vault = h.vault AND v.name = h.name
		WHERE h.vault = $1 AND h.name = $2 ORDER BY v.seq`
)

// InsertVersion implements certificate.Tx; object.ErrNotFound when there is no
// head.
func (tx *Tx) InsertVersion(ctx context.Context, v *certificate.Version) error {
	attributes, err := attributeArgs(v.Attributes, v.Tags)
	if err != nil {
		return err
	}
	args := []any{string(v.Vault), v.Name.Key(), string(v.Version), v.Completed,
		blob(v.Thumbprint), v.PreserveOrder, zeroIsNull(v.NextAction)}
	chain := packList(v.Chain)
	args = slices.Concat(args, attributes, []any{blob(v.Leaf), blob(chain), blob(contentOf(v.Leaf, chain))})
	if err := tx.insert(ctx, "InsertVersion", insertVersion, args...); err != nil || !v.Completed {
		return err
	}
	_, err = tx.exec(ctx, "InsertVersion", markIssued, string(v.Vault), v.Name.Key())
	return err
}

// UpdateVersion implements certificate.Tx; object.ErrNotFound when there is
// none.
func (tx *Tx) UpdateVersion(ctx context.Context, v *certificate.Version) error {
	attributes, err := attributeArgs(v.Attributes, v.Tags)
	if err != nil {
		return err
	}
	args := append([]any{string(v.Vault), v.Name.Key(), string(v.Version), zeroIsNull(v.NextAction)}, attributes...)
	return tx.change(ctx, object.ErrNotFound, "UpdateVersion", updateVersion, args...)
}

// DeleteVersion implements certificate.Tx: a completed version stays.
func (tx *Tx) DeleteVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) error {
	_, err := tx.exec(ctx, "DeleteVersion", deleteVersion, string(v), n.Key(), string(ver))
	return err
}

// CertificateVersion implements certificate.Tx.
func (tx *Tx) CertificateVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*certificate.Version, error) {
	var r versionRow
	var display string
	dest := slices.Concat([]any{&display}, r.dest(), r.wide())
	if err := tx.row(ctx, selectVersion, []any{string(v), n.Key(), string(ver)}, dest...); err != nil {
		return nil, err
	}
	name, err := storedName(display)
	if err != nil {
		return nil, err
	}
	return r.whole(tx, v, name)
}

// CertificateVersions implements certificate.Tx. Leaf and Chain are filled only
// with a Limit of 0.
func (tx *Tx) CertificateVersions(ctx context.Context, v object.VaultID, n object.Name, page object.Page) (list []*certificate.Version, err error) {
	query, args, all := allVersions, []any{string(v), n.Key()}, page.Limit == 0
	if !all {
		seq, err := tx.sequence(ctx, versionSequence, v, n, page.After)
		if err != nil {
			return nil, err
		}
		query, args = listVersions, append(args, seq, page.Limit)
	}
	err = tx.rows(ctx, query, args, func(s scanner) error {
		var r versionRow
		var display string
		dest := append([]any{&display}, r.dest()...)
		if all {
			dest = append(dest, r.wide()...)
		}
		if err := s.Scan(dest...); err != nil {
			return err
		}
		name, err := storedName(display)
		if err != nil {
			return err
		}
		read := r.certificate
		if all {
			read = func(v object.VaultID, n object.Name) (*certificate.Version, error) { return r.whole(tx, v, n) }
		}
		version, err := read(v, name)
		list = append(list, version)
		return err
	})
	return list, err
}

// versionRow receives versionColumns, and perhaps wideColumns.
type versionRow struct {
	version       string
	completed     bool
	thumbprint    []byte
	preserveOrder bool
	nextAction    sql.NullInt64
	attributeRow
	leaf, chain, content []byte
}

func (r *versionRow) dest() []any {
	return append([]any{&r.version, &r.completed, &r.thumbprint, &r.preserveOrder, &r.nextAction}, r.attributeRow.dest()...)
}

func (r *versionRow) wide() []any { return []any{&r.leaf, &r.chain, &r.content} }

// whole is a version with its wide columns, which are compared with their digest.
func (r *versionRow) whole(tx *Tx, v object.VaultID, n object.Name) (*certificate.Version, error) {
	if !bytes.Equal(contentOf(r.leaf, r.chain), r.content) {
		return nil, tx.guard.forged("certificate_versions " + string(v) + "/" + n.Key() + "/" + r.version)
	}
	return r.certificate(v, n)
}

func (r *versionRow) certificate(v object.VaultID, n object.Name) (_ *certificate.Version, err error) {
	c := &certificate.Version{
		Vault:         v,
		Name:          n,
		Version:       object.Version(r.version),
		Completed:     r.completed,
		Leaf:          r.leaf,
		Thumbprint:    r.thumbprint,
		PreserveOrder: r.preserveOrder,
		NextAction:    fromZeroSecond(r.nextAction),
	}
	if c.Chain, err = unpackList(r.chain); err != nil {
		return nil, err
	}
	c.Attributes, c.Tags, err = r.attributes()
	return c, err
}
