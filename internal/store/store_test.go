package store_test

import (
	"os"
	"testing"

	"coffer/internal/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.Child()
	os.Exit(m.Run())
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.SQLite)
}

func TestPostgres(t *testing.T) {
	if testing.Short() {
		return // -short leaves PostgreSQL out
	}
	t.Parallel()
	storetest.Run(t, storetest.Postgres)
}
