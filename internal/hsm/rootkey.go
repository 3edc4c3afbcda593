//go:build hsm

package hsm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/miekg/pkcs11"

	"coffer/internal/seal"
)

// RootKey is a seal.Keeper whose root keys are AES keys of 256 bits in an HSM,
// made there and never outside it. It is safe for concurrent use, by several
// processes too.
//
// An HSM holds one root key; during a rotation it holds the new one and the old
// one, so that a crash at any line leaves every data key with its root key. The
// newest one is current, for every process at once: each wrapping looks.
type RootKey struct {
	d *Device

	mu      sync.Mutex
	current rootID // guarded by mu; the newest when last looked
	rotated rootID // guarded by mu; the newest after the last Rotate: Retire spares it and all later ones
}

// rootLabel is the CKA_LABEL of root keys: Destroy leaves them alone.
const rootLabel = "coffer-root"

// rootID is the CKA_ID of a root key: a number, big-endian, that counts rotations,
// and 8 random bytes. Two of one number, made at one time, are in the order of their
// random bytes, the same for everybody.
type rootID [16]byte

func (id rootID) String() string { return hex.EncodeToString(id[:]) }

func (id rootID) next() rootID {
	binary.BigEndian.PutUint64(id[:8], binary.BigEndian.Uint64(id[:8])+1)
	rand.Read(id[8:])
	return id
}

// CreateRootKey makes the first root key of an HSM. One that is there already is
// an error (fs.ErrExist), for it may be the only way to somebody's data.
func CreateRootKey(ctx context.Context, d *Device) (*RootKey, error) {
	r := &RootKey{d: d}
	err := r.d.do(ctx, func(s *session) error {
		keys, err := s.roots()
		if err != nil {
			return err
		}
		if len(keys) != 0 {
			return errRootExists
		}
		r.current = rootID{}.next()
		h, err := s.generateRoot(r.current)
		if err != nil {
			return err
		}
		// Of two that create at one time, at least one sees the other's and gives way.
		keys, err = s.roots()
		if err == nil && len(keys) == 1 {
			return nil
		}
		if err == nil {
			err = errRootExists
		}
		return errors.Join(err, s.destroyRoot(h)) // nothing is wrapped by it yet
	})
	if err != nil {
		return nil, fmt.Errorf("creating a root key in the HSM: %w", err)
	}
	return r, nil
}

var errRootExists = fmt.Errorf("the HSM has a root key already: %w", fs.ErrExist)

// OpenRootKey finds the root keys of an HSM.
func OpenRootKey(ctx context.Context, d *Device) (*RootKey, error) {
	r := &RootKey{d: d}
	err := d.repeat(ctx, func(s *session) error {
		_, err := r.newest(s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the root key in the HSM: %w", err)
	}
	return r, nil
}

// root is a root key in the HSM.
type root struct {
	id rootID
	h  pkcs11.ObjectHandle
}

// roots lists the root keys, oldest first; those of an id, when t asks for one.
func (s *session) roots(t ...*pkcs11.Attribute) ([]root, error) {
	handles, err := s.list(append([]*pkcs11.Attribute{
		attribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		attribute(pkcs11.CKA_LABEL, rootLabel),
	}, t...))
	if err != nil {
		return nil, err
	}
	var keys []root
	for _, h := range handles {
		value, err := s.read(h, pkcs11.CKA_ID)
		if is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID) {
			continue // retired in this moment
		}
		if err != nil {
			return nil, err
		}
		if len(value) != len(rootID{}) {
			return nil, errors.New("hsm: a root key has an id that is not of the vault")
		}
		keys = append(keys, root{rootID(value), h})
	}
	slices.SortFunc(keys, func(a, b root) int { return bytes.Compare(a.id[:], b.id[:]) })
	return keys, nil
}

func (s *session) generateRoot(id rootID) (pkcs11.ObjectHandle, error) {
	h, err := s.lib.GenerateKey(s.h, mechanism(pkcs11.CKM_AES_KEY_GEN, nil), []*pkcs11.Attribute{
		attribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		attribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		attribute(pkcs11.CKA_VALUE_LEN, 32),
		attribute(pkcs11.CKA_TOKEN, true),
		attribute(pkcs11.CKA_PRIVATE, true),
		attribute(pkcs11.CKA_SENSITIVE, true),
		attribute(pkcs11.CKA_EXTRACTABLE, false),
		attribute(pkcs11.CKA_ENCRYPT, true),
		attribute(pkcs11.CKA_DECRYPT, true),
		attribute(pkcs11.CKA_WRAP, false),
		attribute(pkcs11.CKA_UNWRAP, false),
		attribute(pkcs11.CKA_DERIVE, false),
		attribute(pkcs11.CKA_LABEL, rootLabel),
		attribute(pkcs11.CKA_ID, id[:]),
	})
	if err != nil {
		return 0, fmt.Errorf("generating a root key: %w", err)
	}
	return h, nil
}

func (s *session) destroyRoot(h pkcs11.ObjectHandle) error {
	if err := s.lib.DestroyObject(s.h, h); err != nil && !is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID) {
		return fmt.Errorf("destroying a root key: %w", err)
	}
	return nil
}

// newest looks for the current root key, or gives seal.ErrRootKey.
func (r *RootKey) newest(s *session) (root, error) {
	keys, err := s.roots()
	if err != nil {
		return root{}, err
	}
	if len(keys) == 0 {
		return root{}, seal.ErrRootKey
	}
	k := keys[len(keys)-1]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = k.id
	return k, nil
}

// Wrap seals a data key under the current root key.
func (r *RootKey) Wrap(ctx context.Context, scope, keyID string, dataKey seal.Value) (string, []byte, error) {
	header, ad := seal.WrappedHeader(scope, keyID)
	var rootName string
	var wrapped []byte
	err := r.d.repeat(ctx, func(s *session) error {
		k, err := r.newest(s)
		if err != nil {
			return err
		}
		// Random, as in a root key file: far fewer than 2^32 data keys are ever wrapped
		// (NIST SP 800-38D, 8.3).
		iv := make([]byte, gcmIV)
		rand.Read(iv)
		ciphertext, tag, err := s.sealGCM(k.h, iv, ad, dataKey.Reveal())
		rootName, wrapped = k.id.String(), slices.Concat(header, iv, ciphertext, tag)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	return rootName, wrapped, nil
}

// Unwrap opens a data key.
func (r *RootKey) Unwrap(ctx context.Context, k seal.DataKey) (seal.Value, error) {
	id, err := hex.DecodeString(k.RootID)
	if err != nil || len(id) != len(rootID{}) {
		return seal.Value{}, seal.ErrRootKey // of a root key file
	}
	nonce, sealed, ad, err := seal.WrappedParts(k)
	if err != nil {
		return seal.Value{}, err
	}
	var plain []byte
	err = r.d.repeat(ctx, func(s *session) error {
		keys, err := s.roots(attribute(pkcs11.CKA_ID, id))
		if err != nil {
			return err
		}
		if len(keys) != 1 {
			return seal.ErrRootKey
		}
		plain, err = s.openGCM(keys[0].h, nonce, ad, sealed)
		return err
	})
	if errors.Is(err, ErrRefused) {
		return seal.Value{}, seal.ErrBox
	}
	return seal.NewValue(plain), err
}

// Rotate makes a new root key beside the old one. Call rewrap, then Retire. A crash
// in between leaves both in the HSM; Rotate then goes on with the new key that it
// finds there. The time is not used: root keys are counted.
func (r *RootKey) Rotate(ctx context.Context, _ time.Time) error {
	return r.d.do(ctx, func(s *session) error {
		keys, err := s.roots()
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return seal.ErrRootKey
		}
		if len(keys) == 1 {
			if _, err := s.generateRoot(keys[0].id.next()); err != nil {
				return err
			}
		}
		newest, err := r.newest(s)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rotated = newest.id
		return err
	})
}

// Retire destroys all root keys that are older than the one of the last Rotate, or
// than the current one: only after every data key has been wrapped anew. A root key
// that another process has made since then is spared, and so is the one before it:
// that process has yet to wrap the data keys anew.
func (r *RootKey) Retire(ctx context.Context) error {
	return r.d.repeat(ctx, func(s *session) error {
		newest, err := r.newest(s)
		if err != nil {
			return err
		}
		r.mu.Lock()
		spared := newest.id
		if r.rotated != (rootID{}) {
			spared = r.rotated
		}
		r.mu.Unlock()
		keys, err := s.roots()
		if err != nil {
			return err
		}
		for _, k := range keys {
			if bytes.Compare(k.id[:], spared[:]) < 0 {
				err = errors.Join(err, s.destroyRoot(k.h))
			}
		}
		return err
	})
}

// Keep is Retire: the root keys of earlier times are in the backups of the HSM.
func (r *RootKey) Keep(ctx context.Context) error { return r.Retire(ctx) }

// CurrentID names the current root key, as of the last look into the HSM.
func (r *RootKey) CurrentID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current.String()
}

var _ seal.Keeper = (*RootKey)(nil)
