package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"coffer/internal/seal"
)

// tagBatch is how many rows get a tag in one transaction.
const tagBatch = 1000

// protectedNames are the protected tables, in the order of their names.
func (p *protection) protectedNames() []string { return slices.Sorted(maps.Keys(p.tables)) }

// someRows reads at most limit rows of a table where a condition holds: cols, and the tag.
func (t *protectedTable) someRows(where string) string {
	return unverified + " the tag is looked at by who asks */ SELECT " + strings.Join(t.cols, ", ") + ", tag FROM " + t.name +
		" WHERE " + where + " LIMIT $1"
}

func (t *protectedTable) allRows() string {
	return unverified + " the tag is looked at by who asks */ SELECT " + strings.Join(t.cols, ", ") + ", tag FROM " + t.name
}

// TaggedUnder implements seal.Tx: table by table, by primary key. It is for a view: the
// transactions that write are not held up by what it reads.
func (tx *Tx) TaggedUnder(ctx context.Context, id string, after seal.Row, limit int) (list []seal.Row, err error) {
	key, err := hex.DecodeString(id)
	if err != nil {
		return nil, fmt.Errorf("store: bad data key id %q", id)
	}
	for _, name := range tx.guard.protectedNames() {
		if name < after.Table {
			continue
		}
		t := tx.guard.tables[name]
		args, behind := []any{key, limit - len(list)}, ""
		if name == after.Table {
			behind = " AND (" + strings.Join(t.key, ", ") + ") > (" + parameterList(3, len(t.key)) + ")"
			for _, v := range after.Key {
				args = append(args, v)
			}
		}
		query := unverified + " each is verified before it is tagged again */ SELECT " + strings.Join(t.key, ", ") + " FROM " + name +
			" WHERE substr(tag, 1, 8) = $1" + behind + " ORDER BY " + strings.Join(t.key, ", ") + " LIMIT $2"
		rows, err := tx.read(ctx, query, args, len(t.key))
		if err != nil {
			return nil, tx.fail("reading", err)
		}
		for _, values := range rows {
			r := seal.Row{Table: name}
			for _, v := range values {
				text, ok := v.(string)
				if !ok {
					return nil, fmt.Errorf("store: a key of %s is no text", name)
				}
				r.Key = append(r.Key, text)
			}
			list = append(list, r)
		}
		if len(list) == limit {
			break
		}
	}
	return list, nil
}

// parameterList is "$3, $4" for two parameters from the third on.
func parameterList(first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Join(list, ", ")
}

// TagAgain implements seal.Tx.
func (tx *Tx) TagAgain(ctx context.Context, rows []seal.Row) error {
	keys := tx.guard.keys.Load()
	if keys == nil {
		return errNoKeys
	}
	for _, r := range rows {
		t := tx.guard.tables[r.Table]
		if t == nil || len(r.Key) != len(t.key) {
			return fmt.Errorf("store: %q has no rows with a tag", r.Table)
		}
		key := make([]any, len(r.Key))
		for i, v := range r.Key {
			key[i] = v
		}
		values, err := tx.verifyBefore(ctx, t, key)
		if err != nil {
			return tx.fail("TagAgain", err)
		}
		if values == nil {
			continue
		}
		if err := tx.tag(ctx, keys, t, values); err != nil {
			return tx.fail("TagAgain", err)
		}
	}
	return nil
}

// tagSome gives tags to at most limit rows where a condition holds, whatever they say, and tells
// to how many.
func (tx *Tx) tagSome(ctx context.Context, t *protectedTable, where string, limit int) (int, error) {
	keys := tx.guard.keys.Load()
	if keys == nil {
		return 0, errNoKeys
	}
	rows, err := tx.read(ctx, t.someRows(where), []any{limit}, len(t.cols)+1)
	if err != nil {
		return 0, tx.fail("reading", err)
	}
	for _, values := range rows {
		if err := tx.tag(ctx, keys, t, values[:len(t.cols)]); err != nil {
			return 0, tx.fail("Vouch", err)
		}
	}
	return len(rows), nil
}

// taggedBy counts the rows with a tag of a key; of all keys when id is "".
func (tx *Tx) taggedBy(ctx context.Context, id string) (sum int64, err error) {
	key, err := hex.DecodeString(id)
	if err != nil {
		return 0, fmt.Errorf("store: bad data key id %q", id)
	}
	for _, name := range tx.guard.protectedNames() {
		query, args := unverified+" a number */ SELECT COUNT(*) FROM "+name+" WHERE tag IS NOT NULL", []any(nil)
		if id != "" {
			query, args = query+" AND substr(tag, 1, 8) = $1", []any{key}
		}
		var n int64
		if err := tx.row(ctx, query, args, &n); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Untagged counts the rows of protected tables that have no tag, by table: all of them in
// a database that an older version of the program wrote.
func (db *DB) Untagged(ctx context.Context) (counts map[string]int64, err error) {
	counts = map[string]int64{}
	err = db.View(ctx, func(tx *Tx) error {
		for _, name := range tx.guard.protectedNames() {
			var n int64
			if err := tx.row(ctx, unverified+" a number */ SELECT COUNT(*) FROM "+name+" WHERE tag IS NULL", nil, &n); err != nil {
				return err
			}
			if n > 0 {
				counts[name] = n
			}
		}
		return nil
	})
	return counts, err
}

// Empty tells whether no protected table has a row: nothing that was written before can be
// mistaken for the vault's own.
func (db *DB) Empty(ctx context.Context) (empty bool, err error) {
	empty = true
	err = db.View(ctx, func(tx *Tx) error {
		for _, name := range tx.guard.protectedNames() {
			err := tx.rows(ctx, unverified+" only whether there are any */ SELECT 1 FROM "+name+" LIMIT 1", nil, func(scanner) error {
				empty = false
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return empty, err
}

// VerifyRows reads every row of every protected table, and names those that are not
// authentic.
func (db *DB) VerifyRows(ctx context.Context) (forged []string, err error) {
	guard := db.engine.protected()
	for _, name := range guard.protectedNames() {
		t := guard.tables[name]
		err := db.View(ctx, func(tx *Tx) error {
			return tx.rows(ctx, t.allRows(), nil, func(s scanner) error {
				values, dest := make([]any, len(t.cols)+1), make([]any, len(t.cols)+1)
				for i := range values {
					dest[i] = &values[i]
				}
				if err := s.Scan(dest...); err != nil {
					return err
				}
				tag, _ := values[len(t.cols)].([]byte)
				err := guard.verify(t, values[:len(t.cols)], tag)
				if errors.Is(err, ErrNotAuthentic) {
					forged = append(forged, t.rowOf(t.keyOf(values)))
					return nil
				}
				return err
			})
		})
		if err != nil {
			return forged, err
		}
	}
	return forged, nil
}

// reviewed are the tables that say who may do what: whoever vouches for a database looks at
// their rows.
var reviewed = []string{"principals", "credentials", "memberships", "role_assignments", "vaults"}

// Review gives the rows without a tag that say who may do what, a line each: the table, and
// the columns with their values; of what is no text, its length.
func (db *DB) Review(ctx context.Context) (lines []string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		lines = nil
		for _, name := range reviewed {
			t := tx.guard.tables[name]
			rows, err := tx.read(ctx, t.someRows("tag IS NULL"), []any{math.MaxInt32}, len(t.cols)+1)
			if err != nil {
				return tx.fail("reading", err)
			}
			for _, values := range rows {
				lines = append(lines, name+": "+t.describe(values))
			}
		}
		return nil
	})
	return lines, err
}

func (t *protectedTable) describe(values []any) string {
	var parts []string
	for i, c := range t.cols {
		switch v := values[i].(type) {
		case nil:
		case []byte:
			parts = append(parts, fmt.Sprintf("%s (%d bytes)", c, len(v)))
		default:
			parts = append(parts, fmt.Sprintf("%s %v", c, v))
		}
	}
	return strings.Join(parts, ", ")
}

// Vouch gives a tag to every row that has none, in transactions of many rows each; a crash
// leaves some without, and Vouch goes on with those. progress is told how many have one.
// Whoever calls it has looked at what they say.
func (db *DB) Vouch(ctx context.Context, progress func(rows int)) error {
	sum := 0
	for _, name := range db.engine.protected().protectedNames() {
		for n := 1; n > 0; {
			err := db.Update(ctx, func(tx *Tx) (err error) {
				if name == versionsTable {
					if err := tx.digestContents(ctx); err != nil {
						return err
					}
				}
				n, err = tx.tagSome(ctx, tx.guard.tables[name], untagged[name == versionsTable], tagBatch)
				return err
			})
			if err != nil {
				return fmt.Errorf("authenticating %s: %w", name, err)
			}
			sum += n
			progress(sum)
		}
	}
	return nil
}

const versionsTable = "certificate_versions"

// untagged are the rows without a tag; of certificates' versions those whose digest is
// there.
var untagged = map[bool]string{false: "tag IS NULL", true: "tag IS NULL AND (content IS NOT NULL OR leaf IS NULL AND chain IS NULL)"}

// digestContents fills column content of versions from before it.
func (tx *Tx) digestContents(ctx context.Context) error {
	rows, err := tx.read(ctx, unverified+` it is about to be vouched for */ SELECT vault, name, version, leaf, chain FROM certificate_versions
		WHERE tag IS NULL AND content IS NULL AND (leaf IS NOT NULL OR chain IS NOT NULL) LIMIT $1`, []any{tagBatch}, 5)
	if err != nil {
		return tx.fail("reading", err)
	}
	for _, r := range rows {
		leaf, _ := r[3].([]byte)
		chain, _ := r[4].([]byte)
		_, err := tx.session.exec(ctx, "UPDATE certificate_versions SET content = $1 WHERE vault = $2 AND name = $3 AND version = $4",
			[]any{contentOf(leaf, chain), r[0], r[1], r[2]})
		if err != nil {
			return tx.fail("Vouch", tx.session.translate(err))
		}
	}
	return nil
}
