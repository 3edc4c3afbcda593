package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coffer/internal/datadir"
)

// The files that make up a SQLite database, in the order in which they are put aside:
// without the first there is no database, and so nothing that a log could be missed
// from, at any line where a crash can come.
var parts = []string{"", "-wal", ".generation"}

// Restore replaces a SQLite database by a copy. No process may have the database open,
// else it is ErrInUse. The copy is what Backup wrote, or what Restore once put aside,
// and stays as it is. It is opened elsewhere first, its schema is brought up to date
// (ErrNewer), its pages are verified, and check looks into it; until then nothing is
// changed. What was there before is kept under the name that is returned, "" when
// there was nothing.
//
// A crash leaves the database as it was, or none, which Open refuses and another
// Restore goes on from, or the copy in its place.
func Restore(ctx context.Context, cfg Config, from string, check func(db *DB, aside string) error) (aside string, err error) {
	if cfg.Driver != SQLite {
		return "", errors.New("restoring: a PostgreSQL database is restored with pg_restore")
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return "", err
	}
	if there, err := os.Stat(path); err == nil {
		if source, err := os.Stat(from); err == nil && os.SameFile(source, there) {
			return "", fmt.Errorf("restoring: %s is the database itself", from)
		}
	}
	lock, err := datadir.Lock(path + ".lock")
	if held, ok := errors.AsType[*datadir.HeldError](err); ok {
		return "", fmt.Errorf("%w: %w", ErrInUse, held)
	}
	if err != nil {
		return "", err
	}
	defer lock.Close()
	stage := path + ".restoring"
	if err := remove(stage); err != nil { // what a crash left
		return "", err
	}
	defer func() { err = errors.Join(err, remove(stage)) }()
	for _, part := range parts {
		if err := copyFile(from+part, stage+part); err != nil && (part == "" || !errors.Is(err, fs.ErrNotExist)) {
			return "", fmt.Errorf("restoring: %w", err)
		}
	}
	if aside, err = asideName(path); err != nil {
		return "", err
	}
	cfg.Path, cfg.Create = stage, false
	if err := verify(ctx, cfg, func(db *DB) error { return check(db, aside) }); err != nil {
		return "", fmt.Errorf("restoring %s: %w", from, err)
	}
	return aside, replace(path, stage, aside)
}

// verify opens a database and gives it back whole, without a log.
func verify(ctx context.Context, cfg Config, check func(*DB) error) error {
	db, err := Open(ctx, cfg)
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("it is damaged: %w", err)
	}
	if err != nil {
		return err
	}
	if err = db.verifyPages(ctx); err == nil {
		err = check(db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if log, err := os.Stat(cfg.Path + "-wal"); err == nil && log.Size() > 0 {
		return errors.New("its log could not be folded into it")
	}
	f, err := os.OpenFile(cfg.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// verifyPages reads the whole of a SQLite database and compares its indices and
// references with its rows.
func (db *DB) verifyPages(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		var result string
		if err := tx.row(ctx, "PRAGMA integrity_check(1)", nil, &result); err != nil {
			return fmt.Errorf("it is damaged: %w", err)
		}
		if result != "ok" {
			return fmt.Errorf("it is damaged: %s", result)
		}
		return tx.rows(ctx, "PRAGMA foreign_key_check", nil, func(scanner) error {
			return errors.New("it is damaged: a row refers to one that is not there")
		})
	})
}

// asideName is where the files of a database are put aside; "" when there are none. What
// a crash put aside of them already is gone on with.
func asideName(path string) (string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	base := filepath.Base(path)
	if !has(base) && !has(base+"-wal") {
		return "", nil
	}
	if !has(base) {
		for _, name := range slices.Backward(names) { // the latest is the last
			if strings.HasPrefix(name, base+".before-") && strings.HasSuffix(name, "Z") && !has(name+"-wal") {
				return filepath.Join(filepath.Dir(path), name), nil
			}
		}
	}
	for at := time.Now().UTC(); ; at = at.Add(time.Second) {
		if name := base + ".before-" + at.Format("20060102T150405Z"); !has(name) {
			return filepath.Join(filepath.Dir(path), name), nil
		}
	}
}

// replace puts the files of a database aside and a verified one in their place, each
// step durable before the next.
func replace(path, stage, aside string) error {
	dir := filepath.Dir(path)
	for _, part := range parts {
		if aside == "" {
			break
		}
		if err := os.Rename(path+part, aside+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	if err := removeIfThere(path+"-shm", path+".generation"); err != nil {
		return err
	}
	if err := os.Rename(stage, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// remove takes a database away with all that lies beside it.
func remove(path string) error {
	return removeIfThere(path, path+"-wal", path+"-shm", path+".generation", path+".generation.new", path+".lock")
}

func removeIfThere(paths ...string) (err error) {
	for _, p := range paths {
		if e := os.Remove(p); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
