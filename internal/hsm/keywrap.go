//go:build hsm

package hsm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Wrapping in PKCS#11 goes from object to object. What the caller wants wrapped is
// made an object of the session for that time, and what is unwrapped is one until
// it has been read.

// maxWrap bounds what is wrapped: key material, which is far shorter.
const maxWrap = 16 << 10

// Wrap wraps key material with AES (RFC 3394): at least 16 bytes, in multiples of 8.
func (k *Secret) Wrap(ctx context.Context, plain []byte) ([]byte, error) {
	if len(plain) < 16 || len(plain)%8 != 0 {
		return nil, errData
	}
	return k.wrap(ctx, pkcs11.CKM_AES_KEY_WRAP, plain)
}

// WrapPad wraps any bytes but none at all with AES (RFC 5649).
func (k *Secret) WrapPad(ctx context.Context, plain []byte) (wrapped []byte, err error) {
	switch {
	case len(plain) == 0 || len(plain) > maxWrap:
		return nil, errData
	case len(plain)%8 == 0:
		return k.wrap(ctx, pkcs11.CKM_AES_KEY_WRAP_PAD, plain)
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		wrapped, err = s.wrapOdd(h, plain)
		return err
	})
	return wrapped, err
}

// Unwrap unwraps what Wrap has made.
func (k *Secret) Unwrap(ctx context.Context, wrapped []byte) (plain []byte, err error) {
	if len(wrapped) < 24 || len(wrapped)%8 != 0 || len(wrapped) > maxWrap+8 {
		return nil, ErrRefused
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		plain, err = s.unwrap(h, pkcs11.CKM_AES_KEY_WRAP, wrapped)
		return err
	})
	return plain, err
}

// UnwrapPad unwraps what WrapPad has made.
func (k *Secret) UnwrapPad(ctx context.Context, wrapped []byte) (plain []byte, err error) {
	if len(wrapped) < 16 || len(wrapped)%8 != 0 || len(wrapped) > maxWrap+8 {
		return nil, ErrRefused
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		plain, err = s.unwrap(h, pkcs11.CKM_AES_KEY_WRAP_PAD, wrapped)
		return err
	})
	return plain, err
}

func (k *Secret) wrap(ctx context.Context, m uint, plain []byte) (wrapped []byte, err error) {
	if len(plain) > maxWrap {
		return nil, errData
	}
	err = k.use(ctx, func(s *session, h pkcs11.ObjectHandle) error {
		wrapped, err = s.wrap(h, m, plain)
		return err
	})
	return wrapped, err
}

// passing is the template of an object that lives for one call and can be read.
func passing() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		attribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		attribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		attribute(pkcs11.CKA_TOKEN, false),
		attribute(pkcs11.CKA_PRIVATE, true),
		attribute(pkcs11.CKA_SENSITIVE, false),
		attribute(pkcs11.CKA_EXTRACTABLE, true),
	}
}

func (s *session) wrap(by pkcs11.ObjectHandle, m uint, plain []byte) ([]byte, error) {
	h, err := s.lib.CreateObject(s.h, append(passing(), attribute(pkcs11.CKA_VALUE, plain)))
	if err != nil {
		return nil, fmt.Errorf("bringing in what is to be wrapped: %w", err)
	}
	wrapped, err := s.lib.WrapKey(s.h, mechanism(m, nil), by, h)
	if err != nil {
		err = fmt.Errorf("wrapping: %w", err)
	}
	return wrapped, s.end(h, err)
}

func (s *session) unwrap(by pkcs11.ObjectHandle, m uint, wrapped []byte) ([]byte, error) {
	h, err := s.lib.UnwrapKey(s.h, mechanism(m, nil), by, wrapped, passing())
	if err != nil {
		return nil, s.refused("unwrapping", err)
	}
	plain, err := s.read(h, pkcs11.CKA_VALUE)
	return plain, s.end(h, err)
}

// end destroys an object of the session after its use, which ended with err.
func (s *session) end(h pkcs11.ObjectHandle, err error) error {
	if gone := s.lib.DestroyObject(s.h, h); err == nil && gone != nil {
		return fmt.Errorf("destroying an object of the session: %w", gone)
	}
	return err
}

// wrapOdd is RFC 5649 for what is not a multiple of 8 bytes long, above single blocks
// of the HSM: SoftHSM pads such a plaintext before it writes down its length, so
// that nobody who unwraps it learns where it ends. Its unwrapping is right.
func (s *session) wrapOdd(by pkcs11.ObjectHandle, plain []byte) ([]byte, error) {
	if err := s.lib.EncryptInit(s.h, mechanism(pkcs11.CKM_AES_ECB, nil), by); err != nil {
		return nil, fmt.Errorf("wrapping: %w", err)
	}
	n := (len(plain) + 7) / 8
	out := make([]byte, 8+8*n) // A, then R[1] to R[n]
	copy(out, "\xa6\x59\x59\xa6")
	binary.BigEndian.PutUint32(out[4:], uint32(len(plain)))
	copy(out[8:], plain)
	var in [blockBytes]byte
	for step := range 6 * n {
		r := out[8+8*(step%n):][:8]
		copy(in[:8], out)
		copy(in[8:], r)
		block, err := s.lib.EncryptUpdate(s.h, in[:])
		if err == nil && len(block) != blockBytes {
			err = errors.New("the HSM keeps blocks back")
		}
		if err != nil {
			return nil, fmt.Errorf("wrapping: %w", err)
		}
		copy(out, block[:8])
		copy(r, block[8:])
		if n == 1 { // one encryption is all (RFC 5649, section 4.1)
			break
		}
		binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(out)^uint64(step+1))
	}
	if _, err := s.lib.EncryptFinal(s.h); err != nil {
		return nil, fmt.Errorf("wrapping: %w", err)
	}
	return out, nil
}
