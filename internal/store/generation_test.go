package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// crashed copies what a killed process would leave of a database to another folder.
func crashed(t *testing.T, cfg store.Config) store.Config {
	t.Helper()
	to := store.Config{Driver: store.SQLite, Path: filepath.Join(t.TempDir(), "coffer.db")}
	for _, suffix := range []string{"", "-wal", ".generation"} {
		copyFile(t, cfg.Path+suffix, to.Path+suffix)
	}
	return to
}

// A log that a crash left is replayed over the file that it belongs to, and over no
// other: neither a backup of the same run, nor the file as an earlier stop left it.
func TestLogIsReplayedOverItsOwnFileOnly(t *testing.T) {
	cfg := storetest.SQLite(t)
	stopped, backup := filepath.Join(t.TempDir(), "stopped.db"), filepath.Join(t.TempDir(), "backup.db")
	db := storetest.Open(t, cfg)
	if err := errors.Join(insertVault(t, db, "one"), db.Close()); err != nil {
		t.Fatal(err)
	}
	copyFile(t, cfg.Path, stopped)
	db = storetest.Open(t, cfg)
	if err := errors.Join(db.Backup(t.Context(), backup), insertVault(t, db, "two")); err != nil {
		t.Fatal(err)
	}

	for _, copied := range []string{stopped, backup} {
		after := crashed(t, cfg)
		copyFile(t, copied, after.Path)
		if _, err := store.Open(t.Context(), after); !errors.Is(err, store.ErrForeignLog) {
			t.Errorf("%s beside the log: %v", filepath.Base(copied), err)
		}
		// Nothing was changed: with the right file it goes on.
		copyFile(t, cfg.Path, after.Path)
		if d := cmp.Diff([]string{"one", "two"}, vaultNames(t, storetest.Open(t, after))); d != "" {
			t.Error(d)
		}
		// Without a log it is a copy still, which was not restored.
		alone := crashed(t, cfg)
		copyFile(t, copied, alone.Path)
		if err := os.Remove(alone.Path + "-wal"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), alone); !errors.Is(err, store.ErrForeignFile) {
			t.Errorf("%s without a log: %v", filepath.Base(copied), err)
		}
		// Where nothing tells what was there before, any file is taken.
		if err := os.Remove(alone.Path + ".generation"); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"one"}, vaultNames(t, storetest.Open(t, alone))); d != "" {
			t.Error(d)
		}
	}
	// The log of a version that gave no generations is replayed still.
	old := crashed(t, cfg)
	f, err := os.OpenFile(old.Path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(make([]byte, 4), 60)
	}
	if err := errors.Join(err, f.Close(), os.Remove(old.Path+".generation")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"one", "two"}, vaultNames(t, storetest.Open(t, old))); d != "" {
		t.Error(d)
	}
}

// A copy of the file that was made while the process ran is not the file that a clean
// stop left.
func TestCopyOfARunningDatabaseIsNotTheStoppedOne(t *testing.T) {
	cfg := storetest.SQLite(t)
	db := storetest.Open(t, cfg)
	copied := filepath.Join(t.TempDir(), "copied.db")
	copyFile(t, cfg.Path, copied)
	if err := errors.Join(insertVault(t, db, "one"), db.Close()); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept.db")
	copyFile(t, cfg.Path, kept)
	copyFile(t, copied, cfg.Path)
	if _, err := store.Open(t.Context(), cfg); !errors.Is(err, store.ErrForeignFile) {
		t.Errorf("the copy: %v", err)
	}
	copyFile(t, kept, cfg.Path)
	if d := cmp.Diff([]string{"one"}, vaultNames(t, storetest.Open(t, cfg))); d != "" {
		t.Error(d)
	}
}

// A database that is not there is not made, unless that is asked for.
func TestMissingDatabaseIsAnError(t *testing.T) {
	cfg := storetest.SQLite(t)
	cfg.Create = false
	if _, err := store.Open(t.Context(), cfg); !errors.Is(err, store.ErrMissing) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(cfg.Path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it made something: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), cfg); !errors.Is(err, store.ErrMissing) {
		t.Errorf("an empty file: %v", err)
	}
}
