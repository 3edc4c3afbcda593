package seal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWeakPassphrasesSealNoNewFile(t *testing.T) {
	for _, c := range []struct {
		passphrase string
		want       error
	}{
		{"", nil}, // the keys are in clear
		{"x", errShortPassphrase},
		{"kT9#fQ2!xz", errShortPassphrase},
		{"äöüäöüäöüäö", errShortPassphrase}, // 11 characters of two bytes
		{"\xff\xfe\x01\x02", errShortPassphrase},
		{"passwordpassword", errWeakPassphrase},
		{"password1234", errWeakPassphrase},
		{"qwertyuiop[]", errWeakPassphrase},
		{"aaaaaaaaaaaaaaaaaaaaaaaa", errWeakPassphrase},
		{"coffervault2026", errWeakPassphrase},
		{"November 2026", errWeakPassphrase},
		{strings.Repeat("abc", 1000), errWeakPassphrase},
		{"correct horse battery staple", nil},
		{"vXq2cH0pXkq4Hh0m2m4bqA==", nil},
		{"\xff\xfe\x01\x02\x93\x44\x17\x05\xa0\x3b\x3b\x11\xd9", nil},
		{"Zeitung Nagel Ofen Wiese blau", nil},
	} {
		path := filepath.Join(t.TempDir(), "root.key")
		begun := time.Now()
		_, err := CreateRootFile(path, NewValue([]byte(c.passphrase)), epoch)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%.40q: %v, want %v", c.passphrase, err, c.want)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%.40q took %v", c.passphrase, took)
		}
		if _, there := os.Stat(path); err != nil && there == nil {
			t.Errorf("%.40q left a file", c.passphrase)
		}
		if err != nil && c.passphrase != "x" && strings.Contains(err.Error(), c.passphrase) {
			t.Errorf("the error repeats the passphrase: %v", err)
		}
	}
}

// TestWeakPassphrasesOfBeforeStillOpen: the floor is for new files.
func TestWeakPassphrasesOfBeforeStillOpen(t *testing.T) {
	path, _ := created(t, "")
	r := opened(t, path, "")
	if err := r.Seal(NewValue([]byte("weak"))); !errors.Is(err, errShortPassphrase) {
		t.Errorf("changed to a weak one: %v", err)
	}
	if err := r.write(r.keys, NewValue([]byte("weak")), os.Rename); err != nil { // as before there was a floor
		t.Fatal(err)
	}
	old := opened(t, path, "weak")
	if err := old.Rotate(t.Context(), epoch); err != nil {
		t.Errorf("rotation under a passphrase of before: %v", err)
	}
	opened(t, path, "weak")
}
