package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// replica is a data folder of its own over the same database: the same root key,
// tenant and TLS certificate, as docs/operation.md tells.
func (f *folder) replica() *folder {
	f.t.Helper()
	r := &folder{t: f.t, dir: filepath.Join(f.t.TempDir(), "data"), env: f.env, who: f.who}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range []string{"coffer.yaml", "root.key", "tls"} {
		if out, err := exec.Command("cp", "-a", f.path(name), r.dir).CombinedOutput(); err != nil {
			f.t.Fatalf("%v: %s", err, out)
		}
	}
	return r
}

func TestReplicasAreAlike(t *testing.T) {
	if testing.Short() {
		return // -short leaves PostgreSQL out
	}
	t.Parallel()
	env, args := onPostgres(t)
	one := newFolder(t, env, args...)
	two := one.replica()
	a, b := one.start(), two.start()

	// Each certificate is issued once, whoever was asked and whoever does it.
	const each = 6
	for i := range each {
		for j, p := range []*process{a, b} {
			name := fmt.Sprintf("made-%d-%d", i, j)
			p.must(http.StatusAccepted, http.MethodPost, "/certificates/"+name+"/create", creation(name, "Self"))
		}
	}
	for i := range each {
		for j, p := range []*process{b, a} { // asked of the other one
			name := fmt.Sprintf("made-%d-%d", i, j)
			until(t, name, func() bool {
				return p.must(http.StatusOK, http.MethodGet, "/certificates/"+name+"/pending", nil).text("status") == "completed"
			})
			live := p.must(http.StatusOK, http.MethodGet, "/certificates/"+name+"/", nil)
			if err := whole(p, &expected{name: name}, live); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			versions := p.must(http.StatusOK, http.MethodGet, "/certificates/"+name+"/versions", nil)
			if list, _ := versions.body["value"].([]any); len(list) != 1 {
				t.Errorf("%s has %d versions", name, len(list))
			}
		}
	}
	enrolled := 0
	for _, f := range []*folder{one, two} {
		for _, r := range f.records() {
			if r.Operation == "CertificateEnroll" {
				enrolled++
			}
		}
	}
	if enrolled != 2*each {
		t.Errorf("%d enrolments on record, want %d", enrolled, 2*each)
	}

	// What one takes away, the other takes away soon.
	one.coffer("identity", "create", "web")
	secret := strings.TrimSpace(one.coffer("identity", "secret", "web"))
	var client string
	for line := range strings.Lines(one.coffer("identity", "list")) {
		if f := strings.Fields(line); f[0] == "web" {
			client = f[3]
		}
	}
	token := b.signIn(client, secret)
	sees := func(status int) func() bool {
		return func() bool {
			got, err := b.as(token, http.MethodGet, "/certificates", nil)
			return err == nil && got.status == status
		}
	}
	one.coffer("access", "set", "main", "web", "--certificates", "list")
	until(t, "the policy on the other replica", sees(http.StatusOK))
	one.coffer("access", "remove", "main", "web")
	until(t, "its end on the other replica", sees(http.StatusForbidden))
	one.coffer("identity", "disable", "web")
	until(t, "the disabled identity on the other replica", sees(http.StatusUnauthorized))

	// The folder of one is not for another process.
	cmd := exec.Command("coffer", "serve", "--config", one.path("coffer.yaml"))
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "audit.jsonl.lock is held by process "+fmt.Sprint(a.cmd.Process.Pid)) {
		t.Errorf("a second process in the folder: %v: %s", err, out)
	}

	// The other replica goes on with what a dead one has begun.
	for i := range each {
		name := fmt.Sprintf("left-%d", i)
		a.must(http.StatusAccepted, http.MethodPost, "/certificates/"+name+"/create", creation(name, "Self"))
	}
	a.kill()
	one.endLeases()
	for i := range each {
		name := fmt.Sprintf("left-%d", i)
		until(t, name, func() bool {
			return b.must(http.StatusOK, http.MethodGet, "/certificates/"+name+"/pending", nil).text("status") == "completed"
		})
	}
	b.stop(syscall.SIGTERM)
	one.checkVault()
}
