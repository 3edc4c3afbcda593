package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/admin"
	"coffer/internal/config"
	"coffer/internal/jobs"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// settings are those of a new folder.
func newSettings(t *testing.T) *config.Config {
	t.Helper()
	c := &config.Config{Listen: "127.0.0.1:0", Suffix: "vault.test", Tenant: "8c2f6b1e-0000-4000-8000-000000000000"}
	if err := c.At(filepath.Join(t.TempDir(), "data", config.FileName)); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), c, time.Now(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c *config.Config, log io.Writer) *Daemon {
	t.Helper()
	d, err := Open(t.Context(), c, nil, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func shut(t *testing.T, d *Daemon) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestOneProcessAFolder(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	if _, err := Open(t.Context(), c, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second one: %v", err)
	}
	// The lock that PostgreSQL leaves to us.
	path := filepath.Join(c.DataDir(), "audit.jsonl.lock")
	if _, err := lockAudit(path); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "is held by process "+fmt.Sprint(os.Getpid())) {
		t.Errorf("the audit log: %v", err)
	}
	shut(t, d)
}

func TestListenerIsOpenedOnceTheFolderIsOurs(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	asked := false
	listen := func() (net.Listener, error) {
		asked = true
		return nil, errors.New("no port")
	}
	if _, err := Open(t.Context(), c, listen, slog.New(slog.DiscardHandler)); !errors.Is(err, store.ErrInUse) || asked {
		t.Errorf("in use: %v, asked %v", err, asked)
	}
	shut(t, d)
	if _, err := Open(t.Context(), c, listen, slog.New(slog.DiscardHandler)); err == nil || err.Error() != "no port" {
		t.Errorf("no port: %v", err)
	}
	shut(t, open(t, c, io.Discard)) // nothing was left locked
}

// TestRootKeyMustFit: the wrong file shows at the start; one that opens a part is
// good for that part.
func TestRootKeyMustFit(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	if _, err := d.sealer.Seal(t.Context(), seal.Place{Kind: "signing-key"}, seal.NewValue([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Admin().Call(t.Context(), access.Operator("me", "0"), admin.VaultCreate, []byte(`{"name":"main"}`)); err != nil {
		t.Fatal(err)
	}
	v, err := d.vaults.ByName(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	shut(t, d)
	right := RootKeyPath(c)
	if err := os.Rename(right, right+".right"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrRootKeyMissing) || !strings.Contains(err.Error(), right) {
		t.Errorf("no root key: %v", err)
	}
	// To begin anew beside the database would make it unreadable for good.
	if err := Create(t.Context(), c, time.Now(), slog.New(slog.DiscardHandler)); !errors.Is(err, ErrVaultExists) {
		t.Errorf("creating beside a database: %v", err)
	}
	if _, err := seal.CreateRootFile(right, seal.Value{}, time.Now()); err != nil { // another one
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, seal.ErrRootKey) || !strings.Contains(err.Error(), right) {
		t.Errorf("another root key: %v", err)
	}

	// Half of the database was sealed with this one.
	db, err := store.Open(t.Context(), store.Config{Driver: store.SQLite, Path: filepath.Join(c.DataDir(), "coffer.db")})
	if err != nil {
		t.Fatal(err)
	}
	root, err := seal.OpenRootFile(right, seal.Value{})
	if err != nil {
		t.Fatal(err)
	}
	k := seal.DataKey{Scope: string(v.ID), ID: "0123456789abcdef", Created: time.Now()}
	if k.RootID, k.Wrapped, err = root.Wrap(t.Context(), k.Scope, k.ID, seal.NewValue(make([]byte, 32))); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertDataKey(t.Context(), k) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// The rows are authenticated by a key that it does not open: nothing of them can be used.
	var log bytes.Buffer
	_, err = Open(t.Context(), c, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if !errors.Is(err, seal.ErrRootKey) || !strings.Contains(err.Error(), "of rows") {
		t.Errorf("half of the root key: %v", err)
	}
	if !strings.Contains(log.String(), "a data key cannot be opened") || !strings.Contains(log.String(), "scope=installation") {
		t.Errorf("the log says %s", &log)
	}
	if err := os.Rename(right+".right", right); err != nil {
		t.Fatal(err)
	}
	shut(t, open(t, c, io.Discard))
}

// TestRotationSurvivesACrash: whatever line it stops at, everything opens, and
// the next rotation finishes.
func TestRotationSurvivesACrash(t *testing.T) {
	place := seal.Place{Kind: "signing-key"}
	for _, c := range []struct {
		what string
		run  func(d *Daemon) error
	}{
		{"after the new key", func(d *Daemon) error { return d.root.Rotate(t.Context(), time.Now()) }},
		{"after wrapping", func(d *Daemon) error {
			_, err := d.sealer.Rewrap(context.Background())
			return errors.Join(d.root.Rotate(t.Context(), time.Now()), err)
		}},
		{"not at all", func(d *Daemon) error {
			_, err := d.rotate(context.Background(), accesstest.New(t).Everywhere(access.RootKeyRotate), true)
			return err
		}},
	} {
		settings := newSettings(t)
		d := open(t, settings, io.Discard)
		box, err := d.sealer.Seal(t.Context(), place, seal.NewValue([]byte("kept")))
		if err != nil {
			t.Fatal(err)
		}
		first := d.root.CurrentID()
		if err := c.run(d); err != nil {
			t.Fatal(err)
		}
		shut(t, d)
		for range 2 {
			d = open(t, settings, io.Discard)
			if v, err := d.sealer.Open(t.Context(), place, box); err != nil || string(v.Reveal()) != "kept" {
				t.Errorf("%s: %v", c.what, err)
			}
			r, err := d.rotate(t.Context(), accesstest.New(t).Everywhere(access.RootKeyRotate), true)
			if err != nil || r.DataKeys != 2 || r.RootKey == first {
				t.Errorf("%s: the next rotation: %+v, %v", c.what, r, err)
			}
			shut(t, d)
		}
		if raw, _ := os.ReadFile(RootKeyPath(settings)); bytes.Contains(raw, []byte(first)) || bytes.Count(raw, []byte(`"id"`)) != 1 {
			t.Errorf("%s: the file keeps old keys", c.what)
		}
	}
}

// TestJobsOfADeadProcessAreFree at the next start; those that nobody took keep
// their time.
func TestJobsOfADeadProcessAreFree(t *testing.T) {
	c := newSettings(t)
	d := open(t, c, io.Discard)
	now := time.Now().UTC().Truncate(time.Millisecond)
	later := now.Add(time.Hour)
	kinds := []jobs.Kind{"x"}
	err := d.db.Update(t.Context(), func(tx *store.Tx) error {
		for id, due := range map[string]time.Time{"taken": now, "waits": later} {
			if err := tx.EnqueueJob(t.Context(), jobs.Job{ID: id, Kind: "x", Due: due}); err != nil {
				return err
			}
		}
		_, err := tx.ClaimJobs(t.Context(), kinds, now, now, now.Add(2*time.Minute), 9)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	shut(t, d)
	d = open(t, c, io.Discard)
	defer shut(t, d)
	err = d.db.Update(t.Context(), func(tx *store.Tx) error {
		free, err := tx.ClaimJobs(t.Context(), kinds, now, now, later, 9)
		if err == nil && (len(free) != 1 || free[0].ID != "taken" || free[0].Attempt != 2) {
			t.Errorf("free are %+v", free)
		}
		all, err := tx.Jobs(t.Context())
		if err == nil && (len(all) != 2 || !all[1].Due.Equal(later)) {
			t.Errorf("all are %+v", all)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestHealthAsksTheDatabase: a vault without one does not say that it can serve.
func TestHealthAsksTheDatabase(t *testing.T) {
	d := open(t, newSettings(t), io.Discard)
	ask := func() int {
		w := &answered{header: http.Header{}}
		r, err := http.NewRequest(http.MethodGet, "https://localhost/healthstatus", nil)
		if err != nil {
			t.Fatal(err)
		}
		d.Handler().ServeHTTP(w, r)
		return w.status
	}
	if got := ask(); got != http.StatusOK {
		t.Errorf("well: %d", got)
	}
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("without a database: %d", got)
	}
	shut(t, d)
}

type answered struct {
	header http.Header
	status int
}

func (a *answered) Header() http.Header         { return a.header }
func (a *answered) Write(p []byte) (int, error) { return len(p), nil }
func (a *answered) WriteHeader(status int)      { a.status = status }
