package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
)

const (
	pending = `EXISTS (SELECT 1 FROM certificate_operations o WHERE o.vault = h.vault AND o.name = h.name)`

	certificateColumns = `h.display, h.current, h.deleted_at, h.purge_at, h.policy, ` + pending

	insertCertificate = `INSERT INTO certificates (vault, name, display, current, deleted, deleted_at, purge_at, policy, issued)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE) ON CONFLICT DO NOTHING`

	updateCertificate = `UPDATE certificates SET current = $3, deleted = $4, deleted_at = $5, purge_at = $6, policy = $7
		WHERE vault = $1 AND name = $2`

	selectCertificate = `SELECT ` + certificateColumns + ` FROM certificates h WHERE h.vault = $1 AND h.name = $2`

	selectCurrent = `SELECT ` + certificateColumns + `, ` + versionColumns + `, ` + wideColumns + `
		FROM certificates h JOIN certificate_versions v ON v.vault = h.vault AND v.name = h.name AND v.version = h.current
		WHERE h.vault = $1 AND h.name = $2`

	purgeCertificate = `DELETE FROM certificates WHERE vault = $1 AND name = $2`

	duePurges = `SELECT vault, display, FALSE, current, deleted_at, purge_at FROM certificates
		WHERE purge_at <= $1 /* each row */ ORDER BY purge_at, vault, name LIMIT $2`

	listBegin = `SELECT h.display, h.current, h.deleted_at, h.purge_at, ` + versionColumns + `
		FROM certificates h JOIN certificate_versions v ON v.vault = h.vault AND v.name = h.name AND v.version = h.current
		WHERE h.vault = $1 AND h.name > $2 AND h.deleted = `
	listEnd = ` ORDER BY h.name LIMIT $3`
)

// The lists, each over an index that has just its names side by side, so that a
// page costs the same however many names there are of the other sorts.
var certificateLists = map[certificate.ListQuery]string{
	{Deleted: false, Pending: false}: listBegin + `FALSE AND h.issued = TRUE` + listEnd,
	{Deleted: false, Pending: true}:  listBegin + `FALSE` + listEnd,
	{Deleted: true, Pending: false}:  listBegin + `TRUE AND h.issued = TRUE` + listEnd,
	{Deleted: true, Pending: true}:   listBegin + `TRUE` + listEnd,
}

// InsertCertificate implements certificate.Tx.
func (tx *Tx) InsertCertificate(ctx context.Context, c *certificate.Certificate) error {
	policy, err := toJSON(c.Policy.Stored())
	if err != nil {
		return err
	}
	at, purge := deletionColumns(c.Head.Deletion)
	return tx.insert(ctx, "InsertCertificate", insertCertificate, string(c.Head.Vault), c.Head.Name.Key(),
		c.Head.Name.String(), string(c.Head.Current), c.Head.Deletion != nil, at, purge, policy)
}

// UpdateCertificate implements certificate.Tx; object.ErrNotFound when there is
// none.
func (tx *Tx) UpdateCertificate(ctx context.Context, c *certificate.Certificate) error {
	policy, err := toJSON(c.Policy.Stored())
	if err != nil {
		return err
	}
	at, purge := deletionColumns(c.Head.Deletion)
	return tx.change(ctx, object.ErrNotFound, "UpdateCertificate", updateCertificate, string(c.Head.Vault),
		c.Head.Name.Key(), string(c.Head.Current), c.Head.Deletion != nil, at, purge, policy)
}

// Certificate implements certificate.Tx.
func (tx *Tx) Certificate(ctx context.Context, v object.VaultID, n object.Name) (*certificate.Certificate, error) {
	r := certificateRow{vault: v}
	if err := tx.row(ctx, selectCertificate, []any{string(v), n.Key()}, r.dest()...); err != nil {
		return nil, err
	}
	return r.certificate()
}

// CurrentCertificate implements certificate.Tx. A name without a version is
// object.ErrNotFound too.
func (tx *Tx) CurrentCertificate(ctx context.Context, v object.VaultID, n object.Name) (*certificate.Certificate, *certificate.Version, error) {
	r := certificateRow{vault: v}
	var ver versionRow
	dest := slices.Concat(r.dest(), ver.dest(), ver.wide())
	if err := tx.row(ctx, selectCurrent, []any{string(v), n.Key()}, dest...); err != nil {
		return nil, nil, err
	}
	c, err := r.certificate()
	if err != nil {
		return nil, nil, err
	}
	version, err := ver.whole(tx, v, c.Head.Name)
	if err != nil {
		return nil, nil, err
	}
	return c, version, nil
}

// Certificates implements certificate.Tx.
func (tx *Tx) Certificates(ctx context.Context, v object.VaultID, q certificate.ListQuery) (list []certificate.Listed, err error) {
	query := certificateLists[certificate.ListQuery{Deleted: q.Deleted, Pending: q.Pending}]
	err = tx.rows(ctx, query, []any{string(v), q.Page.After, q.Page.Limit}, func(s scanner) error {
		h, r := headRow{vault: v}, versionRow{}
		if err := s.Scan(append([]any{&h.display, &h.current, &h.deleted, &h.purgedAt}, r.dest()...)...); err != nil {
			return err
		}
		head, err := h.head()
		if err != nil {
			return err
		}
		version, err := r.certificate(v, head.Name)
		if err != nil {
			return err
		}
		list = append(list, certificate.Listed{Head: head, Version: *version})
		return nil
	})
	return list, err
}

// PurgeCertificate implements certificate.Tx.
func (tx *Tx) PurgeCertificate(ctx context.Context, v object.VaultID, n object.Name) error {
	_, err := tx.exec(ctx, "PurgeCertificate", purgeCertificate, string(v), n.Key())
	return err
}

// DuePurges implements certificate.Tx.
func (tx *Tx) DuePurges(ctx context.Context, now time.Time, limit int) ([]object.Head, error) {
	return tx.dueHeads(ctx, duePurges, now, limit)
}

// certificateRow receives certificateColumns.
type certificateRow struct {
	vault            object.VaultID
	display, current string
	deleted, purge   sql.NullInt64
	policy           string
	pending          bool
}

func (r *certificateRow) dest() []any {
	return []any{&r.display, &r.current, &r.deleted, &r.purge, &r.policy, &r.pending}
}

func (r *certificateRow) certificate() (*certificate.Certificate, error) {
	name, err := storedName(r.display)
	if err != nil {
		return nil, err
	}
	c := &certificate.Certificate{
		Head: object.Head{
			Vault:    r.vault,
			Name:     name,
			Current:  object.Version(r.current),
			Deletion: fromDeletion(r.deleted, r.purge),
		},
		Pending: r.pending,
	}
	var p *issuance.StoredPolicy
	if err := fromJSON(r.policy, &p); err != nil {
		return nil, err
	}
	c.Policy = p.Policy()
	return c, nil
}
