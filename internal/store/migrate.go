package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
)

// migrate brings the schema up to date, each step in a transaction of its own.
// A crash leaves the steps that were committed; the next start goes on. A
// database of a newer schema is refused before anything is written, and one without
// a schema unless it is to be created.
func migrate(ctx context.Context, db *sql.DB, d dialect, create bool, opts ...goose.ProviderOption) error {
	files, err := d.files()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d.goose, db, files, append(opts, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the version of the schema: %w", err)
	}
	if has > knows {
		return fmt.Errorf("%w: its schema is %d, and %d is the newest known here", ErrNewer, has, knows)
	}
	if has == 0 && !create {
		return fmt.Errorf("%w: what is there has no schema", ErrMissing)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating the schema: %w", err)
	}
	return nil
}
