package store

import (
	"embed"
	"errors"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// One set of queries serves both databases. What differs is here, in the
// migrations, and in how each is opened.

//go:embed migrations
var migrations embed.FS

// dialect is one of the two kinds of SQL.
type dialect struct {
	goose goose.Dialect
	// migrations is the folder of the schema.
	migrations string
	// skipLocked ends the query that picks jobs: claimers pass by what another
	// is claiming. SQLite has one writer and needs no such word.
	skipLocked string
	// forUpdate ends a query that holds its rows until the commit, against all others.
	forUpdate string
	// clock asks the one clock of all processes, in milliseconds since 1970. SQLite
	// is used by one process, which has its own.
	clock string
	// columns lists table, column and whether it has a default, of the whole schema.
	columns string
}

var (
	sqliteDialect = dialect{goose: goose.DialectSQLite3, migrations: "migrations/sqlite",
		columns: "SELECT m.name, c.name, c.dflt_value IS NOT NULL FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'"}
	postgresDialect = dialect{goose: goose.DialectPostgres, migrations: "migrations/postgres", skipLocked: " FOR UPDATE SKIP LOCKED", forUpdate: " FOR UPDATE",
		clock:   "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
		columns: "SELECT table_name, column_name, column_default IS NOT NULL FROM information_schema.columns WHERE table_schema = current_schema()"}
)

// newest is the number of the last migration.
func (d dialect) newest() (n int64, err error) {
	files, err := d.files()
	if err != nil {
		return 0, err
	}
	names, err := fs.Glob(files, "*.sql")
	for _, name := range names {
		v, e := goose.NumericComponent(name)
		n, err = max(n, v), errors.Join(err, e)
	}
	return n, err
}

// files are the dialect's migrations, numbered from 1.
func (d dialect) files() (fs.FS, error) { return fs.Sub(migrations, d.migrations) }
