package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"coffer/internal/object"
)

// headQueries are the statements over the heads of keys or secrets, which are
// alike. Certificates have more in their heads and statements of their own.
type headQueries struct {
	insert, get, update, purge, due string
}

var (
	keyHeads    = headsOf("keys")
	secretHeads = headsOf("secrets")
)

func headsOf(table string) headQueries {
	return headQueries{
		insert: `INSERT INTO ` + table + ` (vault, name, display, managed, listed, current, deleted_at, purge_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		get: `SELECT display, managed, current, deleted_at, purge_at FROM ` + table + ` WHERE vault = $1 AND name = $2`,
		update: `UPDATE ` + table + ` SET listed = $3, current = $4, deleted_at = $5, purge_at = $6
			WHERE vault = $1 AND name = $2`,
		purge: `DELETE FROM ` + table + ` WHERE vault = $1 AND name = $2`,
		due: `SELECT vault, display, managed, current, deleted_at, purge_at FROM ` + table + `
			WHERE purge_at <= $1 AND NOT managed /* each row */ ORDER BY purge_at, vault, name LIMIT $2`,
	}
}

func (tx *Tx) insertHead(ctx context.Context, point string, q headQueries, h object.Head) error {
	at, purge := deletionColumns(h.Deletion)
	return tx.insert(ctx, point, q.insert,
		string(h.Vault), h.Name.Key(), h.Name.String(), h.Managed, listed(h), string(h.Current), at, purge)
}

// listed tells whether lists of keys or secrets show the name.
func listed(h object.Head) bool { return h.Deletion == nil && h.Current != "" }

func (tx *Tx) head(ctx context.Context, q headQueries, v object.VaultID, n object.Name) (object.Head, error) {
	r := headRow{vault: v}
	if err := tx.row(ctx, q.get, []any{string(v), n.Key()}, r.dest()...); err != nil {
		return object.Head{}, err
	}
	return r.head()
}

func (tx *Tx) updateHead(ctx context.Context, point string, q headQueries, h object.Head) error {
	at, purge := deletionColumns(h.Deletion)
	return tx.change(ctx, object.ErrNotFound, point, q.update,
		string(h.Vault), h.Name.Key(), listed(h), string(h.Current), at, purge)
}

// dueHeads reads the heads that are to be purged, the longest due first.
func (tx *Tx) dueHeads(ctx context.Context, query string, now time.Time, limit int) (heads []object.Head, err error) {
	err = tx.rows(ctx, query, []any{second(now), limit}, func(s scanner) error {
		var vault string
		var h headRow
		if err := s.Scan(append([]any{&vault}, h.dest()...)...); err != nil {
			return err
		}
		h.vault = object.VaultID(vault)
		head, err := h.head()
		heads = append(heads, head)
		return err
	})
	return heads, err
}

// headRow receives display, managed, current, deleted_at and purge_at.
type headRow struct {
	vault    object.VaultID
	display  string
	managed  bool
	current  string
	deleted  sql.NullInt64
	purgedAt sql.NullInt64
}

func (r *headRow) dest() []any {
	return []any{&r.display, &r.managed, &r.current, &r.deleted, &r.purgedAt}
}

func (r *headRow) head() (object.Head, error) {
	name, err := storedName(r.display)
	if err != nil {
		return object.Head{}, err
	}
	return object.Head{
		Vault:    r.vault,
		Name:     name,
		Managed:  r.managed,
		Current:  object.Version(r.current),
		Deletion: fromDeletion(r.deleted, r.purgedAt),
	}, nil
}

func deletionColumns(d *object.Deletion) (at, purge any) {
	if d == nil {
		return nil, nil
	}
	return second(d.At), second(d.PurgeAt)
}

func fromDeletion(at, purge sql.NullInt64) *object.Deletion {
	if !at.Valid {
		return nil
	}
	return &object.Deletion{At: fromSecond(at.Int64), PurgeAt: fromSecond(purge.Int64)}
}

// storedName reads a name that was good when it was stored.
func storedName(s string) (object.Name, error) {
	n, err := object.ParseName(s)
	if err != nil {
		return n, fmt.Errorf("store: a stored name is damaged: %w", err)
	}
	return n, nil
}

// attributeRow receives the columns that every version has: enabled,
// not_before, expires, created, updated and tags.
type attributeRow struct {
	enabled          bool
	notBefore        sql.NullInt64
	expires          sql.NullInt64
	created, updated int64
	tags             sql.NullString
}

func (r *attributeRow) dest() []any {
	return []any{&r.enabled, &r.notBefore, &r.expires, &r.created, &r.updated, &r.tags}
}

func (r *attributeRow) attributes() (object.Attributes, object.Tags, error) {
	tags, err := fromTags(r.tags)
	return object.Attributes{
		Enabled:   r.enabled,
		NotBefore: fromNullSecond(r.notBefore),
		Expires:   fromNullSecond(r.expires),
		Created:   fromSecond(r.created),
		Updated:   fromSecond(r.updated),
	}, tags, err
}

// attributeArgs are the columns of attributeRow as arguments.
func attributeArgs(a object.Attributes, t object.Tags) ([]any, error) {
	tags, err := tagsColumn(t)
	if err != nil {
		return nil, err
	}
	return []any{a.Enabled, secondOrNull(a.NotBefore), secondOrNull(a.Expires), second(a.Created), second(a.Updated), tags}, nil
}

// sequence reads where a version stands in the order of creation; "" is before
// the first. A version that is gone is object.ErrNotFound.
func (tx *Tx) sequence(ctx context.Context, query string, v object.VaultID, n object.Name, after string) (seq int64, err error) {
	if after == "" {
		return 0, nil
	}
	err = tx.row(ctx, query, []any{string(v), n.Key(), after}, &seq)
	return seq, err
}
