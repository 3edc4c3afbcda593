package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"coffer/internal/fault"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// privateDir makes a folder that only its owner may enter. One that is there and
// empty becomes so; one with something in it that others may enter is refused,
// for what is in it may be theirs.
func privateDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return os.Chmod(path, 0o700)
	}
	return fmt.Errorf("others may enter the data folder %s (mode %#o): run chmod 700 %s", path, info.Mode().Perm(), path)
}

// hold takes the lock at path until the process ends. SQLite has a lock of its
// own; with PostgreSQL this one alone keeps two processes from writing one audit
// log and answering at one socket. The file stays, because removing it would open
// a race.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		pid, _ := io.ReadAll(io.LimitReader(f, 16))
		return nil, fmt.Errorf("%w: %s is held by process %s; a replica needs a data folder of its own", store.ErrInUse, path, strings.TrimSpace(string(pid)))
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	if err := errors.Join(err, f.Truncate(int64(len(strconv.Itoa(os.Getpid()))+1))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
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
		_, e := d.root.Unwrap(k)
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
// SQLite no other process can hold one, and waiting for their end would keep a
// certificate from being issued for two minutes. With PostgreSQL a replica may be
// at work.
func (d *Daemon) rescue(ctx context.Context) error {
	return d.db.Update(ctx, func(tx *store.Tx) error {
		list, err := tx.Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range list {
			if j.Attempt == 0 {
				continue // nobody has taken it yet
			}
			if err := tx.RetryJob(ctx, j, j.Due); err != nil {
				return err
			}
		}
		return nil
	})
}
