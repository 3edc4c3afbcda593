//go:build hsm

package hsm

import (
	"sync"
	"testing"

	"github.com/miekg/pkcs11"
)

// faulty is the real library with failures let in before and after its calls.
type faulty struct {
	lib cryptoki
	t   testing.TB

	// before and after see every call by its name; their errors are what it returns,
	// without having been made, or although it was. They may block.
	before, after func(call string) error

	mu     sync.Mutex
	inside int            // guarded by mu; calls in the library
	calls  map[string]int // guarded by mu
}

// faulty opens a device on a module of its own.
func (k *testHSM) faulty() (*Device, *faulty) {
	k.t.Helper()
	lib, err := load(softHSMPath)
	if err != nil {
		k.t.Fatal(err)
	}
	none := func(string) error { return nil }
	f := &faulty{lib: lib, t: k.t, before: none, after: none, calls: map[string]int{}}
	mod := &module{lib: f}
	d, err := open(k.config(), mod, mod.stop)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			k.t.Error(err)
		}
	})
	return d, f
}

func (f *faulty) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *faulty) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		n += c
	}
	return n
}

func call[A any](f *faulty, name string, do func() (A, error)) (a A, err error) {
	f.mu.Lock()
	if (name == "Finalize" || name == "Initialize") && f.inside > 0 {
		f.t.Errorf("%s while %d calls are in the module", name, f.inside)
	}
	f.inside++
	f.calls[name]++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.inside--
	}()
	if err := f.before(name); err != nil {
		return a, err
	}
	if a, err = do(); err != nil {
		return a, err
	}
	if err := f.after(name); err != nil {
		var none A
		return none, err
	}
	return a, nil
}

func call0(f *faulty, name string, do func() error) error {
	_, err := call(f, name, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

func (f *faulty) Initialize(o ...pkcs11.InitializeOption) error {
	return call0(f, "Initialize", func() error { return f.lib.Initialize(o...) })
}

func (f *faulty) Finalize() error { return call0(f, "Finalize", f.lib.Finalize) }

func (f *faulty) GetSlotList(present bool) ([]uint, error) {
	return call(f, "GetSlotList", func() ([]uint, error) { return f.lib.GetSlotList(present) })
}

func (f *faulty) GetTokenInfo(slot uint) (pkcs11.TokenInfo, error) {
	return call(f, "GetTokenInfo", func() (pkcs11.TokenInfo, error) { return f.lib.GetTokenInfo(slot) })
}

func (f *faulty) OpenSession(slot, flags uint) (pkcs11.SessionHandle, error) {
	return call(f, "OpenSession", func() (pkcs11.SessionHandle, error) { return f.lib.OpenSession(slot, flags) })
}

func (f *faulty) CloseSession(s pkcs11.SessionHandle) error {
	return call0(f, "CloseSession", func() error { return f.lib.CloseSession(s) })
}

func (f *faulty) GetSessionInfo(s pkcs11.SessionHandle) (pkcs11.SessionInfo, error) {
	return call(f, "GetSessionInfo", func() (pkcs11.SessionInfo, error) { return f.lib.GetSessionInfo(s) })
}

func (f *faulty) Login(s pkcs11.SessionHandle, user uint, pin string) error {
	return call0(f, "Login", func() error { return f.lib.Login(s, user, pin) })
}

func (f *faulty) FindObjectsInit(s pkcs11.SessionHandle, t []*pkcs11.Attribute) error {
	return call0(f, "FindObjectsInit", func() error { return f.lib.FindObjectsInit(s, t) })
}

func (f *faulty) FindObjects(s pkcs11.SessionHandle, most int) ([]pkcs11.ObjectHandle, bool, error) {
	list, err := call(f, "FindObjects", func() ([]pkcs11.ObjectHandle, error) {
		list, _, err := f.lib.FindObjects(s, most)
		return list, err
	})
	return list, false, err
}

func (f *faulty) FindObjectsFinal(s pkcs11.SessionHandle) error {
	return call0(f, "FindObjectsFinal", func() error { return f.lib.FindObjectsFinal(s) })
}

func (f *faulty) GetAttributeValue(s pkcs11.SessionHandle, o pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error) {
	return call(f, "GetAttributeValue", func() ([]*pkcs11.Attribute, error) { return f.lib.GetAttributeValue(s, o, a) })
}

func (f *faulty) CreateObject(s pkcs11.SessionHandle, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	return call(f, "CreateObject", func() (pkcs11.ObjectHandle, error) { return f.lib.CreateObject(s, t) })
}

func (f *faulty) DestroyObject(s pkcs11.SessionHandle, o pkcs11.ObjectHandle) error {
	return call0(f, "DestroyObject", func() error { return f.lib.DestroyObject(s, o) })
}

func (f *faulty) GenerateKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	return call(f, "GenerateKey", func() (pkcs11.ObjectHandle, error) { return f.lib.GenerateKey(s, m, t) })
}

func (f *faulty) GenerateKeyPair(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, public, private []*pkcs11.Attribute) (pkcs11.ObjectHandle, pkcs11.ObjectHandle, error) {
	pair, err := call(f, "GenerateKeyPair", func() ([2]pkcs11.ObjectHandle, error) {
		a, b, err := f.lib.GenerateKeyPair(s, m, public, private)
		return [2]pkcs11.ObjectHandle{a, b}, err
	})
	return pair[0], pair[1], err
}

func (f *faulty) WrapKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, by, key pkcs11.ObjectHandle) ([]byte, error) {
	return call(f, "WrapKey", func() ([]byte, error) { return f.lib.WrapKey(s, m, by, key) })
}

func (f *faulty) UnwrapKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, by pkcs11.ObjectHandle, wrapped []byte, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	return call(f, "UnwrapKey", func() (pkcs11.ObjectHandle, error) { return f.lib.UnwrapKey(s, m, by, wrapped, t) })
}

func (f *faulty) SignInit(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, o pkcs11.ObjectHandle) error {
	return call0(f, "SignInit", func() error { return f.lib.SignInit(s, m, o) })
}

func (f *faulty) Sign(s pkcs11.SessionHandle, b []byte) ([]byte, error) {
	return call(f, "Sign", func() ([]byte, error) { return f.lib.Sign(s, b) })
}

func (f *faulty) EncryptInit(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, o pkcs11.ObjectHandle) error {
	return call0(f, "EncryptInit", func() error { return f.lib.EncryptInit(s, m, o) })
}

func (f *faulty) Encrypt(s pkcs11.SessionHandle, b []byte) ([]byte, error) {
	return call(f, "Encrypt", func() ([]byte, error) { return f.lib.Encrypt(s, b) })
}

func (f *faulty) EncryptUpdate(s pkcs11.SessionHandle, b []byte) ([]byte, error) {
	return call(f, "EncryptUpdate", func() ([]byte, error) { return f.lib.EncryptUpdate(s, b) })
}

func (f *faulty) EncryptFinal(s pkcs11.SessionHandle) ([]byte, error) {
	return call(f, "EncryptFinal", func() ([]byte, error) { return f.lib.EncryptFinal(s) })
}

func (f *faulty) DecryptInit(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, o pkcs11.ObjectHandle) error {
	return call0(f, "DecryptInit", func() error { return f.lib.DecryptInit(s, m, o) })
}

func (f *faulty) Decrypt(s pkcs11.SessionHandle, b []byte) ([]byte, error) {
	return call(f, "Decrypt", func() ([]byte, error) { return f.lib.Decrypt(s, b) })
}
