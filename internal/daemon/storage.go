package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"coffer/internal/datadir"
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

// rescue ends the leases of jobs that a process was working on when it died. With
// SQLite no other process can hold one. With PostgreSQL a replica may be at work,
// and the lease ends by itself.
func (d *Daemon) rescue(ctx context.Context) error {
	return d.db.Update(ctx, func(tx *store.Tx) error { return tx.FreeLeases(ctx) })
}
