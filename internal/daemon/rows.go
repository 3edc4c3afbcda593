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

// authenticateRows gives the database the keys that its rows are authenticated with. They
// are made only where there is nothing yet that they would make trusted.
func (d *Daemon) authenticateRows(ctx context.Context) error {
	empty, err := d.db.Empty(ctx)
	if err != nil {
		return err
	}
	keys, err := d.sealer.RowKeys(ctx, empty)
	if errors.Is(err, seal.ErrNoRowKey) {
		return fmt.Errorf("%w: the database is from a version that did not authenticate what it holds, or somebody took the key away."+
			" Stop all replicas and run 'coffer upgrade', which shows who may do what before it asks whether to trust it", err)
	}
	if err != nil {
		return err
	}
	d.db.Authenticate(keys)
	return nil
}

// Upgrade makes trusted what a database of an older version holds; it is on record before, as
// done by the one named. Nothing is served
// meanwhile. review is shown the rows that say who may do what, and how many rows there are of
// each table, and refuses by an error; progress is told how many rows are done. After a crash it
// is called again. It returns how many rows were made trusted.
func Upgrade(ctx context.Context, settings *config.Config, by audit.Claims, log *slog.Logger,
	review func(lines []string, counts map[string]int64) error, progress func(rows int)) (total int, err error) {
	d := &Daemon{settings: settings, log: log, now: time.Now}
	defer func() { err = errors.Join(err, d.Close()) }()
	if d.hsm, err = openHSM(settings, log); err != nil {
		return 0, err
	}
	if d.root, err = openRoot(ctx, settings, d.hsm); err != nil {
		return 0, err
	}
	if err := datadir.Make(settings.DataDir()); err != nil {
		return 0, err
	}
	if err := d.openStore(ctx); err != nil {
		return 0, err
	}
	d.sealer = seal.NewSealer(d.root, store.For[seal.Tx]{DB: d.db}, d.now)
	if err := d.sealer.Check(ctx, rootName(settings), log); err != nil {
		return 0, err
	}
	counts, err := d.db.Untagged(ctx)
	if err != nil || len(counts) == 0 {
		return 0, err
	}
	lines, err := d.db.Review(ctx)
	if err != nil {
		return 0, err
	}
	if err := review(lines, counts); err != nil {
		return 0, err
	}
	if err := d.openAudit(nil); err != nil {
		return 0, err
	}
	rows := int64(0)
	for _, n := range counts {
		rows += n
	}
	if err := d.audit.RecordUpgrade(ctx, fmt.Sprintf("%d rows without a tag are trusted as they are.", rows), by); err != nil {
		return 0, err
	}
	keys, err := d.sealer.RowKeys(ctx, true)
	if err != nil {
		return 0, err
	}
	d.db.Authenticate(keys)
	err = d.db.Vouch(ctx, func(n int) { total = n; progress(n) })
	return total, err
}
