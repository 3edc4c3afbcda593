package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// verify runs coffer audit verify and answers what it says, and whether all is well.
func (f *folder) verify(args ...string) (said string, well bool) {
	f.t.Helper()
	cmd := exec.Command("coffer", append([]string{"audit", "verify"}, args...)...)
	cmd.Env = append(append(os.Environ(), "COFFER_CONFIG="+f.path("coffer.yaml")), f.env...)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); err != nil && code != 1 {
		f.t.Fatalf("audit verify: %v: %s", err, out)
	}
	return string(out), err == nil
}

// set makes a secret, again and again until stop is closed, and answers the requests
// that were answered with success.
func (p *process) setSecrets(workers int, stop <-chan struct{}) (requests []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := p.do(http.MethodPut, fmt.Sprintf("/secrets/s%d", n), map[string]any{"value": "v"})
				if err == nil && a.status == http.StatusOK {
					mu.Lock()
					requests = append(requests, a.request)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return requests
}

// allRecords are those of the log and of every file beside it that verify walks.
func (f *folder) allRecords() map[string]string {
	f.t.Helper()
	names, err := filepath.Glob(f.path("audit.jsonl*"))
	if err != nil {
		f.t.Fatal(err)
	}
	seen := map[string]string{}
	for _, name := range names {
		if ext := filepath.Ext(name); ext == ".intent" || ext == ".lock" {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			f.t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var r record
			if json.Unmarshal(line, &r) == nil {
				seen[r.Properties.RequestID] = r.Result
			}
		}
	}
	return seen
}

// logrotate moves the file and sends SIGHUP, under load: no record is lost, the chain
// holds over the files, and nothing is taken for a disturbance.
func TestHangupReopensTheAuditLog(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	p := f.start()
	stop := make(chan struct{})
	done := make(chan []string)
	go func() { done <- p.setSecrets(4, stop) }()
	for i := range 5 {
		time.Sleep(100 * time.Millisecond)
		if err := os.Rename(f.path("audit.jsonl"), f.path(fmt.Sprintf("audit.jsonl-2026120%d", i))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, "a new file", func() bool {
			raw, err := os.ReadFile(f.path("audit.jsonl"))
			return err == nil && bytes.Contains(raw, []byte(`"operationName":"AuditLogReopened"`))
		})
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil { // nothing was moved
		t.Fatal(err)
	}
	close(stop)
	requests := <-done
	if said, well := f.verify(); !well || !strings.Contains(said, "6 files") || strings.Contains(said, "AuditLogDisturbed") {
		t.Errorf("while it runs: %s", said)
	}
	p.kill()
	if out, err := exec.Command("gzip", f.path("audit.jsonl-20261201")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if said, well := f.verify(); !well || !strings.Contains(said, "6 files") {
		t.Errorf("after a kill, and compressed: %s", said)
	}
	if out, err := exec.Command("gzip", "-d", f.path("audit.jsonl-20261201.gz")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	seen := f.allRecords()
	for _, id := range requests {
		if seen[id] != "Success" {
			t.Errorf("the request %s was answered with success and has %q", id, seen[id])
		}
	}
	if len(requests) < 20 {
		t.Errorf("%d requests", len(requests))
	}
}

// The log is removed, and emptied, under the running server: it is found while it runs,
// nothing after that is lost, and it is told again and again until somebody knows.
func TestDisturbedAuditLogIsTold(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	p := f.start()
	for _, change := range []struct {
		what string
		do   func() error
	}{
		{"the file was removed", func() error { return os.Remove(f.path("audit.jsonl")) }},
		{"the file was cut from", func() error { return os.Truncate(f.path("audit.jsonl"), 0) }},
	} {
		p.must(http.StatusOK, http.MethodPut, "/secrets/before", map[string]any{"value": "v"})
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		until(t, "the alarm", func() bool { return bytes.Contains(p.said(), []byte(change.what)) })
		a := p.must(http.StatusOK, http.MethodPut, "/secrets/after", map[string]any{"value": "v"})
		if f.allRecords()[a.request] != "Success" {
			t.Errorf("%s: what came after is not on record", change.what)
		}
		said, well := f.verify()
		if well || !strings.Contains(said, "AuditLogDisturbed: "+change.what) || !strings.Contains(said, "The running server found: "+change.what) {
			t.Errorf("%s: %s", change.what, said)
		}
	}
	p.stop(syscall.SIGTERM)
	f.start().stop(syscall.SIGTERM) // what is on record is no reason not to start
}

// The end of the log is cut while no server runs: it does not start until somebody has
// taken note, which is on record.
func TestLostAuditLogIsNotServed(t *testing.T) {
	t.Parallel()
	for _, db := range databases() {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			env, args := db.at(t)
			f := newFolder(t, env, args...)
			p := f.start()
			p.must(http.StatusOK, http.MethodPut, "/secrets/one", map[string]any{"value": "v"})
			if out, err := exec.Command("coffer", "audit", "accept", "--config", f.path("coffer.yaml")).CombinedOutput(); err == nil {
				t.Errorf("accepted while a server runs: %s", out)
			}
			p.stop(syscall.SIGTERM)
			if said, well := f.verify(); !well {
				t.Errorf("nothing was done yet: %s", said)
			}
			if said := f.coffer("audit", "accept"); !strings.Contains(said, "nothing to accept") {
				t.Error(said)
			}
			if err := os.Remove(f.path("audit.jsonl")); err != nil {
				t.Fatal(err)
			}
			if said, well := f.verify(); well || !strings.Contains(said, "WRONG: The log ends with line 0, but the database has seen line") {
				t.Errorf("removed: %s", said)
			}
			cmd := exec.Command("coffer", "serve", "--config", f.path("coffer.yaml"))
			cmd.Env = append(os.Environ(), env...)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "run 'coffer audit accept'") {
				t.Fatalf("served without its log: %v: %s", err, out)
			}
			if said := f.coffer("audit", "accept"); !strings.Contains(said, "On record: the log has no line") {
				t.Error(said)
			}
			p = f.start()
			p.must(http.StatusOK, http.MethodGet, "/secrets/one", nil)
			if said, well := f.verify(); well || !strings.Contains(said, "AuditLogAccepted") {
				t.Errorf("accepted: %s", said)
			}
			p.stop(syscall.SIGTERM)
		})
	}
}

// While the log's disk is full, nothing is done that is not on record, and what was under
// way is on record without a restart.
func TestFullAuditDiskLosesNoRecord(t *testing.T) {
	t.Parallel()
	d, ok := tmpfs(t, "1m")
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
	p.must(http.StatusOK, http.MethodPut, "/secrets/s", map[string]any{"value": "v"}) // the intents have their room
	d.fill(p)
	refused := map[string]string{} // request ids, by name
	for i := 0; len(refused) < 20; i++ {
		name := fmt.Sprintf("/secrets/f%d", i)
		a, err := p.do(http.MethodPut, name, map[string]any{"value": "v"})
		if err != nil || i > 5000 {
			t.Fatal("the disk does not become full", err)
		}
		if a.status != http.StatusOK {
			refused[name] = a.request
		}
	}
	d.free(p)
	until(t, "service to return", func() bool {
		a, err := p.do(http.MethodPut, "/secrets/s", map[string]any{"value": "after"})
		return err == nil && a.status == http.StatusOK
	})
	done := 0
	for name, request := range refused {
		if a, err := p.do(http.MethodGet, name, nil); err != nil || a.status != http.StatusOK {
			continue
		}
		done++ // before it was known that it cannot be recorded
		until(t, "its record, without a restart", func() bool { return f.resultIn(moved, request) == "Unknown" })
	}
	if done > 1 {
		t.Errorf("%d of %d refused requests were done", done, len(refused))
	}
	if said, well := f.verify(); !well {
		t.Error(said)
	}
	p.stop(syscall.SIGTERM)
}

// resultIn is the result type of a request's record in a log; "" when it has none.
func (f *folder) resultIn(log, request string) (result string) {
	f.t.Helper()
	raw, err := os.ReadFile(log)
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var r record
		if json.Unmarshal(line, &r) == nil && r.Properties.RequestID == request {
			result = r.Result
		}
	}
	return result
}
