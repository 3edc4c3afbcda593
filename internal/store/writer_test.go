package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// together holds the writer with a first update until n others wait behind it, then
// lets them go, and returns what each of them was answered. fn is what the ith
// of them does; the first does nothing.
func together(t *testing.T, db *DB, n int, fn func(tx *Tx, i int) error) []error {
	t.Helper()
	w := db.engine.(*sqliteEngine).writer
	answers := make([]error, n)
	var wg sync.WaitGroup
	err := db.Update(t.Context(), func(*Tx) error {
		for i := range n {
			wg.Go(func() {
				answers[i] = db.Update(t.Context(), func(tx *Tx) error { return fn(tx, i) })
			})
		}
		for len(w.queue) < n {
			runtime.Gosched()
		}
		return errors.New("the first writes nothing")
	})
	if err == nil {
		t.Fatal("the first update succeeded")
	}
	wg.Wait()
	return answers
}

func insertNth(ctx context.Context, tx *Tx, i int) error {
	return tx.InsertVault(ctx, &vault.Vault{ID: object.NewVaultID(), Name: fmt.Sprintf("v%03d", i), Revision: 1})
}

func countVaults(t *testing.T, db *DB) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *Tx) error {
		list, err := tx.Vaults(t.Context())
		n = len(list)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func openFaulty(t *testing.T, faults Faults) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "coffer.db"), Create: true, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := seal.NewRowKeys([8]byte{1}, seal.NewValue(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	db.Authenticate(keys)
	return db
}

func TestWaitingUpdatesShareOneCommit(t *testing.T) {
	var commits atomic.Int32
	db := openFaulty(t, func(point string, when When) error {
		if point == Commit && when == Before {
			commits.Add(1)
		}
		return nil
	})
	const n = maxGroup + 10
	deliberate := errors.New("deliberate")
	for i, err := range together(t, db, n, func(tx *Tx, i int) error {
		if err := insertNth(t.Context(), tx, i); err != nil {
			return err
		}
		if i%3 == 0 {
			return deliberate
		}
		return nil
	}) {
		if (i%3 == 0) != errors.Is(err, deliberate) || i%3 != 0 && err != nil {
			t.Errorf("update %d: got %v", i, err)
		}
	}
	if got, want := countVaults(t, db), n-(n+2)/3; got != want {
		t.Errorf("%d vaults are there, want %d", got, want)
	}
	if got := commits.Load(); got != 2 { // a full group, and the rest
		t.Errorf("%d commits for %d updates", got, n)
	}
}

func TestFailedCommitFailsTheGroup(t *testing.T) {
	for _, c := range []struct {
		when When
		want int // vaults there afterwards
	}{{Before, 0}, {After, 20}} {
		injected := errors.New("injected")
		var failed atomic.Bool
		db := openFaulty(t, func(point string, when When) error {
			if point == Commit && when == c.when && failed.CompareAndSwap(false, true) {
				return injected
			}
			return nil
		})
		deliberate := errors.New("deliberate")
		for i, err := range together(t, db, 20+1, func(tx *Tx, i int) error {
			if i == 20 {
				return deliberate // its result may rest on a neighbour's write
			}
			return insertNth(t.Context(), tx, i)
		}) {
			if !errors.Is(err, injected) {
				t.Errorf("%v, update %d: got %v", c.when, i, err)
			}
		}
		if got := countVaults(t, db); got != c.want {
			t.Errorf("%v: %d vaults are there, want %d", c.when, got, c.want)
		}
		if err := db.Update(t.Context(), func(tx *Tx) error { return insertNth(t.Context(), tx, 100) }); err != nil {
			t.Errorf("%v: the next update: %v", c.when, err)
		}
	}
}

func TestErrorThatTheFunctionHidesFailsTheUpdate(t *testing.T) {
	injected := errors.New("injected")
	db := openFaulty(t, func(point string, when When) error {
		if point == "SetContacts" && when == After {
			return injected
		}
		return nil
	})
	err := db.Update(t.Context(), func(tx *Tx) error {
		v := &vault.Vault{ID: object.NewVaultID(), Name: "one", Revision: 1}
		if err := tx.InsertVault(t.Context(), v); err != nil {
			return err
		}
		_ = tx.SetContacts(t.Context(), v.ID, nil)
		if err := insertNth(t.Context(), tx, 1); !errors.Is(err, injected) {
			t.Errorf("a write after the failure: got %v", err)
		}
		return nil
	})
	if !errors.Is(err, injected) {
		t.Errorf("got %v", err)
	}
	if n := countVaults(t, db); n != 0 {
		t.Errorf("%d vaults are there", n)
	}
}

func TestQueuedUpdateCanBeCancelled(t *testing.T) {
	db := openFaulty(t, nil)
	w := db.engine.(*sqliteEngine).writer
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(t.Context(), func(tx *Tx) error {
		answer := make(chan error)
		go func() {
			answer <- db.Update(ctx, func(tx *Tx) error { return insertNth(ctx, tx, 1) })
		}()
		for len(w.queue) == 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) { // while this one still runs
			t.Errorf("got %v", err)
		}
		return insertNth(t.Context(), tx, 2)
	})
	if err != nil {
		t.Error(err)
	}
	if n := countVaults(t, db); n != 1 {
		t.Errorf("%d vaults are there, want 1", n)
	}
}

func TestRunningUpdateIsNotCancelled(t *testing.T) {
	db := openFaulty(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *Tx) error {
		cancel()
		return insertNth(ctx, tx, 1)
	})
	if n := countVaults(t, db); err != nil || n != 1 {
		t.Errorf("got %v, and %d vaults", err, n)
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	db := openFaulty(t, nil)
	w := db.engine.(*sqliteEngine).writer
	waiting, closed := make(chan error), make(chan error)
	err := db.Update(t.Context(), func(tx *Tx) error {
		go func() {
			waiting <- db.Update(t.Context(), func(tx *Tx) error { return insertNth(t.Context(), tx, 1) })
		}()
		for len(w.queue) == 0 {
			runtime.Gosched()
		}
		go func() { closed <- db.Close() }()
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("who waited got %v", err)
		}
		return insertNth(t.Context(), tx, 2)
	})
	if err != nil {
		t.Errorf("who ran got %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestPragmas(t *testing.T) {
	e := openFaulty(t, nil).engine.(*sqliteEngine)
	reader, err := e.connection(t.Context(), e.reads)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	for _, c := range []struct {
		conn   *sqliteConn
		pragma string
		want   string
	}{
		{e.writer.conn, "journal_mode", "wal"},
		{e.writer.conn, "synchronous", "2"}, // FULL
		{e.writer.conn, "foreign_keys", "1"},
		{e.writer.conn, "busy_timeout", "10000"},
		{e.writer.conn, "trusted_schema", "0"},
		{reader, "query_only", "1"},
		{reader, "busy_timeout", "10000"},
	} {
		var got string
		if err := c.conn.conn.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s is %q, %v; want %q", c.pragma, got, err, c.want)
		}
	}
}
