package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"coffer/internal/datadir"
	"coffer/internal/fault"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// lockAudit takes the lock of the audit log. SQLite has a lock of its own; with
// PostgreSQL this one alone keeps two processes from writing one audit log and
// answering at one socket.
func lockAudit(path string) (*os.File, error) {
	f, err := datadir.Lock(path)
	if held, ok := errors.AsType[*datadir.HeldError](err); ok {
		return nil, fmt.Errorf("%w: %w; a replica needs a data folder of its own", store.ErrInUse, held)
	}
	return f, err
}

// fits refuses a root key that opens nothing of this database: the wrong copy,
// after a restore say, should show at the start and not at the first read. What
// it does not open of the rest is logged.
func (d *Daemon) fits(ctx context.Context) error {
	var keys []seal.DataKey
	err := d.db.View(ctx, func(tx *store.Tx) (err error) {
		keys, err = tx.DataKeys(ctx, "")
		return err
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	opened := 0
	for _, k := range keys {
		_, e := d.root.Unwrap(ctx, k)
		if e == nil {
			opened++
			continue
		}
		err = fmt.Errorf("%s does not belong to this database: %w", rootName(d.settings), e)
		if fault.Is(e, fault.Unavailable) {
			return fmt.Errorf("opening the data keys: %w", e)
		}
		d.log.ErrorContext(ctx, "a data key cannot be opened", "scope", k.Scope, "error", e)
	}
	if opened == 0 {
		return err
	}
	return nil
}

// rescue ends the leases of jobs that a process was working on when it died. With
// SQLite no other process can hold one. With PostgreSQL a replica may be at work,
// and the lease ends by itself.
func (d *Daemon) rescue(ctx context.Context) error {
	return d.db.Update(ctx, func(tx *store.Tx) error { return tx.FreeLeases(ctx) })
}
