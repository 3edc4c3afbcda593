package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A crash while the old files are put aside leaves no database that would open, and the
// next restore puts what is left where the rest is.
func TestRestoreGoesOnAfterACrash(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "coffer.db"), filepath.Join(dir, "backup.db")
	db, err := Open(t.Context(), Config{Driver: SQLite, Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err := errors.Join(err, db.Backup(t.Context(), backup), db.Close()); err != nil {
		t.Fatal(err)
	}
	// The database was put aside; its log was not.
	aside := path + ".before-20260101T000000Z"
	if err := errors.Join(os.Rename(path, aside), os.WriteFile(path+"-wal", log, 0o600), os.WriteFile(path+"-shm", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Driver: SQLite, Path: path}
	if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrMissing) {
		t.Fatalf("between two steps: %v", err)
	}
	kept, err := Restore(t.Context(), cfg, backup, func(*DB, string) error { return nil })
	if err != nil || kept != aside {
		t.Fatalf("%q, %v", kept, err)
	}
	if raw, err := os.ReadFile(aside + "-wal"); err != nil || string(raw) != string(log) {
		t.Errorf("the log was not put aside: %v", err)
	}
	if db, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
