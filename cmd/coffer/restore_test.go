package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// refused runs a command that must fail with that in its message.
func (f *folder) refused(want string, args ...string) {
	f.t.Helper()
	cmd := exec.Command("coffer", args...)
	cmd.Env = append(append(os.Environ(), "COFFER_CONFIG="+f.path("coffer.yaml")), f.env...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
		f.t.Errorf("coffer %s: %v, want %q: %s", strings.Join(args, " "), err, want, out)
	}
}

func (f *folder) copy(from, to string) {
	f.t.Helper()
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
}

// has asks for secrets by name: each is there, or is not.
func (p *process) has(status int, names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.must(status, http.MethodGet, "/secrets/"+name, nil)
	}
}

// TestRestore follows docs/operation.md, after a crash and after a clean stop: what
// comes back is the backup and nothing else, and what was there is kept.
func TestRestore(t *testing.T) {
	for end, stop := range map[string]func(*process){
		"a crash":      (*process).kill,
		"a clean stop": func(p *process) { p.stop(syscall.SIGTERM) },
	} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t, nil)
			backup := filepath.Join(t.TempDir(), "backup.db")
			p := f.start()
			put := func(name string) {
				p.must(http.StatusOK, http.MethodPut, "/secrets/"+name, map[string]any{"value": "x"})
			}
			put("before")
			f.coffer("backup", backup)
			put("after")
			f.coffer("rotate") // the new file opens the backup too
			f.refused("stop the server first", "restore", backup)
			stop(p)

			// By hand, beside the log of a server that was killed, it is refused.
			if end == "a crash" {
				f.copy(f.path("coffer.db"), f.path("kept"))
				f.copy(backup, f.path("coffer.db"))
				f.refused("coffer restore FILE", "serve")
				f.copy(f.path("kept"), f.path("coffer.db"))
			} else { // nor is an older copy taken for what was there, though there is no log
				f.copy(f.path("coffer.db"), f.path("kept"))
				f.copy(backup, f.path("coffer.db"))
				f.refused("is not the one that was here last", "serve")
				f.copy(f.path("kept"), f.path("coffer.db"))
			}
			// What cannot be restored changes nothing.
			damaged := filepath.Join(t.TempDir(), "damaged.db")
			raw, err := os.ReadFile(backup)
			if err == nil {
				clear(raw[len(raw)-4096:]) // the last page
				err = os.WriteFile(damaged, raw, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			f.refused("it is damaged", "restore", damaged)
			f.refused("is the database itself", "restore", f.path("coffer.db"))
			other := newFolder(t, nil)
			q := other.start()
			q.must(http.StatusOK, http.MethodPut, "/secrets/other", map[string]any{"value": "x"})
			q.stop(syscall.SIGTERM)
			f.refused("does not open it", "restore", other.path("coffer.db"))

			f.coffer("restore", backup)
			p = f.start()
			p.has(http.StatusOK, "before")
			p.has(http.StatusNotFound, "after")
			put("later")
			f.coffer("audit", "verify")
			p.stop(syscall.SIGTERM)
			if !strings.Contains(string(f.read("audit.jsonl")), `"operationName":"VaultRestore"`) {
				t.Error("the restore is not on record")
			}

			// And back to what was there.
			aside, err := filepath.Glob(f.path("coffer.db.before-*Z"))
			if err != nil || len(aside) != 1 {
				t.Fatalf("put aside: %q, %v", aside, err)
			}
			f.coffer("restore", aside[0])
			p = f.start()
			p.has(http.StatusOK, "before", "after")
			p.has(http.StatusNotFound, "later")
			f.coffer("rotate", "--forget-old", "--yes")
			p.stop(syscall.SIGTERM)
			f.refused("does not open it", "restore", backup)
			f.checkVault()
			left, err := filepath.Glob(f.path("coffer.db.restoring*"))
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}
