package storetest

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that makes schemas

	"coffer/internal/seal"
	"coffer/internal/store"
)

// SQLite is a new, empty place for a SQLite database.
func SQLite(t testing.TB) store.Config {
	return store.Config{Driver: store.SQLite, Path: filepath.Join(t.TempDir(), "data", "coffer.db"), Create: true}
}

// Postgres is a new schema on the server that COFFER_TEST_POSTGRES names. The
// schema goes when the test ends. It fails the test when there is no server.
func Postgres(t testing.TB) store.Config {
	t.Helper()
	server := os.Getenv("COFFER_TEST_POSTGRES")
	if server == "" {
		t.Fatal("COFFER_TEST_POSTGRES is not set: run the tests as scripts/with-postgres go test ./..., or with -short to leave PostgreSQL out")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("COFFER_TEST_POSTGRES is not a URL")
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	rand.Read(b[:])
	schema := "test_" + hex.EncodeToString(b[:])
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	q := u.Query()
	q.Set("search_path", schema)
	q.Set("application_name", schema)
	u.RawQuery = q.Encode()
	return store.Config{Driver: store.Postgres, URL: seal.NewValue([]byte(u.String())), Create: true}
}

// Open opens the database of cfg, and closes it when the test ends. To open it
// again, close it first.
func Open(t testing.TB, cfg store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	Authenticate(db)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Reopen closes db and opens the database of cfg again, like a new process.
func Reopen(t testing.TB, db *store.DB, cfg store.Config) *store.DB {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return Open(t, cfg)
}

// Backends are the processes of PostgreSQL that serve the connections to a schema of
// Postgres.
func Backends(t testing.TB, cfg store.Config) (pids []int) {
	t.Helper()
	db, err := sql.Open("pgx", os.Getenv("COFFER_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	u, err := url.Parse(string(cfg.URL.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT pid FROM pg_stat_activity WHERE application_name = $1", u.Query().Get("application_name"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if err := rows.Err(); err != nil || len(pids) == 0 {
		t.Fatalf("no process serves the schema: %v", err)
	}
	return pids
}

// Authenticate gives db the key that authenticates rows in tests, where there is no root
// key.
func Authenticate(db *store.DB) {
	keys, err := seal.NewRowKeys([8]byte{1, 2, 3, 4, 5, 6, 7, 8}, seal.NewValue([]byte("the key of rows in tests, 32 by.")))
	if err != nil {
		panic(err) // HKDF takes any key
	}
	db.Authenticate(keys)
}
