package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockIsForOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); err == nil || err.Error() != path+" is held by process "+fmt.Sprint(os.Getpid()) {
		t.Errorf("a second one: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // by whoever took it and has not written yet
		t.Fatal(err)
	}
	if _, err := Lock(path); err == nil || !strings.HasSuffix(err.Error(), "is held by process (unknown)") {
		t.Errorf("of a holder that is not known: %v", err)
	}
	f.Close()
	f, err = Lock(path)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	f.Close()
	// A link in its place is not followed.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(other, []byte("mine"), 0o600), os.Symlink(other, path)); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); err == nil {
		t.Error("a link was followed")
	}
	if b, _ := os.ReadFile(other); string(b) != "mine" {
		t.Errorf("it wrote %q", b)
	}
}

func TestDataFolderIsPrivate(t *testing.T) {
	for _, c := range []struct {
		what string
		mode os.FileMode // 0: absent
		full bool
		fail bool
	}{
		{"absent", 0, false, false},
		{"private", 0o700, true, false},
		{"empty and open", 0o755, false, false},
		{"readable", 0o744, true, true},
		{"for the group", 0o710, true, true},
		{"like /tmp", 0o777 | os.ModeSticky, true, true},
	} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if c.mode != 0 {
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, c.mode)); err != nil {
				t.Fatal(err)
			}
		}
		if c.full {
			if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := Make(dir)
		if c.fail != (err != nil) || c.fail && !strings.Contains(err.Error(), "run chmod 700 "+dir) {
			t.Errorf("%s: %v", c.what, err)
		}
		info, statErr := os.Stat(dir)
		if statErr != nil || !c.fail && info.Mode().Perm() != 0o700 || c.fail && info.Mode().Perm() != c.mode.Perm() {
			t.Errorf("%s: afterwards %v, %v", c.what, info.Mode(), statErr)
		}
	}
}
