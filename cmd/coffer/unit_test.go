package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// packaged is where the files are that install Coffer as a service.
const packaged = "../../packaging/"

// systemd runs one of systemd's programs, which work without it.
func systemd(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestUnitIsComplete in systemd's own judgement, which has nothing to say of it.
func TestUnitIsComplete(t *testing.T) {
	raw, err := os.ReadFile(packaged + "coffer.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WantedBy=multi-user.target", "User=coffer", "StateDirectory=coffer", "StateDirectoryMode=0700", "Type=notify",
		"LoadCredential=passphrase", "LoadCredential=hsm-pin", "LoadCredential=store-url", "LimitCORE=0", "LimitMEMLOCK=infinity", "WatchdogSec="} {
		if !strings.Contains(string(raw), "\n"+want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
	unit := filepath.Join(t.TempDir(), "coffer.service") // the program is not installed here
	if err := os.WriteFile(unit, []byte(strings.Replace(string(raw), "/usr/bin/coffer", "/bin/true", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := systemd(t, "systemd-analyze", "verify", unit); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
}

// TestUnitIsExposedLittle: below 2.0 of 10.
func TestUnitIsExposedLittle(t *testing.T) {
	out := systemd(t, "systemd-analyze", "security", "--offline=true", "--no-pager", packaged+"coffer.service")
	level := regexp.MustCompile(`Overall exposure level for coffer.service: ([0-9.]+)`).FindStringSubmatch(out)
	if level == nil {
		t.Fatalf("no level in %s", out)
	}
	if n, err := strconv.ParseFloat(level[1], 64); err != nil || n >= 2 {
		t.Errorf("the exposure level is %s:\n%s", level[1], out)
	}
}

// TestAccountAndFolders are in the forms of sysusers.d(5) and tmpfiles.d(5).
func TestAccountAndFolders(t *testing.T) {
	here, err := filepath.Abs(packaged)
	if err != nil {
		t.Fatal(err)
	}
	if out := systemd(t, "systemd-sysusers", "--dry-run", filepath.Join(here, "coffer.sysusers")); strings.Contains(out, "ignoring") {
		t.Errorf("sysusers: %s", out)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\ncoffer:x:"+strconv.Itoa(os.Getuid())+":"+strconv.Itoa(os.Getgid())+"::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\ncoffer:x:"+strconv.Itoa(os.Getgid())+":\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	systemd(t, "systemd-tmpfiles", "--create", "--root="+root, filepath.Join(here, "coffer.tmpfiles"))
	for _, dir := range []string{"var/lib/coffer", "etc/credstore"} {
		if info, err := os.Stat(filepath.Join(root, dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
}
