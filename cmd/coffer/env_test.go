package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is printed for pasting gives a shell's children the values, whatever they
// hold.
func TestEnvironmentPastesIntoAShell(t *testing.T) {
	env := []variable{{"VAULT_URL", "https://dev.vault.localhost:8443"}, {"ODD", `a'b"c $HOME \\ ` + "`id`"}, {"EMPTY", ""}}
	script := forShell("sh", env) + "printenv VAULT_URL ODD EMPTY"
	out, err := exec.Command("sh", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := env[0].value + "\n" + env[1].value + "\n\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	for shell, want := range map[string]string{
		"fish":       `set -gx ODD 'a\'b"c $HOME \\\\ ` + "`id`'",
		"powershell": `$env:ODD = 'a''b"c $HOME \\ ` + "`id`'",
	} {
		if got := strings.Split(forShell(shell, env), "\n")[1]; got != want {
			t.Errorf("%s: %s, want %s", shell, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, plain(env), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readEnvironment(file)
	if err != nil || len(got) != len(env) || got[1] != env[1] {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDurationsTakeDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "12h": 12 * time.Hour, "0d5m": 5 * time.Minute,
		"": -1, "d": -1, "-1d": -1, "1.5d": -1, "1h1d": -1, "soon": -1, "-5h": -1, "99999d": -1,
	} {
		var d duration
		if err := d.UnmarshalText([]byte(text)); (want < 0) != (err != nil) || err == nil && time.Duration(d) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(d), err)
		}
	}
}
