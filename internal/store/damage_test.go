package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// damagePage writes over a leaf page of a table, of those that sqlite3 tells of; the
// database must not be open.
func damagePage(t *testing.T, path, table string) {
	t.Helper()
	out, err := exec.Command("sqlite3", path, "PRAGMA page_size; SELECT pageno FROM dbstat WHERE name = '"+table+"' AND pagetype = 'leaf' ORDER BY pageno").CombinedOutput()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 3 {
		t.Fatalf("the leaves of %s: %s, %v", table, out, err)
	}
	size, _ := strconv.ParseInt(fields[0], 10, 64)
	page, err := strconv.ParseInt(fields[len(fields)/2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte(strings.Repeat("\xa5", int(size))), (page-1)*size)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// Damage is found by reading, and without anybody reading it, and says where it is.
func TestDamageIsFound(t *testing.T) {
	cfg := storetest.SQLite(t)
	db := storetest.Open(t, cfg)
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprintf("vault%03d", i)
		if err := insertVault(t, db, names[i]); err != nil {
			t.Fatal(err)
		}
	}
	round := func(db *store.DB) (err error) {
		for n := 0; ; n++ {
			last, e := db.VerifyNext(t.Context())
			err = errors.Join(err, e)
			if last {
				if n < 10 {
					t.Errorf("a round of %d tables", n+1)
				}
				return err
			}
		}
	}
	if err := errors.Join(round(db), round(db), db.Damage()); err != nil {
		t.Fatalf("a sound database: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	damagePage(t, cfg.Path, "vaults")

	db = storetest.Open(t, cfg)
	if err := round(db); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "vaults") || !errors.Is(db.Damage(), store.ErrDamaged) {
		t.Errorf("looking at all pages: %v, %v", err, db.Damage())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = storetest.Open(t, cfg)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Vaults(context.Background())
		return err
	})
	if !errors.Is(err, store.ErrDamaged) || !errors.Is(db.Damage(), store.ErrDamaged) {
		t.Errorf("reading: %v, %v", err, db.Damage())
	}
	// What lies elsewhere is read and written.
	var kept map[string]string
	err = db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetInstallation(t.Context(), "a", "b") })
	err = errors.Join(err, db.View(t.Context(), func(tx *store.Tx) (err error) {
		kept, err = tx.Installation(t.Context())
		return err
	}))
	if err != nil || kept["a"] != "b" {
		t.Errorf("elsewhere: %v, %v", kept, err)
	}
}
