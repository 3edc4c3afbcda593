package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"coffer/internal/audit"
	"coffer/internal/config"
	"coffer/internal/datadir"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// Restore puts a copy in the place of the database, as store.Restore does, once the
// root key opens all its data keys. It is on record before, as done by the one named,
// who also takes note of what the audit log lacks of what the copy has seen. While a
// server runs it answers store.ErrInUse. It answers where what was there is now, ""
// when there was nothing.
func Restore(ctx context.Context, c *config.Config, file string, by audit.Claims, log *slog.Logger) (aside string, err error) {
	if c.Store.Driver == store.Postgres {
		return "", errors.New("the data is in PostgreSQL: stop all replicas, restore its backup into an empty database" +
			" with pg_restore, see to it that root.key opens it, run 'coffer audit accept' where audit logs are lost, and start")
	}
	if err := datadir.Make(c.DataDir()); err != nil {
		return "", err
	}
	d := &Daemon{settings: c, log: log, now: time.Now}
	defer func() { err = errors.Join(err, d.Close()) }()
	if d.hsm, err = openHSM(c, log); err != nil {
		return "", err
	}
	if d.root, err = openRoot(ctx, c, d.hsm); err != nil {
		return "", err
	}
	sc, err := storeConfig(c, log)
	if err != nil {
		return "", err
	}
	return store.Restore(ctx, sc, file, func(db *store.DB, aside string) error {
		if err := seal.NewSealer(d.root, store.For[seal.Tx]{DB: db}, d.now).Verify(ctx); err != nil {
			return fmt.Errorf("%s does not open it: a backup needs a root key file that has the root key of its time: %w", rootName(c), err)
		}
		return d.recordRestore(ctx, db, file, aside, by)
	})
}

// recordRestore records in the audit log, whose head goes into the copy, what is about
// to happen.
func (d *Daemon) recordRestore(ctx context.Context, db *store.DB, file, aside string, by audit.Claims) error {
	d.db = db
	err := d.openAudit(&by)
	d.db = nil // the copy's, which is closed by who opened it
	if err != nil {
		return err
	}
	what := "The database is replaced by the copy " + file + "."
	if aside != "" {
		what += " What was there is kept as " + aside + "."
	}
	return errors.Join(d.audit.RecordRestore(ctx, what, by), d.closeAudit())
}

func (d *Daemon) closeAudit() error {
	l := d.audit
	d.audit = nil
	return l.Close()
}
