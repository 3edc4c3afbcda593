package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"coffer/internal/datadir"
)

// ErrDamaged reports a part of the database that cannot be read as what it was: what lies
// elsewhere can. It does not pass.
var ErrDamaged = errors.New("store: the database is damaged")

// damage is what was found of a damaged database since it was opened.
type damage struct {
	logger *slog.Logger
	mu     sync.Mutex
	first  error
	forged map[string]bool // rows that are not authentic, the first maxForged
}

// maxForged bounds how many rows are named in the log; of the others the requests tell.
const maxForged = 1000

// sawForged makes the error of a row that is not authentic, and has the log name it once.
func (d *damage) sawForged(row string) error {
	err := fmt.Errorf("%w: %s", ErrNotAuthentic, row)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.forged == nil {
		d.forged = map[string]bool{}
	}
	if !d.forged[row] && len(d.forged) < maxForged {
		d.forged[row] = true
		d.logger.Error("a row of the database was changed, or put there, by somebody who is not the vault: it is not used;"+
			" find out who can write to the database, and restore a backup or make anew what it was", "row", row)
	}
	if d.first == nil {
		d.first = err
	}
	return err
}

// Forged counts the rows that were found not to be authentic since the database was
// opened, maxForged at the most.
func (db *DB) Forged() int {
	d := db.engine.damage()
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.forged)
}

// saw marks an error that tells of damage, and remembers the first.
func (d *damage) saw(err error) error {
	if !tellsOfDamage(err) || errors.Is(err, ErrDamaged) {
		return err
	}
	return d.found(err)
}

func (d *damage) found(err error) error {
	err = fmt.Errorf("%w: %w", ErrDamaged, err)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.first == nil {
		d.first = err
		d.logger.Error("the database is damaged: restore a backup; until then what lies elsewhere is served", "error", err)
	}
	return err
}

func tellsOfDamage(err error) bool {
	var lite *driver.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff // without the details (SQLite, rescode.html)
		return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == dataCorrupted || pg.Code == indexCorrupted)
}

// littleRoom is how many bytes free on a disk make it a full one, for an error that SQLite
// gives for other reasons too.
const littleRoom = 1 << 20

// tellsOfFullDisk knows how SQLite says it of a database at path: an error of input and
// output, when the file of the log's index cannot grow.
func tellsOfFullDisk(err error, path string) bool {
	var lite *driver.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return true
	case sqlite3.SQLITE_IOERR:
		free, err := datadir.Free(filepath.Dir(path))
		return err == nil && free < littleRoom
	}
	return false
}

// Damage is what was found of damage since the database was opened, by a request or by
// VerifyNext; nil: nothing.
func (db *DB) Damage() error {
	d := db.engine.damage()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.first
}

// VerifyNext reads the pages of one table of a SQLite database, and of its indices, and of
// the next one at the next call; round tells that it was the last. It is a slice of the
// whole, and holds up nobody. PostgreSQL verifies its pages itself where its cluster has
// checksums.
func (db *DB) VerifyNext(ctx context.Context) (round bool, err error) {
	e, ok := db.engine.(*sqliteEngine)
	if !ok {
		return true, nil
	}
	return e.verifyNext(ctx)
}

const userTables = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`

// verifyNext uses a connection of its own, so that it takes no reader's place.
func (e *sqliteEngine) verifyNext(ctx context.Context) (round bool, err error) {
	e.verifying.Lock()
	defer e.verifying.Unlock()
	db, err := connect(e.path, 1, "query_only(1)")
	if err != nil {
		return false, err
	}
	defer db.Close()
	var tables []string
	rows, err := db.QueryContext(ctx, userTables)
	if err != nil {
		return false, e.damaged.saw(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return false, err
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(tables) == 0 {
		return true, e.damaged.saw(err)
	}
	i, there := slices.BinarySearch(tables, e.verified)
	if there {
		i++
	}
	i %= len(tables)
	e.verified = tables[i]
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check("+e.verified+")").Scan(&result); err != nil {
		return false, e.damaged.saw(err)
	}
	if result != "ok" {
		err = e.damaged.found(fmt.Errorf("table %s: %s", e.verified, result))
	}
	return i == len(tables)-1, err
}
