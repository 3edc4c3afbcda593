package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// A copy of an older schema is brought up to date; what is no whole copy, or one of a newer
// program, is refused, and the database stays as it was.
func TestRestoreTakesWholeCopiesOnly(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "coffer.db"), filepath.Join(dir, "backup.db")
	db, err := Open(t.Context(), Config{Driver: SQLite, Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	mark := func(db *DB, value string) error {
		return db.Update(t.Context(), func(tx *Tx) error { return tx.SetInstallation(t.Context(), "mark", value) })
	}
	if err := errors.Join(mark(db, "copied"), db.Backup(t.Context(), backup), mark(db, "now"), db.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	marked := func() (value string) {
		db, err := Open(t.Context(), Config{Driver: SQLite, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(t.Context(), func(tx *Tx) error {
			kept, err := tx.Installation(t.Context())
			value = kept["mark"]
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		return value
	}
	restore := func(file string) error {
		_, err := Restore(t.Context(), Config{Driver: SQLite, Path: path}, file, func(*DB, string) error { return nil })
		return err
	}
	file := func(name string, content []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	newer := file("newer.db", whole)
	if out, err := exec.Command("sqlite3", newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := restore(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("of a newer program: %v", err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "a header": whole[:100], "a page": whole[:4096], "half": whole[:len(whole)/2/4096*4096], "not all": whole[:len(whole)-4096],
		"text": []byte(strings.Repeat("not a database ", 1000)),
	} {
		if err := restore(file(name, content)); err == nil || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrMissing) && !strings.Contains(err.Error(), "it is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := restore(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if got := marked(); got != "now" {
		t.Errorf("what was refused has changed the database: %q", got)
	}
	if err := restore(backup); err != nil || marked() != "copied" {
		t.Errorf("the whole copy: %v, %q", err, marked())
	}
	older := filepath.Join(dir, "older.db")
	text, err := os.ReadFile("testdata/schema-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sqlite3", older)
	cmd.Stdin = strings.NewReader(string(text))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := restore(older); err != nil || marked() != "" {
		t.Errorf("of an older program: %v, %q", err, marked())
	}
	if raw, err := os.ReadFile(older); err != nil || strings.Contains(string(raw), "installation") {
		t.Errorf("the copy itself was changed: %v", err)
	}
}
