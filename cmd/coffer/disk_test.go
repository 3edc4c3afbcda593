package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is one that can become full.
type disk struct {
	dir  string // "": anywhere
	fill func(*process)
	free func(*process)
}

// tmpfs is a small file system; false where the system does not let us mount one.
func tmpfs(t *testing.T, size string) (disk, bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := unix.Mount("coffer-test", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size="+size)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return disk{}, false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	return disk{
		dir: dir,
		fill: func(*process) {
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for block := make([]byte, 4096); err == nil; {
				_, err = f.Write(block)
			}
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
		},
		free: func(*process) {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		},
	}, true
}

// limit lets no file of the process grow, as a quota does.
func limit(t *testing.T) disk {
	set := func(p *process, bytes uint64) {
		if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return disk{fill: func(p *process) { set(p, 0) }, free: func(p *process) { set(p, unix.RLIM_INFINITY) }}
}

// TestFullDiskRefusesAndLosesNothing fills the disk under load: every request has
// an answer, what was answered with success stays, and service returns by itself.
func TestFullDiskRefusesAndLosesNothing(t *testing.T) {
	run := func(t *testing.T, d disk) {
		t.Parallel()
		f := newFolder(t, nil)
		if d.dir != "" {
			to := filepath.Join(d.dir, "data")
			if out, err := exec.Command("cp", "-a", f.dir, to).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			f.dir = to
		}
		p := f.start()
		l := newLoad(p, newOutsideCA(t), 40)
		l.mayRefuse = true
		ctx, stop := context.WithCancel(t.Context())
		wg := l.run(ctx, 0, 8)
		<-l.enough
		d.fill(p)
		refused := 0
		for i := 0; refused < 5; i++ { // the log of SQLite has room to write over at first
			a, err := p.do(http.MethodPost, "/certificates/full/create", creation("full", "Unknown"))
			switch {
			case err != nil:
				t.Fatalf("no answer on a full disk: %v", err)
			case a.status >= http.StatusInternalServerError:
				refused++
			case a.status != http.StatusAccepted && a.status != http.StatusConflict:
				t.Fatalf("%d on a full disk: %v", a.status, a.body)
			case i > 10_000:
				t.Fatal("the disk does not become full")
			}
		}
		d.free(p)
		until(t, "service to return", func() bool {
			a, err := p.do(http.MethodPost, "/certificates/again/create", creation("again", "Unknown"))
			if err != nil {
				t.Fatal(err)
			}
			return a.status == http.StatusAccepted || a.status == http.StatusConflict
		})
		stop()
		wg.Wait()
		l.check(p)
		p.stop(syscall.SIGTERM)
		f.checkVault()
		f.checkRecords(l.acked)
		p = f.start()
		l.check(p)
		p.stop(syscall.SIGTERM)
	}
	t.Run("a quota", func(t *testing.T) { run(t, limit(t)) })
	t.Run("a full file system", func(t *testing.T) {
		d, ok := tmpfs(t, "6m")
		if !ok {
			t.Log("left out: mounting a file system needs more rights than this user has")
			return
		}
		run(t, d)
	})
}

// TestNoRecordNoOperation fills the disk of the audit log alone: nothing is done
// and nothing is shown, by any door, until it can be recorded.
func TestNoRecordNoOperation(t *testing.T) {
	t.Parallel()
	d, ok := tmpfs(t, "256k")
	if !ok {
		t.Log("left out: mounting a file system needs more rights than this user has")
		return
	}
	f := newFolder(t, nil)
	moved := filepath.Join(d.dir, "audit.jsonl")
	if out, err := exec.Command("mv", f.path("audit.jsonl"), moved).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f.settings("audit: {path: " + moved + "}\n")
	p := f.start()
	_, text, _ := selfSignedPEM("kept")
	body := map[string]any{"value": text, "policy": map[string]any{"secret_props": map[string]any{"contentType": "application/x-pem-file"}}}
	p.must(http.StatusOK, http.MethodPost, "/certificates/kept/import", body)
	d.fill(p)
	// The last pages of the files have room for some lines. These are the shortest
	// ones, and use it up.
	for range 30 {
		for _, path := range []string{"/certificates/kept/", "/secrets/kept"} {
			if _, err := p.do(http.MethodGet, path, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, ask := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPost, "/certificates/new/import", body},
		{http.MethodPost, "/certificates/new/create", creation("new", "Self")},
		{http.MethodDelete, "/certificates/kept", nil},
		{http.MethodPatch, "/certificates/kept/", map[string]any{"attributes": map[string]any{"enabled": false}}},
		{http.MethodGet, "/secrets/kept", nil},
		{http.MethodGet, "/certificates/kept/", nil},
		{http.MethodPost, "/certificates/kept/backup", map[string]any{}},
	} {
		a := p.must(http.StatusServiceUnavailable, ask.method, ask.path, ask.body)
		if a.text("value") != "" {
			t.Errorf("%s %s was refused and shows %v", ask.method, ask.path, a.body)
		}
	}
	resp, err := p.client.Get("https://main.vault.test/healthstatus")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("healthstatus: %d", resp.StatusCode)
	}
	cmd := exec.Command("coffer", "vault", "create", "unrecorded", "--config", f.path("coffer.yaml"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "cannot be recorded") {
		t.Errorf("a change by the command line: %v: %s", err, out)
	}

	d.free(p)
	until(t, "service to return", func() bool {
		a, err := p.do(http.MethodGet, "/certificates/kept/", nil)
		return err == nil && a.status == http.StatusOK
	})
	p.must(http.StatusNotFound, http.MethodGet, "/certificates/new/", nil)
	if a := p.must(http.StatusOK, http.MethodGet, "/certificates/kept/", nil); a.body["attributes"].(map[string]any)["enabled"] != true {
		t.Errorf("it was changed without a record: %v", a.body)
	}
	if out := f.coffer("vault", "list"); strings.Contains(out, "unrecorded") {
		t.Error("a vault was made without a record")
	}
	p.stop(syscall.SIGTERM)
	f.checkVault()
}
