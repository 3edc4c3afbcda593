//go:build hsm

package hsm

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/miekg/pkcs11"
)

// The CKA_LABEL of the vault's keys; nothing else is found or destroyed. That of a
// symmetric key tells its size in bits: SoftHSM does not know the CKA_VALUE_LEN of a
// key that it has unwrapped.
const (
	privateLabel = "coffer"
	secretLabel  = "coffer oct-"
)

// kind is what an id stands for: a private key, or up to two secret keys, for
// PKCS#11 has keys for AES and keys for HMAC apart.
type kind struct {
	class, keyType uint // keyType is not asked for of a private key
}

var (
	privateKey = kind{class: pkcs11.CKO_PRIVATE_KEY}
	aesKey     = kind{pkcs11.CKO_SECRET_KEY, pkcs11.CKK_AES}
	macKey     = kind{pkcs11.CKO_SECRET_KEY, pkcs11.CKK_GENERIC_SECRET}
)

type object struct {
	id   ID
	kind kind
}

func attribute(t uint, value any) *pkcs11.Attribute { return pkcs11.NewAttribute(t, value) }

func mechanism(m uint, parameter any) []*pkcs11.Mechanism {
	return []*pkcs11.Mechanism{pkcs11.NewMechanism(m, parameter)}
}

// kept is the template of an object that stays in the HSM and never leaves it.
func kept(class, keyType uint, id ID, label string) []*pkcs11.Attribute {
	return append(usages(keyType),
		attribute(pkcs11.CKA_CLASS, class),
		attribute(pkcs11.CKA_KEY_TYPE, keyType),
		attribute(pkcs11.CKA_TOKEN, true),
		attribute(pkcs11.CKA_PRIVATE, true),
		attribute(pkcs11.CKA_SENSITIVE, true),
		attribute(pkcs11.CKA_EXTRACTABLE, false),
		attribute(pkcs11.CKA_LABEL, label),
		attribute(pkcs11.CKA_ID, id[:]),
	)
}

func keptPrivate(keyType uint, id ID) []*pkcs11.Attribute {
	return kept(pkcs11.CKO_PRIVATE_KEY, keyType, id, privateLabel)
}

func (k kind) keptSecret(id ID, bytes int) []*pkcs11.Attribute {
	return kept(k.class, k.keyType, id, secretLabel+strconv.Itoa(8*bytes))
}

// What a key may do in the HSM is as narrow as its type allows. The vault's own
// key_ops are narrower, and may change.
func usages(keyType uint) []*pkcs11.Attribute {
	var may []uint
	switch keyType {
	case pkcs11.CKK_RSA:
		may = []uint{pkcs11.CKA_SIGN, pkcs11.CKA_DECRYPT, pkcs11.CKA_UNWRAP}
	case pkcs11.CKK_EC:
		may = []uint{pkcs11.CKA_SIGN}
	case pkcs11.CKK_AES:
		may = []uint{pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP}
	case pkcs11.CKK_GENERIC_SECRET:
		may = []uint{pkcs11.CKA_SIGN}
	}
	all := []uint{pkcs11.CKA_SIGN, pkcs11.CKA_DECRYPT, pkcs11.CKA_UNWRAP}
	if keyType == pkcs11.CKK_AES || keyType == pkcs11.CKK_GENERIC_SECRET {
		all = append(all, pkcs11.CKA_ENCRYPT, pkcs11.CKA_WRAP)
	}
	t := []*pkcs11.Attribute{attribute(pkcs11.CKA_DERIVE, false)}
	for _, u := range all {
		t = append(t, attribute(u, slices.Contains(may, u)))
	}
	return t
}

// find gives the handle of a key, or ErrNoKey. One that is remembered is asked for
// its id first: a handle that another process has freed may stand for another key.
func (s *session) find(id ID, k kind) (pkcs11.ObjectHandle, error) {
	o := object{id, k}
	s.d.mu.Lock()
	h, ok := s.conn.handles[o]
	s.d.mu.Unlock()
	if ok {
		value, err := s.read(h, pkcs11.CKA_ID)
		switch {
		case err == nil && bytes.Equal(value, id[:]):
			return h, nil
		case err != nil && !is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID):
			return 0, err
		}
	}
	t := []*pkcs11.Attribute{attribute(pkcs11.CKA_CLASS, k.class)}
	if k != privateKey {
		t = append(t, attribute(pkcs11.CKA_KEY_TYPE, k.keyType))
	}
	list, err := s.ours(id, t...)
	if err != nil {
		return 0, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	switch {
	case len(list) == 0:
		delete(s.conn.handles, o)
		return 0, fmt.Errorf("%w: %s", ErrNoKey, id)
	case len(list) > 1:
		// Ids are random and used once: somebody else has made the second one.
		return 0, fmt.Errorf("hsm: the HSM has %d keys %s", len(list), id)
	}
	if len(s.conn.handles) >= maxHandles {
		clear(s.conn.handles)
	}
	s.conn.handles[o] = list[0]
	return list[0], nil
}

// ours gives the objects of an id that are the vault's.
func (s *session) ours(id ID, t ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	list, err := s.list(append(t, attribute(pkcs11.CKA_ID, id[:])))
	if err != nil {
		return nil, err
	}
	var ours []pkcs11.ObjectHandle
	for _, h := range list {
		label, err := s.read(h, pkcs11.CKA_LABEL)
		switch {
		case is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID): // destroyed in this moment
		case err != nil:
			return nil, err
		case string(label) == privateLabel || bytes.HasPrefix(label, []byte(secretLabel)):
			ours = append(ours, h)
		}
	}
	return ours, nil
}

// list gives the objects that match. When there are none it asks whether the HSM
// is there at all: SoftHSM finds nothing in an HSM that is gone.
func (s *session) list(t []*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := s.lib.FindObjectsInit(s.h, t); err != nil {
		return nil, fmt.Errorf("looking for objects: %w", err)
	}
	var all []pkcs11.ObjectHandle
	for {
		const most = 64
		some, _, err := s.lib.FindObjects(s.h, most)
		if err != nil {
			return nil, fmt.Errorf("looking for objects: %w", err)
		}
		if all = append(all, some...); len(some) == 0 {
			break
		}
	}
	if err := s.lib.FindObjectsFinal(s.h); err != nil {
		return nil, fmt.Errorf("looking for objects: %w", err)
	}
	if len(all) == 0 {
		return nil, s.probe()
	}
	return all, nil
}

// read gives one attribute.
func (s *session) read(h pkcs11.ObjectHandle, t uint) ([]byte, error) {
	a, err := s.lib.GetAttributeValue(s.h, h, []*pkcs11.Attribute{attribute(t, nil)})
	if err != nil {
		return nil, fmt.Errorf("reading attribute %#x: %w", t, err)
	}
	return a[0].Value, nil
}

// Destroy removes a key from the HSM, all of it. One that is not there is no
// error.
func (d *Device) Destroy(ctx context.Context, id ID) error {
	return d.repeat(ctx, func(s *session) error {
		return s.destroy(id)
	})
}

func (s *session) destroy(id ID) error {
	list, err := s.ours(id)
	if err != nil {
		return err
	}
	s.d.mu.Lock()
	for o := range s.conn.handles {
		if o.id == id {
			delete(s.conn.handles, o)
		}
	}
	s.d.mu.Unlock()
	for _, h := range list {
		// Another process may be at the same.
		if err := s.lib.DestroyObject(s.h, h); err != nil && !is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID) {
			return fmt.Errorf("destroying an object: %w", err)
		}
	}
	return nil
}
