package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

func insertVault(t *testing.T, db *store.DB, name string) error {
	return db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.InsertVault(t.Context(), &vault.Vault{ID: object.NewVaultID(), Name: name, Revision: 1})
	})
}

func vaultNames(t *testing.T, db *store.DB) (names []string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.Vaults(t.Context())
		for _, v := range list {
			names = append(names, v.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDatabaseFilesAreTheOwnersOnly(t *testing.T) {
	cfg := storetest.SQLite(t)
	// A file that was made readable by hand is closed again.
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	db := storetest.Open(t, cfg)
	if err := insertVault(t, db, "one"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(cfg.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%q has mode %v", suffix, info.Mode())
		}
	}

	fresh := storetest.SQLite(t)
	storetest.Open(t, fresh)
	info, err := os.Stat(filepath.Dir(fresh.Path))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v", info.Mode())
	}
}

func TestDatabaseIsHeldByOneProcess(t *testing.T) {
	cfg := storetest.SQLite(t)
	db := storetest.Open(t, cfg)
	_, err := store.Open(t.Context(), cfg)
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("the second one to open got %v", err)
	}
	storetest.Reopen(t, db, cfg)
}

func TestPathMayHoldAnyCharacter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c=d&mode=ro#e%2f", "ä%.db")
	db := storetest.Open(t, store.Config{Driver: store.SQLite, Path: path, Create: true})
	if err := insertVault(t, db, "one"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, c := range []struct {
		cfg  store.Config
		want string
	}{
		{store.Config{}, "driver:"},
		{store.Config{Driver: "mysql"}, "driver:"},
		{store.Config{Driver: store.SQLite}, "path:"},
		{store.Config{Driver: store.Postgres, URL: seal.NewValue([]byte("postgres://u:hunter2@h:port/"))}, "url:"},
	} {
		_, err := store.Open(t.Context(), c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", c.cfg.Driver, err, c.want)
		}
	}
}

func TestBackupIsADatabase(t *testing.T) {
	cfg := storetest.SQLite(t)
	db := storetest.Open(t, cfg)
	if err := insertVault(t, db, "one"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "it's a copy.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := insertVault(t, db, "two"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that exists: got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("a backup that was refused changed the file")
	}
	copied := storetest.Open(t, store.Config{Driver: store.SQLite, Path: path})
	if d := cmp.Diff([]string{"one"}, vaultNames(t, copied)); d != "" {
		t.Error(d)
	}
	for _, err := range storetest.CheckVault(t.Context(), copied) {
		t.Error(err)
	}
}

func TestBackupThatFailsLeavesNoFile(t *testing.T) {
	db := storetest.Open(t, storetest.SQLite(t))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), path); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

func TestPostgresBackupNamesItsTool(t *testing.T) {
	if testing.Short() {
		return // -short leaves PostgreSQL out
	}
	db := storetest.Open(t, storetest.Postgres(t))
	if err := db.Backup(t.Context(), filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("got %v", err)
	}
}

// schemas are the databases of every schema that was released, as SQL text that
// the sqlite3 program reads, with the vaults that they hold.
var schemas = []struct {
	file   string
	vaults []string
}{
	{"testdata/schema-1.sql", []string{"one"}},
}

func TestEveryReleasedSchemaOpens(t *testing.T) {
	for _, c := range schemas {
		cfg := storetest.SQLite(t)
		if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		raw := openRaw(t, cfg.Path)
		if _, err := raw.Exec(string(text)); err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		raw.Close()
		db := storetest.Open(t, cfg)
		if got := vaultNames(t, db); len(got) > 0 {
			t.Errorf("%s: %v is used before anybody has vouched for it", c.file, got)
		}
		if err := db.Vouch(t.Context(), func(int) {}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.vaults, vaultNames(t, db)); d != "" {
			t.Errorf("%s: %s", c.file, d)
		}
		if err := insertVault(t, db, "another"); err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		for _, err := range storetest.CheckVault(t.Context(), db) {
			t.Errorf("%s: %v", c.file, err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			keys, err := tx.DataKeys(t.Context(), "")
			for _, k := range keys { // nobody has counted what they sealed
				if k.Sealed != 1<<30 || !k.Replaced.IsZero() || k.Kept != (k.Scope == seal.Installation) {
					t.Errorf("%s: %+v", c.file, k)
				}
			}
			if len(keys) == 0 {
				t.Errorf("%s has no data key", c.file)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
	}
}

func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	cfg := storetest.SQLite(t)
	if err := storetest.Open(t, cfg).Close(); err != nil {
		t.Fatal(err)
	}
	raw := openRaw(t, cfg.Path)
	if _, err := raw.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	raw.Close()
	if _, err := store.Open(t.Context(), cfg); !errors.Is(err, store.ErrNewer) {
		t.Errorf("got %v", err)
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	cfg := storetest.SQLite(t)
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), cfg); err == nil {
		t.Error("a damaged file was opened")
	}
	// The lock was given back.
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	storetest.Open(t, cfg)
}

func TestAnotherProgramReadsTheDatabase(t *testing.T) {
	cfg := storetest.SQLite(t)
	db := storetest.Open(t, cfg)
	if err := insertVault(t, db, "one"); err != nil {
		t.Fatal(err)
	}
	// What an update has written is in the file and its log, not in the process.
	out, err := exec.Command("sqlite3", cfg.Path,
		"PRAGMA journal_mode; PRAGMA integrity_check; PRAGMA foreign_key_check; SELECT name FROM vaults").CombinedOutput()
	if got := string(out); err != nil || got != "wal\nok\none\n" {
		t.Errorf("sqlite3 says %q, %v", got, err)
	}
}
