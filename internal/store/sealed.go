package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"coffer/internal/object"
	"coffer/internal/seal"
)

// sealedColumn is a column that holds boxes: where they are, and which place each is
// sealed to.
type sealedColumn struct {
	table, column string
	vault         bool   // else it is of the installation
	name, version string // the columns that name the row within its vault; version may be ""

	kind, as string // of the place: its Kind and Column

	list, count, countAll, replace string // the queries
}

// sealedColumns are all that there are: a column is missing here if a test finds a BLOB in
// the schema that is neither here nor said to hold something else. Each has an index by
// the key of its boxes, and triggers that refuse boxes of a closed key (migration 8).
var sealedColumns = func() []sealedColumn {
	list := []sealedColumn{
		{table: "key_versions", column: "private", vault: true, name: "name", version: "version", kind: "key", as: "private"},
		{table: "secret_versions", column: "value", vault: true, name: "name", version: "version", kind: "secret", as: "value"},
		{table: "certificate_operations", column: "private", vault: true, name: "name", version: "request_id", kind: "operation", as: "private"},
		{table: "certificate_operations", column: "order_state", vault: true, name: "name", version: "request_id", kind: "operation", as: "order"},
		{table: "issuers", column: "password", vault: true, name: "name", kind: "issuer", as: "password"},
		{table: "signing_keys", column: "private", name: "id", kind: "signing-key", as: "private"},
	}
	for i := range list {
		list[i].prepare()
	}
	return list
}()

// prepare makes the queries. Their parameters are the vault, the key, the name and the version
// before, and the limit, as far as they have them.
func (c *sealedColumn) prepare() {
	n := 0
	next := func() string { n++; return "$" + strconv.Itoa(n) }
	row := c.column + " IS NOT NULL"
	if c.vault {
		row = "vault = " + next() + " AND " + row
	}
	from := " FROM " + c.table + " WHERE " + row
	c.countAll = "/* unverified: a number to show */ SELECT COUNT(*)" + from
	from += " AND substr(" + c.column + ", 2, 8) = " + next()
	c.count = "/* unverified: a number to show */ SELECT COUNT(*)" + from
	// Of one name there is one row at the most where the version is no part of the key.
	order, after, version := c.name, next(), cmp.Or(c.version, "''")
	if c.versioned() {
		order, after = order+", "+version, after+", "+next()
	}
	c.list = "/* unverified: a box is bound to its place */ SELECT " + c.name + ", " + version + ", " + c.column + from +
		" AND (" + order + ") > (" + after + ") ORDER BY " + order + " LIMIT " + next()

	n = 0
	c.replace = "UPDATE " + c.table + " SET " + c.column + " = " + next() + " WHERE " + c.column + " = " + next() + " AND " + c.name + " = " + next()
	if c.version != "" {
		c.replace += " AND " + c.version + " = " + next()
	}
	if c.vault {
		c.replace += " AND vault = " + next()
	}
}

// versioned tells whether a name has several rows.
func (c *sealedColumn) versioned() bool { return c.version == "version" }

// SealedColumns names the columns that hold boxes, as TABLE.COLUMN: for checks.
func SealedColumns() (names []string) {
	for _, c := range sealedColumns {
		names = append(names, c.table+"."+c.column)
	}
	return names
}

// columnsOf are the columns that hold boxes of a scope.
func columnsOf(scope string) (list []*sealedColumn) {
	for i := range sealedColumns {
		c := &sealedColumns[i]
		if c.vault && seal.VaultOf(scope) != "" || !c.vault && scope == seal.Installation {
			list = append(list, c)
		}
	}
	return list
}

// scopeArgs are the first arguments of a query about a scope.
func (c *sealedColumn) scopeArgs(scope string, more ...any) []any {
	if c.vault {
		return append([]any{scope}, more...)
	}
	return more
}

// SealedUnder implements seal.Tx: column by column, by name and version. Of the key that
// authenticates rows it tells only whether there are any.
func (tx *Tx) SealedUnder(ctx context.Context, scope, id string, after seal.Place, limit int) (list []seal.Stored, err error) {
	key, err := hex.DecodeString(id)
	if err != nil {
		return nil, fmt.Errorf("store: bad data key id %q", id)
	}
	if scope == seal.Rows {
		n, err := tx.taggedBy(ctx, id)
		if err == nil && n > 0 {
			list = append(list, seal.Stored{Place: seal.Place{Kind: "row"}})
		}
		return list, err
	}
	columns := columnsOf(scope)
	if after.Kind != "" {
		i := slices.IndexFunc(columns, func(c *sealedColumn) bool { return c.kind == after.Kind && c.as == after.Column })
		columns = columns[max(i, 0):]
	}
	for i, c := range columns {
		if i > 0 {
			after = seal.Place{}
		}
		args := c.scopeArgs(scope, key, after.Name)
		if c.versioned() {
			args = append(args, after.Version)
		}
		err := tx.rows(ctx, c.list, append(args, limit-len(list)), func(s scanner) error {
			p := seal.Place{Kind: c.kind, Vault: seal.VaultOf(scope), Column: c.as}
			var box []byte
			err := s.Scan(&p.Name, &p.Version, &box)
			list = append(list, seal.Stored{Place: p, Box: box})
			return err
		})
		if err != nil || len(list) == limit {
			return list, err
		}
	}
	return list, nil
}

// CountSealed implements seal.Tx.
func (tx *Tx) CountSealed(ctx context.Context, scope, id string) (sum int64, err error) {
	key, err := hex.DecodeString(id)
	if err != nil {
		return 0, fmt.Errorf("store: bad data key id %q", id)
	}
	if scope == seal.Rows {
		return tx.taggedBy(ctx, id)
	}
	for _, c := range columnsOf(scope) {
		query, args := c.countAll, c.scopeArgs(scope)
		if id != "" {
			query, args = c.count, c.scopeArgs(scope, key)
		}
		var n int64
		if err := tx.row(ctx, query, args, &n); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// ReplaceBox implements seal.Tx.
func (tx *Tx) ReplaceBox(ctx context.Context, s seal.Stored, by seal.Box) error {
	p := s.Place
	i := slices.IndexFunc(sealedColumns, func(c sealedColumn) bool { return c.kind == p.Kind && c.as == p.Column })
	if i < 0 {
		return fmt.Errorf("store: no column holds %s %s", p.Kind, p.Column)
	}
	c := &sealedColumns[i]
	args := []any{[]byte(by), []byte(s.Box), p.Name}
	if c.version != "" {
		args = append(args, p.Version)
	}
	if c.vault {
		args = append(args, string(p.Vault))
	}
	return tx.change(ctx, object.ErrChanged, "ReplaceBox", c.replace, args...)
}

// changedIfAbsent makes of a row that is not there one that was changed.
func changedIfAbsent(err error) error {
	if errors.Is(err, object.ErrNotFound) {
		return object.ErrChanged
	}
	return err
}
