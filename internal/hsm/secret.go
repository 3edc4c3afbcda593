//go:build hsm

package hsm

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/pkcs11"
)

// Secret uses a symmetric key in the HSM. What the HSM's key does not decrypt
// or unwrap is ErrRefused.
type Secret struct {
	d  *Device
	id ID
}

// Secret uses the symmetric key of that id. It asks the HSM nothing yet.
func (d *Device) Secret(id ID) *Secret { return &Secret{d, id} }

// Bits is the size of the key.
func (k *Secret) Bits(ctx context.Context) (int, error) {
	var bits int
	err := k.d.repeat(ctx, func(s *session) error {
		h, err := s.find(k.id, aesKey)
		if errors.Is(err, ErrNoKey) {
			h, err = s.find(k.id, macKey)
		}
		if err != nil {
			return err
		}
		label, err := s.read(h, pkcs11.CKA_LABEL)
		if err != nil {
			return err
		}
		if bits, err = strconv.Atoi(strings.TrimPrefix(string(label), secretLabel)); err != nil {
			return fmt.Errorf("hsm: the label of a symmetric key does not tell its size: %q", label)
		}
		return nil
	})
	return bits, err
}

const (
	blockBytes = 16
	gcmIV      = 12
	gcmTag     = 16
	// maxData bounds what one call brings into the HSM.
	maxData = 1 << 20
)

var (
	errIV   = errors.New("hsm: the iv's length is not right")
	errData = errors.New("hsm: the data's length is not right")
)

// SealGCM encrypts with AES-GCM. The iv is of 12 bytes, and the caller sees to it
// that it is never used again with this key; the tag is of 16 bytes.
func (k *Secret) SealGCM(ctx context.Context, iv, aad, plain []byte) (ciphertext, tag []byte, err error) {
	if len(iv) != gcmIV {
		return nil, nil, errIV
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		ciphertext, tag, err = s.sealGCM(h, iv, aad, plain)
		return err
	})
	return ciphertext, tag, err
}

// OpenGCM decrypts what SealGCM has made.
func (k *Secret) OpenGCM(ctx context.Context, iv, aad, ciphertext, tag []byte) (plain []byte, err error) {
	if len(iv) != gcmIV || len(tag) != gcmTag {
		return nil, ErrRefused
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		plain, err = s.openGCM(h, iv, aad, append(bytes.Clone(ciphertext), tag...))
		return err
	})
	return plain, err
}

func (s *session) sealGCM(h pkcs11.ObjectHandle, iv, aad, plain []byte) (ciphertext, tag []byte, err error) {
	if len(plain) > maxData || len(aad) > maxData {
		return nil, nil, errData
	}
	params := pkcs11.NewGCMParams(iv, aad, 8*gcmTag)
	defer params.Free()
	sealed, err := s.encrypt(h, mechanism(pkcs11.CKM_AES_GCM, params), plain)
	if err != nil {
		return nil, nil, err
	}
	// Some HSMs put an iv of their own there.
	if !bytes.Equal(params.IV(), iv) {
		return nil, nil, errors.New("hsm: the HSM has not used the iv that it was given")
	}
	if len(sealed) != len(plain)+gcmTag {
		return nil, nil, errors.New("hsm: the HSM's ciphertext is not of the right length")
	}
	return sealed[:len(plain)], sealed[len(plain):], nil
}

// openGCM decrypts a ciphertext that has its tag behind it.
func (s *session) openGCM(h pkcs11.ObjectHandle, iv, aad, sealed []byte) ([]byte, error) {
	if len(sealed) > maxData+gcmTag || len(aad) > maxData {
		return nil, ErrRefused
	}
	params := pkcs11.NewGCMParams(iv, aad, 8*gcmTag)
	defer params.Free()
	return s.decrypt(h, mechanism(pkcs11.CKM_AES_GCM, params), sealed)
}

// EncryptCBC encrypts whole blocks with AES-CBC. The iv is of 16 bytes.
func (k *Secret) EncryptCBC(ctx context.Context, iv, plain []byte) ([]byte, error) {
	if len(plain)%blockBytes != 0 {
		return nil, errData
	}
	return k.encryptCBC(ctx, pkcs11.CKM_AES_CBC, iv, plain)
}

// EncryptCBCPad is EncryptCBC of any bytes, with the padding of PKCS#7.
func (k *Secret) EncryptCBCPad(ctx context.Context, iv, plain []byte) ([]byte, error) {
	return k.encryptCBC(ctx, pkcs11.CKM_AES_CBC_PAD, iv, plain)
}

// DecryptCBC decrypts what EncryptCBC has made.
func (k *Secret) DecryptCBC(ctx context.Context, iv, ciphertext []byte) ([]byte, error) {
	return k.decryptCBC(ctx, pkcs11.CKM_AES_CBC, iv, ciphertext)
}

// DecryptCBCPad decrypts what EncryptCBCPad has made.
func (k *Secret) DecryptCBCPad(ctx context.Context, iv, ciphertext []byte) ([]byte, error) {
	if len(ciphertext) == 0 {
		return nil, ErrRefused
	}
	return k.decryptCBC(ctx, pkcs11.CKM_AES_CBC_PAD, iv, ciphertext)
}

func (k *Secret) encryptCBC(ctx context.Context, m uint, iv, plain []byte) (ciphertext []byte, err error) {
	switch {
	case len(iv) != blockBytes:
		return nil, errIV
	case len(plain) > maxData:
		return nil, errData
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		ciphertext, err = s.encrypt(h, mechanism(m, iv), plain)
		return err
	})
	return ciphertext, err
}

func (k *Secret) decryptCBC(ctx context.Context, m uint, iv, ciphertext []byte) (plain []byte, err error) {
	if len(iv) != blockBytes || len(ciphertext)%blockBytes != 0 || len(ciphertext) > maxData+blockBytes {
		return nil, ErrRefused
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		plain, err = s.decrypt(h, mechanism(m, iv), ciphertext)
		return err
	})
	return plain, err
}

func (s *session) encrypt(h pkcs11.ObjectHandle, m []*pkcs11.Mechanism, plain []byte) ([]byte, error) {
	if err := s.lib.EncryptInit(s.h, m, h); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	ciphertext, err := s.lib.Encrypt(s.h, plain)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return ciphertext, nil
}

// MAC is the HMAC of data with SHA-256, SHA-384 or SHA-512. Compare it with
// crypto/hmac's Equal.
func (k *Secret) MAC(ctx context.Context, hash crypto.Hash, data []byte) ([]byte, error) {
	m := hashes[hash].hmac
	if m == 0 {
		return nil, errHash
	}
	if len(data) > maxData {
		return nil, errData
	}
	var mac []byte
	err := k.d.repeat(ctx, func(s *session) error {
		h, err := s.find(k.id, macKey)
		if err != nil {
			return err
		}
		mac, err = s.sign(h, mechanism(m, nil), data)
		return err
	})
	return mac, err
}

// use runs an operation with the AES key.
func (k *Secret) use(ctx context.Context, op func(*session, pkcs11.ObjectHandle) error) error {
	return k.d.repeat(ctx, func(s *session) error {
		h, err := s.find(k.id, aesKey)
		if err != nil {
			return err
		}
		return op(s, h)
	})
}
