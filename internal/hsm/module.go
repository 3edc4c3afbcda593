//go:build hsm

package hsm

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

typedef unsigned long (*c_decrypt)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *);

static unsigned long coffer_decrypt(void *f, unsigned long session, unsigned char *in, unsigned long in_len,
		unsigned char *out, unsigned long *out_len) {
	return ((c_decrypt)f)(session, in, in_len, out, out_len);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/miekg/pkcs11"
)

// cryptoki is what is called of a PKCS#11 library: the lowest place where a test
// can let an HSM fail.
type cryptoki interface {
	Initialize(...pkcs11.InitializeOption) error
	Finalize() error
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetTokenInfo(slot uint) (pkcs11.TokenInfo, error)
	OpenSession(slot uint, flags uint) (pkcs11.SessionHandle, error)
	CloseSession(pkcs11.SessionHandle) error
	GetSessionInfo(pkcs11.SessionHandle) (pkcs11.SessionInfo, error)
	Login(s pkcs11.SessionHandle, user uint, pin string) error
	FindObjectsInit(pkcs11.SessionHandle, []*pkcs11.Attribute) error
	FindObjects(s pkcs11.SessionHandle, most int) ([]pkcs11.ObjectHandle, bool, error)
	FindObjectsFinal(pkcs11.SessionHandle) error
	GetAttributeValue(pkcs11.SessionHandle, pkcs11.ObjectHandle, []*pkcs11.Attribute) ([]*pkcs11.Attribute, error)
	CreateObject(pkcs11.SessionHandle, []*pkcs11.Attribute) (pkcs11.ObjectHandle, error)
	DestroyObject(pkcs11.SessionHandle, pkcs11.ObjectHandle) error
	GenerateKey(pkcs11.SessionHandle, []*pkcs11.Mechanism, []*pkcs11.Attribute) (pkcs11.ObjectHandle, error)
	GenerateKeyPair(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, public, private []*pkcs11.Attribute) (pkcs11.ObjectHandle, pkcs11.ObjectHandle, error)
	WrapKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, by, key pkcs11.ObjectHandle) ([]byte, error)
	UnwrapKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, by pkcs11.ObjectHandle, wrapped []byte, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error)
	SignInit(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error
	Sign(pkcs11.SessionHandle, []byte) ([]byte, error)
	EncryptInit(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error
	Encrypt(pkcs11.SessionHandle, []byte) ([]byte, error)
	EncryptUpdate(pkcs11.SessionHandle, []byte) ([]byte, error)
	EncryptFinal(pkcs11.SessionHandle) ([]byte, error)
	DecryptInit(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error
	Decrypt(pkcs11.SessionHandle, []byte) ([]byte, error)
}

// library is a PKCS#11 library in this process.
type library struct {
	*pkcs11.Ctx
	decrypt unsafe.Pointer // C_Decrypt
	softHSM softHSM
}

// Decrypt calls C_Decrypt itself. The binding's own loses the output buffer
// whenever the HSM refuses, so that bad ciphertexts would eat the
// memory of the process; and it leaves the plaintext behind on the C heap.
func (l *library) Decrypt(s pkcs11.SessionHandle, ciphertext []byte) ([]byte, error) {
	in := append([]byte{}, ciphertext...)
	if len(in) == 0 {
		in = make([]byte, 1) // for its address
	}
	// No mechanism here gives more than it takes.
	out := make([]byte, len(in))
	n := C.ulong(len(out))
	rv := C.coffer_decrypt(l.decrypt, C.ulong(s), (*C.uchar)(&in[0]), C.ulong(len(ciphertext)), (*C.uchar)(&out[0]), &n)
	if rv != pkcs11.CKR_OK {
		return nil, pkcs11.Error(rv)
	}
	if int(n) > len(out) {
		return nil, errors.New("hsm: C_Decrypt tells a length that it was not given")
	}
	return out[:n], nil
}

// load brings a library into the process. It stays there: makers' libraries do
// not take being unloaded well.
func load(path string) (cryptoki, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_LAZY)
	if handle == nil {
		return nil, fmt.Errorf("the PKCS#11 module cannot be loaded: %s", C.GoString(C.dlerror()))
	}
	symbol := C.CString("C_Decrypt")
	defer C.free(unsafe.Pointer(symbol))
	decrypt := C.dlsym(handle, symbol)
	ctx := pkcs11.New(path)
	if decrypt == nil || ctx == nil {
		return nil, fmt.Errorf("%s is not a PKCS#11 module", path)
	}
	return &library{Ctx: ctx, decrypt: decrypt}, nil
}

// module is a library and what the process has made of it: PKCS#11 initializes a
// library once for a whole process, and finalizing it ends all that anybody does
// with it. So all devices of a module share one.
type module struct {
	lib cryptoki

	// use is held for reading during every call, and for writing to initialize and
	// finalize. It is only tried for reading: whoever initializes may wait long.
	use         sync.RWMutex
	initialized bool   // guarded by use
	epoch       uint64 // guarded by use; counts initializations: sessions and handles belong to one
}

// start makes the module usable. When its epoch is still the one given, in which
// an HSM was lost, it is finalized first: that is what makes a library look for
// its HSMs again. It waits for the calls in the module.
func (m *module) start(lost uint64) (uint64, error) {
	m.use.Lock()
	defer m.use.Unlock()
	if m.initialized && m.epoch == lost {
		m.initialized = false
		if err := m.lib.Finalize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED)) {
			return 0, fmt.Errorf("finalizing the module: %w", err)
		}
	}
	if !m.initialized {
		if err := m.lib.Initialize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
			return 0, fmt.Errorf("initializing the module: %w", err)
		}
		m.initialized = true
		m.epoch++
	}
	return m.epoch, nil
}

func (m *module) stop() error {
	m.use.Lock()
	defer m.use.Unlock()
	if !m.initialized {
		return nil
	}
	m.initialized = false
	return m.lib.Finalize()
}

// modules are those in the process, by path. It is a global because that is what
// a loaded library is.
var modules = struct {
	sync.Mutex
	byPath map[string]*shared
}{byPath: map[string]*shared{}}

type shared struct {
	module
	users int // guarded by modules
}

// acquire gives the module of a path; release gives it back, and the last one
// finalizes it.
func acquire(path string) (m *module, release func() error, err error) {
	modules.Lock()
	defer modules.Unlock()
	s := modules.byPath[path]
	if s == nil {
		lib, err := load(path)
		if err != nil {
			return nil, nil, err
		}
		s = &shared{module: module{lib: lib}}
		modules.byPath[path] = s
	}
	s.users++
	return &s.module, func() error {
		modules.Lock()
		defer modules.Unlock()
		if s.users--; s.users > 0 {
			return nil
		}
		return s.stop()
	}, nil
}
