package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/config"
	"coffer/internal/datadir"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// openStorage opens what the vault keeps: the root key, the database, the audit log.
func (d *Daemon) openStorage(ctx context.Context) error {
	c := d.settings
	var err error
	if d.hsm, err = openHSM(c, d.log); err != nil {
		return err
	}
	if d.root, err = openRoot(ctx, c, d.hsm); err != nil {
		return err
	}
	if d.hsm != nil {
		d.checkHSM(ctx)
	}
	if err := datadir.Make(c.DataDir()); err != nil {
		return err
	}
	if err := d.openStore(ctx); err != nil {
		return err
	}
	d.sealer = seal.NewSealer(d.root, store.For[seal.Tx]{DB: d.db}, d.now)
	if err := d.sealer.Check(ctx, rootName(d.settings), d.log); err != nil {
		return err
	}
	if err := d.authenticateRows(ctx); err != nil {
		return err
	}
	if err := d.checkSettings(ctx); err != nil {
		return err
	}
	if c.Store.Driver != store.Postgres {
		if err := d.endLeases(ctx); err != nil {
			return err
		}
	}
	return d.openAudit(nil)
}

// openStore opens the database of the configuration, which must be there.
func (d *Daemon) openStore(ctx context.Context) error {
	sc, err := storeConfig(d.settings, d.log)
	if err != nil {
		return err
	}
	d.db, err = store.Open(ctx, sc)
	return whatToDo(err, d.settings)
}

func storeConfig(c *config.Config, log *slog.Logger) (sc store.Config, err error) {
	sc = store.Config{Driver: cmp.Or(c.Store.Driver, store.SQLite), Insecure: c.Store.Insecure, Logger: log}
	if sc.Insecure {
		log.Warn("store.insecure is set: whoever is on the way to PostgreSQL may read and change everything, unless something else protects it")
	}
	if sc.Driver == store.SQLite {
		sc.Path = DatabasePath(c)
	} else {
		sc.URL, err = c.StoreURL()
	}
	return sc, err
}

// DatabasePath is the file of a SQLite database.
func DatabasePath(c *config.Config) string { return c.InData(c.Store.Path, "coffer.db") }

// whatToDo adds to an error of the database what an operator can do about it.
func whatToDo(err error, c *config.Config) error {
	switch {
	case errors.Is(err, store.ErrMissing) && c.Store.Driver == store.Postgres:
		return fmt.Errorf("%w: the connection string names another database or schema than the vault's, or its data is lost:"+
			" then bring back its backup (pg_restore). Only 'coffer init' makes a database", err)
	case errors.Is(err, store.ErrMissing):
		return fmt.Errorf("%w: mount its volume if that is away, or bring back a backup with 'coffer restore FILE'."+
			" Only 'coffer init' and the first 'coffer dev' make a database", err)
	case errors.Is(err, store.ErrDamaged):
		return fmt.Errorf("%w: bring back a backup with 'coffer restore FILE'", err)
	case errors.Is(err, store.ErrForeignLog):
		return fmt.Errorf("%w: nothing was changed. A backup is brought back by 'coffer restore FILE', which puts aside what belongs"+
			" to the old file; to restore what was copied here, copy it to another name first", err)
	case errors.Is(err, store.ErrForeignFile):
		return fmt.Errorf("%w: nothing was changed. If it is to be restored, move it to another name and run 'coffer restore NAME',"+
			" which puts on record what goes; else bring back the file that was here", err)
	}
	return err
}

// createStore makes an empty database, or takes one that is empty.
func createStore(ctx context.Context, c *config.Config, log *slog.Logger) error {
	sc, err := storeConfig(c, log)
	if err != nil {
		return err
	}
	sc.Create = true
	db, err := store.Open(ctx, sc)
	if err != nil {
		return err
	}
	empty, err := db.Empty(ctx)
	used := !empty
	if err == nil && empty {
		err = db.View(ctx, func(tx *store.Tx) error {
			keys, err := tx.DataKeys(ctx, "")
			used = len(keys) > 0
			return err
		})
	}
	if err == nil && used {
		err = fmt.Errorf("%w: it opens with its own root key only; bring back that and its %s, or choose another database",
			ErrVaultExists, config.FileName)
	}
	return errors.Join(err, db.Close())
}

// endLeases ends the leases of jobs that a process was working on when it died. With
// SQLite no other process can hold one. With PostgreSQL a replica may be at work,
// and the lease ends by itself.
func (d *Daemon) endLeases(ctx context.Context) error {
	return d.db.Update(ctx, func(tx *store.Tx) error { return tx.FreeLeases(ctx) })
}

// lastBackup is when the database was copied last.
const lastBackup = "backup"

// backup copies the database to a file of this machine.
func (d *Daemon) backup(ctx context.Context, g access.Grant, path string) error {
	g.MustEverywhere(access.InstallationBackup)
	g.Attempt().Describe(audit.Details{Backup: &audit.BackupProperties{Path: audit.Clip(path)}})
	if err := d.db.Backup(ctx, path); err != nil {
		return err
	}
	return d.db.Update(ctx, func(tx *store.Tx) error {
		return tx.SetInstallation(ctx, lastBackup, d.now().UTC().Format(time.RFC3339))
	})
}
