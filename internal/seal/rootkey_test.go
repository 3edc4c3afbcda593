package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

func created(t testing.TB, passphrase string) (string, *RootFile) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.key")
	r, err := CreateRootFile(path, NewValue([]byte(passphrase)), epoch)
	if err != nil {
		t.Fatal(err)
	}
	return path, r
}

func opened(t testing.TB, path, passphrase string) *RootFile {
	t.Helper()
	r, err := OpenRootFile(path, NewValue([]byte(passphrase)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wrap makes a data key at rest.
func wrap(t testing.TB, r *RootFile, scope string) DataKey {
	t.Helper()
	d := DataKey{Scope: scope, ID: "0011223344556677"}
	var err error
	if d.RootID, d.Wrapped, err = r.Wrap(t.Context(), scope, d.ID, NewValue([]byte("the data key of "+scope))); err != nil {
		t.Fatal(err)
	}
	return d
}

func unwraps(t testing.TB, r *RootFile, d DataKey) {
	t.Helper()
	if got, err := r.Unwrap(t.Context(), d); err != nil || string(got.Reveal()) != "the data key of "+d.Scope {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRootFileIsOnlyItsOwners(t *testing.T) {
	path, r := created(t, "")
	d := wrap(t, r, "v1")
	unwraps(t, opened(t, path, ""), d)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o660, 0o601, 0o610, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRootFile(path, Value{}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %#o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	opened(t, path, "")
	if _, err := OpenRootFile(path+".not", Value{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// An existing file may be the only way to somebody's data.
func TestCreateNeverReplacesAFile(t *testing.T) {
	path, r := created(t, "")
	d := wrap(t, r, "v1")
	if _, err := CreateRootFile(path, Value{}, epoch); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	unwraps(t, opened(t, path, ""), d)
	dangling := filepath.Join(t.TempDir(), "root.key")
	if err := os.Symlink(dangling+".not", dangling); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRootFile(dangling, Value{}, epoch); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link to nowhere: %v", err)
	}
	// Of many at one time, one has made the file, and its key is in it.
	path = filepath.Join(t.TempDir(), "root.key")
	var wg sync.WaitGroup
	var winner atomic.Pointer[RootFile]
	for range 16 {
		wg.Go(func() {
			r, err := CreateRootFile(path, Value{}, epoch)
			if err == nil && !winner.CompareAndSwap(nil, r) {
				t.Error("two have made the file")
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := opened(t, path, "").CurrentID(); got != winner.Load().CurrentID() {
		t.Errorf("the file has key %s, the winner %s", got, winner.Load().CurrentID())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".root-*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestPassphrase(t *testing.T) {
	path, r := created(t, "correct horse battery")
	d := wrap(t, r, "v1")
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, []byte(base64.StdEncoding.EncodeToString(r.keys[0].Key))) || bytes.Contains(raw, []byte(`"keys"`)) {
		t.Fatalf("the key is in clear: %v", err)
	}
	unwraps(t, opened(t, path, "correct horse battery"), d)
	if _, err := OpenRootFile(path, NewValue([]byte("wrong"))); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong: %v", err)
	}
	if _, err := OpenRootFile(path, Value{}); err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("missing: %v", err)
	}
	if err := r.Seal(NewValue([]byte("staple nail horse field"))); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRootFile(path, NewValue([]byte("correct horse battery"))); !errors.Is(err, ErrPassphrase) {
		t.Errorf("the old one: %v", err)
	}
	unwraps(t, opened(t, path, "staple nail horse field"), d)
	if err := r.Seal(Value{}); err != nil {
		t.Fatal(err)
	}
	unwraps(t, opened(t, path, ""), d)
	// Whoever replaces a sealed file by a clear one is found out.
	if _, err := OpenRootFile(path, NewValue([]byte("staple nail horse field"))); err == nil || !strings.Contains(err.Error(), "not sealed by a passphrase") {
		t.Errorf("clear, with a passphrase: %v", err)
	}
}

// What could not be written is not used.
func TestFailedWriteChangesNothing(t *testing.T) {
	path, r := created(t, "")
	d := wrap(t, r, "v1")
	before, dir := r.CurrentID(), filepath.Dir(path)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if r.Seal(NewValue([]byte("staple nail horse field"))) == nil || r.Rotate(t.Context(), epoch) == nil || r.Retire(t.Context()) == nil {
		t.Error("writing to nowhere succeeds")
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	if r.CurrentID() != before {
		t.Error("the key in memory is not in the file")
	}
	if err := r.Rotate(t.Context(), epoch); err != nil {
		t.Fatal(err)
	}
	unwraps(t, opened(t, path, ""), d) // in clear, as before
}

func TestRotationSurvivesACrashAnywhere(t *testing.T) {
	path, r := created(t, "")
	old := wrap(t, r, "v1")
	first := r.CurrentID()
	if err := r.Rotate(t.Context(), epoch); err != nil {
		t.Fatal(err)
	}
	// A crash before rewrapping.
	r = opened(t, path, "")
	if r.CurrentID() == first {
		t.Error("the new key is not current")
	}
	second := r.CurrentID()
	unwraps(t, r, old)
	// Run again, it goes on with the key that is there; so the file cannot grow.
	for range 3 {
		if err := r.Rotate(t.Context(), epoch); err != nil || r.CurrentID() != second {
			t.Errorf("another key: %v", err)
		}
	}
	renewed := wrap(t, r, "v1")
	if renewed.RootID != second {
		t.Errorf("wrapped by %s", renewed.RootID)
	}
	// A crash before retiring.
	r = opened(t, path, "")
	unwraps(t, r, old)
	unwraps(t, r, renewed)
	if err := r.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*RootFile{r, opened(t, path, "")} {
		unwraps(t, r, renewed)
		if _, err := r.Unwrap(t.Context(), old); !errors.Is(err, ErrRootKey) {
			t.Errorf("the old root key is still there: %v", err)
		}
	}
}

// Keys that are kept open what was wrapped in their time, in clear and sealed; the file
// has a bound, and Retire drops them.
func TestKeptRootKeysOpenBackups(t *testing.T) {
	path, r := created(t, "correct horse battery")
	var backups []DataKey
	for range 3 {
		backups = append(backups, wrap(t, r, "v1"))
		before := r.CurrentID()
		if err := errors.Join(r.Rotate(t.Context(), epoch), r.Keep(t.Context())); err != nil {
			t.Fatal(err)
		}
		if r.CurrentID() == before {
			t.Fatal("a key that is kept was taken for a rotation under way")
		}
	}
	r = opened(t, path, "correct horse battery")
	for _, d := range append(backups, wrap(t, r, "v1")) {
		unwraps(t, r, d)
	}
	for len(r.keys) < maxRootKeys {
		r.keys = append(r.keys, r.keys[len(r.keys)-1])
	}
	if err := errors.Join(r.Rotate(t.Context(), epoch), r.Keep(t.Context())); err != nil {
		t.Fatal(err)
	}
	if r = opened(t, path, "correct horse battery"); len(r.keys) != maxRootKeys {
		t.Errorf("%d root keys", len(r.keys))
	}
	if err := r.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, path, "correct horse battery").Unwrap(t.Context(), backups[2]); !errors.Is(err, ErrRootKey) {
		t.Errorf("it is kept still: %v", err)
	}
}

// Another process rotates while this one has the old key in memory.
func TestRotationByAnotherProcess(t *testing.T) {
	for _, passphrase := range []string{"", "correct horse battery"} {
		path, here := created(t, passphrase)
		old := wrap(t, here, "v1")
		there := opened(t, path, passphrase)
		if err := there.Rotate(t.Context(), epoch); err != nil {
			t.Fatal(err)
		}
		renewed := wrap(t, there, "v1")
		unwraps(t, here, renewed) // it reads the file again
		if err := there.Retire(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What is wrapped here from now on opens after a restart.
		fresh := wrap(t, here, "v2")
		if fresh.RootID != there.CurrentID() {
			t.Error("wrapped by a key that was retired")
		}
		unwraps(t, opened(t, path, passphrase), fresh)
		if _, err := here.Unwrap(t.Context(), old); !errors.Is(err, ErrRootKey) {
			t.Errorf("got %v", err)
		}
	}
}

// A file that is gone after the start does not stop the vault.
func TestMissingFileDoesNotStopWrapping(t *testing.T) {
	path, r := created(t, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	unwraps(t, r, wrap(t, r, "v1"))
}

func TestDamagedFileIsRefusedWithoutShowingIt(t *testing.T) {
	path, r := created(t, "")
	key := base64.StdEncoding.EncodeToString(r.keys[0].Key)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	for claim, content := range map[string][]byte{
		"empty":            {},
		"cut":              good[:len(good)/2],
		"another format":   edit(`"format": 1`, `"format": 2`),
		"no keys":          []byte(`{"format":1}`),
		"a short key":      edit(key, key[:40]+"AA=="),
		"not base64":       edit(key, "?"+key[1:]),
		"a number":         edit(`"`+key+`"`, "17"),
		"a bad id":         edit(r.CurrentID(), "x"),
		"far too long":     append(bytes.Clone(good[:len(good)-3]), bytes.Repeat([]byte(" "), maxRootBytes)...),
		"huge parameters":  sealedDoc(t, sealed{Salt: make([]byte, 16), Time: 1, Memory: 1 << 31, Threads: 1, Box: make([]byte, 64)}),
		"endless passes":   sealedDoc(t, sealed{Salt: make([]byte, 16), Time: 1 << 30, Memory: 64, Threads: 1, Box: make([]byte, 64)}),
		"no lanes":         sealedDoc(t, sealed{Salt: make([]byte, 16), Time: 1, Memory: 64, Threads: 0, Box: make([]byte, 64)}),
		"no passes":        sealedDoc(t, sealed{Salt: make([]byte, 16), Time: 0, Memory: 64, Threads: 1, Box: make([]byte, 64)}),
		"no salt":          sealedDoc(t, sealed{Time: 1, Memory: 64, Threads: 1, Box: make([]byte, 64)}),
		"a box too short":  sealedDoc(t, sealed{Salt: make([]byte, 16), Time: 1, Memory: 64, Threads: 1, Box: make([]byte, 8)}),
		"a box of its own": sealedDoc(t, sealed{Salt: make([]byte, 16), Time: 1, Memory: 64, Threads: 1, Box: make([]byte, 64)}),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, passphrase := range []string{"", "x"} {
			_, err := OpenRootFile(path, NewValue([]byte(passphrase)))
			if err == nil {
				t.Errorf("%s: it opens", claim)
			} else if strings.Contains(err.Error(), key[:8]) {
				t.Errorf("%s: the error shows the key: %v", claim, err)
			}
		}
	}
}

func sealedDoc(t *testing.T, s sealed) []byte {
	t.Helper()
	b, err := json.Marshal(rootDoc{Format: 1, Sealed: &s})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWrappedKeysAreBoundToTheirScope(t *testing.T) {
	_, r := created(t, "")
	d := wrap(t, r, "v1")
	for claim, change := range map[string]func(*DataKey){
		"scope":   func(d *DataKey) { d.Scope = "v2" },
		"id":      func(d *DataKey) { d.ID = "0011223344556678" },
		"content": func(d *DataKey) { d.Wrapped = append(bytes.Clone(d.Wrapped), 0) },
		"nothing": func(d *DataKey) { d.Wrapped = nil },
	} {
		other := d
		change(&other)
		if _, err := r.Unwrap(t.Context(), other); !errors.Is(err, ErrBox) {
			t.Errorf("another %s: %v", claim, err)
		}
	}
}

func TestRootFileIsSafeForConcurrentUse(t *testing.T) {
	path, r := created(t, "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				unwraps(t, r, wrap(t, r, "v1"))
				r.CurrentID()
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if err := errors.Join(r.Rotate(t.Context(), epoch), r.Seal(Value{})); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	opened(t, path, "")
}
