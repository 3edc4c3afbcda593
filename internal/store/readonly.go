package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coffer/internal/fault"
	"coffer/internal/fresh"
)

// openToRead opens the file of a SQLite database without its lock, to be read only. Where
// a process has it, or had it when it was killed, the log is read with it; where nobody has,
// SQLite is told so, for it would make files beside it.
func openToRead(ctx context.Context, cfg Config) (_ *sqliteEngine, err error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if _, _, err := checkGeneration(path); err != nil {
		return nil, err
	}
	options := []string{"mode=ro"}
	if _, err := os.Stat(path + "-shm"); errors.Is(err, fs.ErrNotExist) {
		options = append(options, "immutable=1")
	}
	e := &sqliteEngine{path: path, logger: cfg.Logger, stop: make(chan struct{}), commits: fresh.NewCommits(false),
		damaged: &damage{logger: cfg.Logger}, readers: make(chan *sqliteConn, 1)}
	e.readers <- nil
	if e.reads, err = connectWith(path, 1, options, "query_only(1)"); err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, e.reads, sqliteDialect); err != nil {
		return nil, errors.Join(err, e.reads.Close())
	}
	if e.guard, err = newProtection(ctx, e.reads, sqliteDialect, e.damaged); err != nil {
		return nil, errors.Join(err, e.reads.Close())
	}
	return e, nil
}

// checkSchema tells whether a schema is that of this program: ErrMissing, ErrOlder,
// ErrNewer.
func checkSchema(ctx context.Context, db *sql.DB, d dialect) error {
	knows, err := d.newest()
	if err != nil {
		return err
	}
	var has int64
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version").Scan(&has)
	switch {
	case err != nil && fault.Is(away(err), fault.Unavailable):
		return away(err)
	case err != nil && !tellsOfDamage(err):
		return fmt.Errorf("%w: what is there has no schema: %w", ErrMissing, err)
	case err != nil:
		return err
	case has < knows:
		return fmt.Errorf("%w: it is %d, and becomes %d", ErrOlder, has, knows)
	case has > knows:
		return fmt.Errorf("%w: its schema is %d, and %d is the newest known here", ErrNewer, has, knows)
	}
	return nil
}
