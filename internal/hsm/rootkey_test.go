//go:build hsm

package hsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"coffer/internal/fault"
	"coffer/internal/seal"
)

// dataKey is a data key of scope, wrapped by r.
func dataKey(t testing.TB, r seal.Keeper, scope string) seal.DataKey {
	t.Helper()
	k := seal.DataKey{Scope: scope, ID: "0011223344556677"}
	var err error
	if k.RootID, k.Wrapped, err = r.Wrap(t.Context(), scope, k.ID, seal.NewValue([]byte("the data key of "+scope))); err != nil {
		t.Fatal(err)
	}
	return k
}

func unwraps(t testing.TB, r seal.Keeper, k seal.DataKey) {
	t.Helper()
	if got, err := r.Unwrap(t.Context(), k); err != nil || string(got.Reveal()) != "the data key of "+k.Scope {
		t.Errorf("%q, %v", got, err)
	}
}

func created(t testing.TB, d *Device) *RootKey {
	t.Helper()
	r, err := CreateRootKey(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reopened(t testing.TB, d *Device) *RootKey {
	t.Helper()
	r, err := OpenRootKey(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (k *testHSM) rootKeys() int { return strings.Count(k.objects(), "label:      coffer-root") }

func TestRootKeyStaysInTheHSM(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	if _, err := OpenRootKey(t.Context(), d); !errors.Is(err, seal.ErrRootKey) {
		t.Errorf("none yet: %v", err)
	}
	r := created(t, d)
	key := dataKey(t, r, "v1")
	unwraps(t, reopened(t, d), key)
	if key.RootID != r.CurrentID() || bytes.Contains(key.Wrapped, []byte("the data key")) {
		t.Errorf("wrapped as %+v", key)
	}
	if _, err := CreateRootKey(t.Context(), d); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	if list := k.objects(); !strings.Contains(list, "Access:     sensitive, always sensitive, never extractable, local") || strings.Count(list, "Object") != 1 {
		t.Errorf("pkcs11-tool sees\n%s", list)
	}
	// It is not a key of a vault.
	var id ID
	s, err := d.session(d.conn)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.roots()
	if err != nil {
		t.Fatal(err)
	}
	id = ID(keys[0].id)
	if err := d.Destroy(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, _, err := d.Secret(id).SealGCM(t.Context(), make([]byte, 12), nil, nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("a vault's key: %v", err)
	}
	unwraps(t, r, key)
}

// The wrapped form is that of a root key file: with the same root key, each opens what
// the other has wrapped.
func TestWrappedKeysAreThoseOfARootKeyFile(t *testing.T) {
	d := newHSM(t).open()
	r := created(t, d)
	raw := random(32)
	path := filepath.Join(t.TempDir(), "root.key")
	doc, err := json.Marshal(map[string]any{"format": 1, "keys": []map[string]any{{"id": "0123456789abcdef", "key": raw, "created": time.Now()}}})
	if err == nil {
		err = os.WriteFile(path, doc, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := seal.OpenRootFile(path, seal.Value{})
	if err != nil {
		t.Fatal(err)
	}
	id := rootID{}.next().next()
	err = d.do(t.Context(), func(s *session) error {
		_, err := s.lib.CreateObject(s.h, []*pkcs11.Attribute{
			attribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES), attribute(pkcs11.CKA_TOKEN, true),
			attribute(pkcs11.CKA_ENCRYPT, true), attribute(pkcs11.CKA_DECRYPT, true), attribute(pkcs11.CKA_LABEL, rootLabel),
			attribute(pkcs11.CKA_ID, id[:]), attribute(pkcs11.CKA_VALUE, raw),
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ofFile := dataKey(t, file, "v1")
	ofFile.RootID = id.String()
	unwraps(t, r, ofFile)
	ofHSM := dataKey(t, r, "v2")
	if ofHSM.RootID != id.String() {
		t.Errorf("wrapped by %s, not by the newest", ofHSM.RootID)
	}
	ofHSM.RootID = "0123456789abcdef"
	unwraps(t, file, ofHSM)
}

func TestWrappedKeysAreBoundToTheirScope(t *testing.T) {
	d := newHSM(t).open()
	r := created(t, d)
	key := dataKey(t, r, "v1")
	for claim, change := range map[string]func(*seal.DataKey){
		"scope":      func(k *seal.DataKey) { k.Scope = "v2" },
		"id":         func(k *seal.DataKey) { k.ID = "0011223344556678" },
		"scope, id":  func(k *seal.DataKey) { k.Scope, k.ID = "v10", "011223344556677" },
		"content":    func(k *seal.DataKey) { k.Wrapped[len(k.Wrapped)-1] ^= 1 },
		"nonce":      func(k *seal.DataKey) { k.Wrapped[10] ^= 1 },
		"header":     func(k *seal.DataKey) { k.Wrapped[5] ^= 1 },
		"format":     func(k *seal.DataKey) { k.Wrapped[0] = 2 },
		"length":     func(k *seal.DataKey) { k.Wrapped = k.Wrapped[:20] },
		"no content": func(k *seal.DataKey) { k.Wrapped = nil },
	} {
		other := key
		other.Wrapped = bytes.Clone(key.Wrapped)
		change(&other)
		if _, err := r.Unwrap(t.Context(), other); !errors.Is(err, seal.ErrBox) {
			t.Errorf("another %s: %v", claim, err)
		}
	}
	for _, id := range []string{"", "0123456789abcdef", "zz", rootID{}.next().String()} {
		other := key
		other.RootID = id
		if _, err := r.Unwrap(t.Context(), other); !errors.Is(err, seal.ErrRootKey) {
			t.Errorf("root key %q: %v", id, err)
		}
	}
}

// A rotation fails at each call, as if it had not been made and as if it had, and the
// process ends. Every data key opens all the same, and a second rotation ends well.
func TestRotationSurvivesACrashAnywhere(t *testing.T) {
	k := newHSM(t)
	d, f := k.faulty()
	r := created(t, d)
	key := dataKey(t, r, "v1")
	none := func(string) error { return nil }
	rotate := func(r *RootKey) error {
		if err := r.Rotate(t.Context(), time.Time{}); err != nil {
			return err
		}
		plain, err := r.Unwrap(t.Context(), key)
		if err != nil {
			return err
		}
		renewed := key
		if renewed.RootID, renewed.Wrapped, err = r.Wrap(t.Context(), key.Scope, key.ID, plain); err != nil {
			return err
		}
		key = renewed // the commit
		return r.Retire(t.Context())
	}
	before := f.total()
	if err := rotate(r); err != nil {
		t.Fatal(err)
	}
	calls := f.total() - before
	for i := range calls {
		for after := range 2 {
			left := i
			hook := func(string) error {
				// It stays gone, so that nothing is repeated.
				if left--; left < 0 {
					return pkcs11.Error(pkcs11.CKR_DEVICE_REMOVED)
				}
				return nil
			}
			if f.before, f.after = hook, none; after == 1 {
				f.before, f.after = none, hook
			}
			if err := rotate(r); err != nil && !fault.Is(err, fault.Unavailable) {
				t.Errorf("call %d: %v", i, err)
			}
			f.before, f.after = none, none
			k.pass(time.Second)
			r = reopened(t, d)
			unwraps(t, r, key)
			old := key
			if err := rotate(r); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
			unwraps(t, r, key)
			if _, err := r.Unwrap(t.Context(), old); old.RootID != key.RootID && !errors.Is(err, seal.ErrRootKey) {
				t.Errorf("the old root key is still there: %v", err)
			}
		}
	}
	if n := k.rootKeys(); n != 1 {
		t.Errorf("%d root keys", n)
	}
}

// Another process, here another device, rotates.
func TestRotationByAnotherProcess(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	here := created(t, d)
	there := reopened(t, k.open())
	old := dataKey(t, here, "v1")
	if err := there.Rotate(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	renewed := dataKey(t, there, "v1")
	unwraps(t, here, renewed)
	if fresh := dataKey(t, here, "v2"); fresh.RootID != there.CurrentID() {
		t.Error("wrapped by the old root key")
	}
	if err := there.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	unwraps(t, here, dataKey(t, here, "v2"))
	if _, err := here.Unwrap(t.Context(), old); !errors.Is(err, seal.ErrRootKey) {
		t.Errorf("got %v", err)
	}
	// It goes on with a rotation that it finds, and makes no third key.
	first := here.CurrentID()
	if err := errors.Join(here.Rotate(t.Context(), time.Time{}), there.Rotate(t.Context(), time.Time{})); err != nil {
		t.Fatal(err)
	}
	if n := k.rootKeys(); n != 2 || here.CurrentID() != there.CurrentID() || here.CurrentID() == first {
		t.Errorf("%d root keys", n)
	}
}

// Two rotate at one time, and each makes a root key: none is destroyed that the other
// has yet to wrap with.
func TestRetireSparesWhatOthersMake(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	here := created(t, d)
	if err := here.Rotate(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	key := dataKey(t, here, "v1")
	err := d.do(t.Context(), func(s *session) error { // by another, who saw the first one only
		_, err := s.generateRoot(rootID{7: 3})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := here.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	unwraps(t, here, key)
	if n := k.rootKeys(); n != 2 {
		t.Errorf("%d root keys", n)
	}
	if fresh := dataKey(t, here, "v2"); fresh.RootID != (rootID{7: 3}).String() {
		t.Error("wrapped by another than the newest")
	}
}

func TestOfManyThatCreateAtMostOneHasARootKey(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var made []*RootKey
	for range 4 {
		wg.Go(func() {
			r, err := CreateRootKey(t.Context(), d)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made = append(made, r)
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := k.rootKeys(); n != len(made) || n > 1 {
		t.Errorf("%d root keys, %d made", n, len(made))
	}
}

func TestRootKeyOfAnHSMThatIsGone(t *testing.T) {
	k := newHSM(t)
	d := k.open()
	r := created(t, d)
	key := dataKey(t, r, "v1")
	k.remove()
	if _, err := r.Unwrap(t.Context(), key); !fault.Is(err, fault.Unavailable) {
		t.Errorf("unwrap: %v", err)
	}
	k.pass(time.Second)
	if _, _, err := r.Wrap(t.Context(), "v1", key.ID, seal.Value{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("wrap: %v", err)
	}
	if _, err := OpenRootKey(t.Context(), d); !fault.Is(err, fault.Unavailable) {
		t.Errorf("open: %v", err)
	}
	if err := r.Rotate(t.Context(), time.Time{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("rotate: %v", err)
	}
	k.put()
	k.pass(time.Second)
	unwraps(t, r, key)
}
