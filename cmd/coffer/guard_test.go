package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asNobody lets a command run as a user that owns nothing. Tests of what another process of the same user can do mean
// nothing as root, who can do everything.
func asNobody(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	cmd.Stderr = os.Stderr
	return cmd
}

// copyForNobody puts this program where nobody can run it, in a folder of his own.
func copyForNobody(t *testing.T) (program, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "coffer-guard-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := exec.LookPath("coffer")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "coffer")
	if err := os.WriteFile(program, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(home, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	return program, home
}

// TestOthersOfTheSameUserReadNothing of a running vault: neither its memory nor its environment, while they can of any
// other process; no core is written; the command of coffer dev gets no secret of the vault.
func TestOthersOfTheSameUserReadNothing(t *testing.T) {
	t.Parallel()
	program, home := copyForNobody(t)
	// The command of the development vault is the other process: its parent is the vault.
	script := `
		cat /proc/self/environ >environ && echo own environment
		for f in environ mem maps; do head -c 1 /proc/$PPID/$f >/dev/null 2>&1 && echo "$f of the vault"; done
		head -c 1 /proc/$$/environ >/dev/null && echo "environ of the shell"
		grep "Max core file size" /proc/$PPID/limits
		grep -c . /proc/$PPID/status >/dev/null && grep VmLck /proc/$PPID/status
	`
	cmd := asNobody(t, exec.Command(program, "dev", "--data", "data", "--listen", "127.0.0.1:0", "--", "sh", "-c", script))
	cmd.Dir = home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KEEP=me",
		"COFFER_PASSPHRASE=staple nail horse field", "COFFER_HSM_PIN=hunter2-pin", "COFFER_STORE_URL=postgres://u:hunter2@127.0.0.1/x",
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"own environment\n", "environ of the shell\n"} { // the ways of the test do work
		if !strings.Contains(string(out), want) {
			t.Errorf("the test sees nothing: %q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "of the vault") {
		t.Errorf("another process of the same user reads\n%s", out)
	}
	if fields := strings.Fields(string(out)[strings.Index(string(out), "Max core"):]); fields[4] != "0" {
		t.Errorf("core files: %v", fields)
	}
	environ, err := os.ReadFile(filepath.Join(home, "environ"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"staple", "hunter2", "COFFER_"} {
		if bytes.Contains(environ, []byte(secret)) {
			t.Errorf("the command gets %s", secret)
		}
	}
	for _, want := range []string{"KEEP=me", "AZURE_CLIENT_SECRET=", "IDENTITY_HEADER=", "VAULT_URL="} {
		if !bytes.Contains(environ, []byte(want)) {
			t.Errorf("the command lacks %s", want)
		}
	}
}

// TestMemoryIsLocked where the system lets us, and memory.lock: on is kept to where it does not.
func TestMemoryIsLocked(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs to be root, to take and give capabilities")
	}
	t.Parallel()
	program, home := copyForNobody(t)
	run := func(capability string) string { // util-linux has setpriv; a limit of 64 KiB is lower than any system's own
		shell := fmt.Sprintf("ulimit -l 64 && exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps %s --ambient-caps %s "+
			"%s dev --data data --listen 127.0.0.1:0 -- sh -c 'grep VmLck /proc/$PPID/status'", capability, capability, program)
		cmd := exec.Command("sh", "-c", shell)
		cmd.Dir = home
		out, err := cmd.CombinedOutput()
		return fmt.Sprint(string(out), err)
	}
	if out := run("+ipc_lock"); !strings.Contains(out, "VmLck") || strings.Contains(out, "VmLck:\t       0 kB") {
		t.Errorf("with CAP_IPC_LOCK: %s", out)
	}
	if out := run("-all"); !strings.Contains(out, "VmLck:\t       0 kB") || !strings.HasSuffix(out, "<nil>") {
		t.Errorf("with a limit it must run unlocked: %s", out)
	}
	path := filepath.Join(home, "data", "coffer.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, "memory: {lock: on}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("-all"); !strings.Contains(out, "memory.lock is on") || !strings.Contains(out, "LimitMEMLOCK=") {
		t.Errorf("memory.lock: on with a limit: %s", out)
	}
}
