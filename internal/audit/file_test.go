package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A disk that is full refuses the operation, leaves no torn line for long, and
// heals.
func TestFullDiskRefusesUntilThereIsRoom(t *testing.T) {
	for _, stuck := range []bool{false, true} { // cutting the torn line works at once, or later
		var d disk
		l := openLog(t, Config{OpenFile: d.open})
		finish(t, l.Begin(arrival), 200)
		e := intended(t, l)
		if err := l.Healthy(); err != nil {
			t.Fatal(err)
		}

		d.full.Store(true)
		d.stuck.Store(stuck)
		if err := e.Finish(&Facts{}, Outcome{Status: 200}); !errors.Is(err, errFull) {
			t.Fatalf("finished on a full disk: %v", err)
		}
		other := l.Begin(arrival)
		if err := other.Intent(t.Context(), &Facts{}); !errors.Is(err, errFull) {
			t.Fatalf("intended on a full disk: %v", err)
		}
		if err := l.Healthy(); err == nil {
			t.Error("healthy on a full disk")
		}
		if raw, _ := os.ReadFile(l.cfg.Path); stuck == strings.HasSuffix(string(raw), "\n") {
			t.Errorf("stuck %t: the log ends with %q", stuck, raw[len(raw)-1:])
		}

		d.full.Store(false)
		if err := l.Healthy(); (err == nil) == stuck {
			t.Errorf("stuck %t: %v", stuck, err)
		}
		d.stuck.Store(false)
		finish(t, e, 503) // with what is answered now
		finish(t, other, 503)
		if err := l.Healthy(); err != nil {
			t.Error(err)
		}
		if len(l.open) != 0 {
			t.Errorf("%d intents are open", len(l.open))
		}
		if n := len(readLines(t, l.cfg.Path)); n != 3 {
			t.Errorf("%d records", n)
		}
		if n := len(readLines(t, l.cfg.Path+".intent")); n != 1 {
			t.Errorf("%d intents: the refused one must leave nothing", n)
		}
		if files, _ := os.ReadDir(strings.TrimSuffix(l.cfg.Path, "/audit.log")); len(files) != 2 {
			t.Errorf("%v are left", files)
		}
	}
}

func TestClosedFileIsOpenedAnew(t *testing.T) {
	var d disk
	l := openLog(t, Config{OpenFile: d.open})
	e := l.Begin(arrival)
	d.closed.Store(true)
	if err := e.Finish(&Facts{}, Outcome{Status: 200}); err == nil {
		t.Fatal("written to a closed file")
	}
	if l.Healthy() == nil {
		t.Error("healthy")
	}
	d.closed.Store(false)
	finish(t, e, 200)
	if n := len(readLines(t, l.cfg.Path)); n != 1 {
		t.Errorf("%d records", n)
	}
}

// An operation whose outcome could not be written stays an open intent.
func TestLostOutcomeIsUnknownAtTheNextStart(t *testing.T) {
	var d disk
	l := openLog(t, Config{OpenFile: d.open})
	e := intended(t, l)
	d.full.Store(true)
	if err := e.Intent(t.Context(), &Facts{}); err == nil { // a second one, of which nothing remains
		t.Fatal("intended")
	}
	if err := e.Finish(&Facts{}, Outcome{Status: 200}); err == nil {
		t.Fatal("written")
	}
	d.full.Store(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	openLog(t, Config{Path: l.cfg.Path})
	if got := results(t, l.cfg.Path, e.RequestID()); !slices.Equal(got, []string{"Unknown"}) {
		t.Errorf("%v", got)
	}
}

// Who comes while an fsync is under way shares the next one.
func TestIntentsShareTheirSync(t *testing.T) {
	const n = 20
	var d disk
	l := openLog(t, Config{Sync: true, OpenFile: d.open})
	started, release := make(chan struct{}, n), make(chan struct{})
	d.syncing = func() { started <- struct{}{}; <-release }
	d.syncs.Store(0)

	var wg sync.WaitGroup
	intend := func() {
		wg.Go(func() {
			if err := l.Begin(arrival).Intent(context.Background(), &Facts{}); err != nil {
				t.Error(err)
			}
		})
	}
	intend()
	<-started
	for range n {
		intend()
	}
	for waiting := 0; waiting < n; runtime.Gosched() { // all are in the next batch
		l.intents.mu.Lock()
		if b := l.intents.next; b != nil {
			waiting = strings.Count(string(b.data), "\n")
		}
		l.intents.mu.Unlock()
	}
	close(release)
	wg.Wait()
	if got := d.syncs.Load(); got != 2 {
		t.Errorf("%d fsyncs for %d intents", got, n+1)
	}
	if got := len(readLines(t, l.cfg.Path+".intent")); got != n+1 {
		t.Errorf("%d intents", got)
	}
}

// Intents stand in for records until these are durable: nothing may be dropped from
// the one file before the other is synced.
func TestRecordsAreDurableBeforeIntentsGo(t *testing.T) {
	var steps []string
	l := openLog(t, Config{Sync: true, OpenFile: func(path string) (File, error) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		return told{f, &steps}, err
	}})
	finish(t, intended(t, l), 200)
	steps = nil
	l.compacts = 1
	finish(t, intended(t, l), 200)
	want := []string{"sync audit.log.intent", "sync audit.log", "cut audit.log.intent", "sync audit.log.intent"}
	if !slices.Equal(steps, want) {
		t.Errorf("%v", steps)
	}
}

// A head in the database speaks for the files before the current one too: they are
// durable when they are left, whether an intent was open or not.
func TestFilesAreDurableBeforeTheyAreLeft(t *testing.T) {
	for _, leave := range []func(*Log) error{(*Log).rotate, func(l *Log) error {
		if err := os.Rename(l.cfg.Path, l.cfg.Path+".1"); err != nil {
			return err
		}
		l.records.turn.Unlock()
		defer l.records.turn.Lock()
		return l.Reopen()
	}} {
		var steps []string
		l := openLog(t, Config{Sync: true, OpenFile: func(path string) (File, error) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
			return told{f, &steps}, err
		}})
		finish(t, l.Begin(arrival), 200)
		l.records.turn.Lock()
		err := leave(l)
		l.records.turn.Unlock()
		if want := []string{"sync audit.log"}; err != nil || !slices.Equal(steps, want) {
			t.Errorf("%v, %v", steps, err)
		}
	}
}

// told is a file that tells what is done to it.
type told struct {
	*os.File
	steps *[]string
}

func (f told) Sync() error {
	*f.steps = append(*f.steps, "sync "+filepath.Base(f.Name()))
	return nil
}

func (f told) Truncate(size int64) error {
	*f.steps = append(*f.steps, "cut "+filepath.Base(f.Name()))
	return f.File.Truncate(size)
}

// A failed fsync says that nothing is durable.
func TestFailedSyncIsAFailedIntent(t *testing.T) {
	l := openLog(t, Config{Sync: true, OpenFile: func(path string) (File, error) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		return badSync{f}, err
	}})
	if err := l.Begin(arrival).Intent(t.Context(), &Facts{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	if n := len(readLines(t, l.cfg.Path+".intent")); n != 0 {
		t.Errorf("%d intents", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Begin(arrival).Intent(ctx, &Facts{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

type badSync struct{ *os.File }

func (badSync) Sync() error { return errFull }

func TestConcurrentEntriesAreAllWhole(t *testing.T) {
	l := openLog(t, Config{MaxBytes: 32 << 10})
	l.compacts = 4 << 10
	const workers, each = 16, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range each {
				e := l.Begin(arrival)
				if i%2 == 0 {
					if err := e.Intent(context.Background(), &Facts{}); err != nil {
						t.Error(err)
					}
				}
				if err := e.Finish(&Facts{}, Outcome{Status: 200}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(l.open) != 0 {
		t.Errorf("%d intents are open", len(l.open))
	}
	path := l.cfg.Path
	openLog(t, Config{Path: path})
	seen := map[string]bool{}
	for _, f := range logFiles(t, path) {
		for _, m := range readLines(t, f) {
			id := m["properties"].(map[string]any)["requestId"].(string)
			if seen[id] || m["resultType"] != "Success" {
				t.Errorf("%s: %v", id, m["resultType"])
			}
			seen[id] = true
		}
	}
	if len(seen) != workers*each {
		t.Errorf("%d records", len(seen))
	}
}

// logFiles are the log and what was rotated from it.
func logFiles(t *testing.T, path string) []string {
	t.Helper()
	dir := strings.TrimSuffix(path, "audit.log")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".intent") {
			files = append(files, dir+e.Name())
		}
	}
	return files
}

func BenchmarkFinish(b *testing.B) {
	l, err := Open(Config{Path: b.TempDir() + "/audit.log"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e := l.Begin(arrival)
			f := Facts{
				Request:    Request{Address: "203.0.113.7", URI: "https://kv1.vault.test/secrets/db?api-version=7.6", UserAgent: "azsdk-go", TLSVersion: 0x0304},
				ResourceID: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.KeyVault/vaults/kv1",
				VaultURL:   "https://kv1.vault.test", Operation: "SecretList", Permission: &Permission{RBAC: true, Allowed: true, AssignmentID: "as-1"},
			}
			if err := e.Finish(&f, Outcome{Status: 200}); err != nil {
				b.Error(err)
			}
		}
	})
}
