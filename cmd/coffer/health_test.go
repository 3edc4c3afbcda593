package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/internal/admin"
	"coffer/internal/config"
	"coffer/internal/daemon"
)

// healthy is what /healthstatus answers without a token, and without a reason.
func (p *process) healthy() bool {
	p.t.Helper()
	resp, err := p.client.Get("https://main.vault.test/healthstatus")
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return true
	case http.StatusServiceUnavailable:
		if resp.Header.Get("Retry-After") == "" {
			p.t.Error("a 503 without Retry-After")
		}
		return false
	}
	p.t.Fatalf("healthstatus: %d", resp.StatusCode)
	return false
}

// damageLeaf writes over a leaf page of a table in the database of a stopped server.
func (f *folder) damageLeaf(table string) {
	f.t.Helper()
	path := f.path("coffer.db")
	out, err := exec.Command("sqlite3", path, "PRAGMA page_size; SELECT pageno FROM dbstat WHERE name = '"+table+"' AND pagetype = 'leaf' ORDER BY pageno").CombinedOutput()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 4 {
		f.t.Fatalf("the leaves of %s: %s, %v", table, out, err)
	}
	size, _ := strconv.ParseInt(fields[0], 10, 64)
	page, err := strconv.ParseInt(fields[len(fields)/2], 10, 64)
	if err != nil {
		f.t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt([]byte(strings.Repeat("\xa5", int(size))), (page-1)*size)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		f.t.Fatal(err)
	}
}

// A damaged page shows in the health before anybody reads it, and takes nothing away but
// what lies on it.
func TestDamagedPage(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	p := f.start()
	const secrets = 60
	name := func(i int) string { return fmt.Sprintf("secret%02d", i) }
	for i := range secrets {
		p.must(http.StatusOK, http.MethodPut, "/secrets/"+name(i), map[string]any{"value": strings.Repeat("x", 200)})
	}
	if !p.healthy() {
		t.Error("a sound vault is not healthy")
	}
	p.stop(syscall.SIGTERM)
	f.damageLeaf("secret_versions")
	p = f.start()
	until(t, "the health to show it", func() bool { return !p.healthy() })
	var view admin.HealthView
	client, err := admin.Dial(daemon.SocketPath(mustLoad(t, f)))
	if err != nil {
		t.Fatal(err)
	}
	if err := (socketCaller{client}).call(t.Context(), admin.HealthShow, admin.None{}, &view); err != nil {
		t.Fatal(err)
	}
	if view.Ready || len(view.Findings) != 1 || !strings.Contains(view.Findings[0].What, "secret_versions") || time.Since(view.Findings[0].Since) > time.Hour {
		t.Errorf("the operator is told %+v", view)
	}
	lost := 0
	for i := range secrets {
		a, err := p.do(http.MethodGet, "/secrets/"+name(i), nil)
		switch {
		case err != nil:
			t.Fatal(err)
		case a.status == http.StatusInternalServerError:
			lost++
		case a.status != http.StatusOK:
			t.Errorf("%s: %d %v", name(i), a.status, a.body)
		}
	}
	if lost == 0 || lost > secrets/2 {
		t.Errorf("%d of %d secrets cannot be read", lost, secrets)
	}
	p.must(http.StatusOK, http.MethodPut, "/secrets/zzz", map[string]any{"value": "x"}) // on another page
	p.has(http.StatusOK, "zzz")
	p.must(http.StatusOK, http.MethodGet, "/certificates", nil)
	p.kill()
}

// A replica that has not got the new root key yet says so, and is well again once it has.
func TestReplicaWithAnOldRootKeyIsNotReady(t *testing.T) {
	if testing.Short() {
		return // -short leaves PostgreSQL out
	}
	t.Parallel()
	env, args := onPostgres(t)
	one := newFolder(t, env, args...)
	two := one.replica()
	a, b := one.start(), two.start()
	one.coffer("rotate")
	until(t, "the replica to say that it lacks the root key", func() bool { return !b.healthy() })
	if !a.healthy() {
		t.Error("the one that rotated is not well")
	}
	one.coffer("vault", "create", "more") // with a data key of its own, on first use
	if out := string(b.said()); !strings.Contains(out, "health: the root key fails") {
		t.Errorf("the log does not say so: %s", tail(b.said()))
	}
	one.copy(one.path("root.key"), two.path("root.key"))
	until(t, "the replica to be well again", func() bool { return b.healthy() })
	a.stop(syscall.SIGTERM)
	b.stop(syscall.SIGTERM)
}

func mustLoad(t *testing.T, f *folder) *config.Config {
	t.Helper()
	c, err := config.Load(f.path("coffer.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
