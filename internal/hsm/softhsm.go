//go:build hsm

package hsm

import (
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

// softHSM keeps apart what SoftHSM 2.6 confuses when it is done at one time, its
// locks notwithstanding: an object that one thread makes in the HSM is taken for
// a removed one, or for two, when another has destroyed one and looks for the
// changes. The thread that makes it gets CKR_GENERAL_ERROR or worse, and what it has
// made may stay. One that reads an object while it is destroyed gets the same. Other
// libraries are let alone.
type softHSM struct {
	is         bool         // written while the module is initialized
	objects    sync.RWMutex // held for writing to make or destroy, for reading to find
	attributes sync.RWMutex // taken after objects; held for writing to destroy, for reading to read
}

func (s *softHSM) change() func() {
	if !s.is {
		return func() {}
	}
	s.objects.Lock()
	return s.objects.Unlock
}

// Initialize finds out whose library it is, too.
func (l *library) Initialize(o ...pkcs11.InitializeOption) error {
	if err := l.Ctx.Initialize(o...); err != nil {
		return err
	}
	info, err := l.GetInfo()
	l.softHSM.is = err == nil && strings.HasPrefix(info.ManufacturerID, "SoftHSM")
	return nil
}

func (l *library) FindObjectsInit(s pkcs11.SessionHandle, t []*pkcs11.Attribute) error {
	if l.softHSM.is {
		l.softHSM.objects.RLock()
		defer l.softHSM.objects.RUnlock()
	}
	return l.Ctx.FindObjectsInit(s, t)
}

func (l *library) CreateObject(s pkcs11.SessionHandle, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	defer l.softHSM.change()()
	return l.Ctx.CreateObject(s, t)
}

func (l *library) DestroyObject(s pkcs11.SessionHandle, o pkcs11.ObjectHandle) error {
	defer l.softHSM.change()()
	if l.softHSM.is {
		l.softHSM.attributes.Lock()
		defer l.softHSM.attributes.Unlock()
	}
	return l.Ctx.DestroyObject(s, o)
}

func (l *library) GetAttributeValue(s pkcs11.SessionHandle, o pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error) {
	if l.softHSM.is {
		l.softHSM.attributes.RLock()
		defer l.softHSM.attributes.RUnlock()
	}
	return l.Ctx.GetAttributeValue(s, o, a)
}

func (l *library) GenerateKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	defer l.softHSM.change()()
	return l.Ctx.GenerateKey(s, m, t)
}

func (l *library) GenerateKeyPair(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, public, private []*pkcs11.Attribute) (pkcs11.ObjectHandle, pkcs11.ObjectHandle, error) {
	defer l.softHSM.change()()
	return l.Ctx.GenerateKeyPair(s, m, public, private)
}

func (l *library) UnwrapKey(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, by pkcs11.ObjectHandle, wrapped []byte, t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	defer l.softHSM.change()()
	return l.Ctx.UnwrapKey(s, m, by, wrapped, t)
}
