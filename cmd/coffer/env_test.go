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

func TestNamesBelowLocalhostAreThisMachine(t *testing.T) {
	for address, want := range map[string]string{
		"dev.vault.localhost:8443": "localhost:8443", "Dev.LOCALHOST": "localhost:443",
		"localhost:1": "localhost:1", "xlocalhost:1": "xlocalhost:1", "localhost.example.net:1": "localhost.example.net:1", "[::1]:1": "[::1]:1",
	} {
		if got := loopback(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestVersionIsThatOfTheBuild(t *testing.T) {
	defer func(before string) { release = before }(release)
	release = "1.2.3"
	if got := version(); !strings.HasPrefix(got, "1.2.3 ") || !strings.Contains(got, "go1.") {
		t.Errorf("%q", got)
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
