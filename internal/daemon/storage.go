package daemon

import (
	"cmp"
	"context"

	"coffer/internal/access"
	"coffer/internal/audit"
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
	if c.Store.Driver != store.Postgres {
		if err := d.rescue(ctx); err != nil {
			return err
		}
	}
	return d.openAudit(nil)
}

// openStore opens the database of the configuration.
func (d *Daemon) openStore(ctx context.Context) (err error) {
	c := d.settings
	sc := store.Config{Driver: cmp.Or(c.Store.Driver, store.SQLite), Logger: d.log}
	if sc.Driver == store.SQLite {
		sc.Path = c.InData(c.Store.Path, "coffer.db")
	} else if sc.URL, err = c.StoreURL(); err != nil {
		return err
	}
	d.db, err = store.Open(ctx, sc)
	return err
}

// rescue ends the leases of jobs that a process was working on when it died. With
// SQLite no other process can hold one. With PostgreSQL a replica may be at work,
// and the lease ends by itself.
func (d *Daemon) rescue(ctx context.Context) error {
	return d.db.Update(ctx, func(tx *store.Tx) error { return tx.FreeLeases(ctx) })
}

// backup copies the database to a file of this machine.
func (d *Daemon) backup(ctx context.Context, g access.Grant, path string) error {
	g.MustEverywhere(access.InstallationBackup)
	g.Attempt().Describe(audit.Details{Backup: &audit.BackupProperties{Path: audit.Clip(path)}})
	return d.db.Backup(ctx, path)
}
