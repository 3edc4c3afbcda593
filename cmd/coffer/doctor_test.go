package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"coffer/internal/admin"
	"coffer/internal/daemon"
)

// finds runs a command that looks, and answers its exit code and what it printed. It must
// not change a file.
func (f *folder) finds(args ...string) (code int, out string) {
	f.t.Helper()
	before := f.state()
	cmd := exec.Command("coffer", args...)
	cmd.Env = append(append(os.Environ(), "COFFER_CONFIG="+f.path("coffer.yaml")), f.env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		f.t.Fatal(err)
	}
	if after := f.state(); after != before {
		f.t.Errorf("coffer %s changed files:\n%s\n%s", strings.Join(args, " "), before, after)
	}
	if code != 0 {
		f.t.Log(stderr.String())
	}
	return code, string(raw)
}

// state is every file of the folder, with its mode, times and size: but those that a
// running server writes.
func (f *folder) state() string {
	f.t.Helper()
	find := []string{f.dir, "-not", "-name", "*-shm"}
	if _, err := admin.Dial(f.path("admin.sock")); err == nil {
		find = append(find, "-not", "-name", "audit.jsonl*", "-not", "-name", "*-wal")
	}
	out, err := exec.Command("find", append(find, "-printf", "%P %M %T@ %s\n")...).Output()
	if err != nil {
		f.t.Fatal(err)
	}
	return string(out)
}

// What would keep a server from starting, or from serving, is found without starting one.
func TestCheckLooksAtWhatTheConfigurationNames(t *testing.T) {
	t.Parallel()
	whole := newFolder(t, nil)
	p := whole.start() // so that the audit log has lines that the database has seen
	p.stop(syscall.SIGTERM)
	other := newFolder(t, nil)
	for _, c := range []struct {
		name string
		harm func(f *folder) error
		want string // "" is good
	}{
		{"nothing", func(*folder) error { return nil }, ""},
		{"a folder for everybody", func(f *folder) error { return os.Chmod(f.dir, 0o755) }, "the data folder: others may enter"},
		{"no root key", func(f *folder) error { return os.Remove(f.path("root.key")) }, "the root key: the root key is missing"},
		{"a root key for everybody", func(f *folder) error { return os.Chmod(f.path("root.key"), 0o644) }, "the root key: the root key file"},
		{"another's root key", func(f *folder) error {
			return errors.Join(os.Remove(f.path("root.key")), os.Link(other.path("root.key"), f.path("root.key")))
		}, "does not open all data keys of the database"},
		{"no passphrase", func(f *folder) error { f.settings("root_key: {passphrase_file: nowhere}\n"); return nil }, "root_key.passphrase_file: "},
		{"no database", func(f *folder) error { return os.Remove(f.path("coffer.db")) }, "the database: "},
		{"another's database", func(f *folder) error {
			return errors.Join(os.Remove(f.path("coffer.db")), os.Link(other.path("coffer.db"), f.path("coffer.db")))
		}, "is not the one that was here last"},
		{"a torn database", func(f *folder) error { return os.Truncate(f.path("coffer.db"), 5000) }, "the database: "},
		{"no audit log", func(f *folder) error { return os.Remove(f.path("audit.jsonl")) }, "the audit log: the log has no line"},
		{"half an audit log", func(f *folder) error { return os.Truncate(f.path("audit.jsonl"), 1500) }, "the audit log: the log ends with line"},
		{"another tenant", func(f *folder) error {
			text := strings.Replace(string(f.read("coffer.yaml")), "tenant: ", "tenant: 8c2f6b1e-0000-4000-8000-000000000000 # ", 1)
			return os.WriteFile(f.path("coffer.yaml"), []byte(text), 0o600)
		}, "the tenant of the configuration is not the installation's"},
		{"no certificate", func(f *folder) error { f.settings("tls: {certificate: no.crt, key: no.key}\n"); return nil }, "the listener's certificate: open "},
		{"no CA file of an issuer", func(f *folder) error {
			f.settings("identity: {issuers: [{issuer: https://idp.example.net, ca: no.pem}]}\n")
			return nil
		}, "the external issuers: identity.issuers[0].ca: open "},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &folder{t: t, dir: filepath.Join(t.TempDir(), "data"), who: whole.who}
			if out, err := exec.Command("cp", "-a", whole.dir, f.dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err := c.harm(f); err != nil {
				t.Fatal(err)
			}
			code, out := f.finds("serve", "--check")
			if c.want == "" {
				if code != 0 || !strings.Contains(out, "is good.") {
					t.Errorf("%d: %s", code, out)
				}
				return
			}
			if code != 1 || !strings.Contains(out, "WRONG: ") || !strings.Contains(out, c.want) {
				t.Errorf("%d, want %q: %s", code, c.want, out)
			}
			if code, out := f.finds("doctor"); code != 1 || !strings.Contains(out, c.want) {
				t.Errorf("doctor: %d: %s", code, out)
			}
		})
	}
}

// The doctor tells what comes, beside a server and without one, also after a crash.
func TestDoctorTellsWhatComes(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.settings("allow_newer_api_versions: true\n")
	p := f.start()
	f.coffer("identity", "create", "web")
	f.coffer("identity", "secret", "web", "--lifetime", "3d")
	look := func(when string, want ...string) {
		t.Helper()
		code, out := f.finds("doctor")
		for _, w := range append(want, "a secret of web expires on", "allow_newer_api_versions", "is in clear", "administrator.json holds") {
			if !strings.Contains(out, w) {
				t.Errorf("%s: it does not say %q:\n%s", when, w, out)
			}
		}
		if code != 0 {
			t.Errorf("%s: exit code %d: %s", when, code, out)
		}
	}
	look("beside a server", "'coffer backup' has never run", "A server runs.")
	f.coffer("backup", filepath.Join(t.TempDir(), "copy.db"))
	f.coffer("rotate")
	if _, out := f.finds("doctor"); strings.Contains(out, "backup' ") || !strings.Contains(out, "its file keeps 1 older") {
		t.Errorf("after a backup and a rotation: %s", out)
	}
	if code, out := f.finds("serve", "--check"); code != 0 {
		t.Errorf("serve --check beside a server: %d: %s", code, out)
	}
	// What fails in the server is told by it.
	if err := os.Remove(f.path("audit.jsonl")); err != nil {
		t.Fatal(err)
	}
	until(t, "the server to see that its log is gone", func() bool {
		_, err := os.Stat(f.path("audit.jsonl"))
		return err == nil
	})
	if _, out := f.finds("doctor"); !strings.Contains(out, "the files of the audit log: the file was removed") {
		t.Errorf("of the running server: %s", out)
	}
	p.kill()
	look("after a crash", "No server runs.")
	code, out := f.finds("doctor", "-o", "json")
	var report struct {
		Running  bool
		Findings []daemon.Finding
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || report.Running || len(report.Findings) < 4 {
		t.Errorf("as JSON: %v: %d %s", err, code, out)
	}
}
