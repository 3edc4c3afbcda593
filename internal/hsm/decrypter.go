//go:build hsm

package hsm

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/miekg/pkcs11"
)

// refused is the error of a call that had a caller's data in it. Libraries answer
// bad data with values that mean a broken device too, SoftHSM with
// CKR_GENERAL_ERROR: then a look at the HSM decides which of the two it is.
func (s *session) refused(doing string, err error) error {
	if is(err, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED) {
		if err := s.probe(); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return ErrRefused
	}
	if conditionOf(err) == nil && is(err,
		pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_DATA_INVALID, pkcs11.CKR_DATA_LEN_RANGE,
		pkcs11.CKR_ENCRYPTED_DATA_INVALID, pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE,
		pkcs11.CKR_WRAPPED_KEY_INVALID, pkcs11.CKR_WRAPPED_KEY_LEN_RANGE,
		pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_TEMPLATE_INCONSISTENT,
		pkcs11.CKR_KEY_SIZE_RANGE, pkcs11.CKR_KEY_TYPE_INCONSISTENT,
		pkcs11.CKR_DOMAIN_PARAMS_INVALID, pkcs11.CKR_UNWRAPPING_KEY_SIZE_RANGE) {
		return ErrRefused
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func oaepParams(h crypto.Hash) *pkcs11.OAEPParams {
	return pkcs11.NewOAEPParams(hashes[h].hash, hashes[h].mgf, pkcs11.CKZ_DATA_SPECIFIED, nil)
}

// Decrypt takes *rsa.OAEPOptions, with one hash for everything and no label, or
// PKCS#1 v1.5 as *rsa.PKCS1v15DecryptOptions without a session key or nil. All that
// does not decrypt is ErrRefused. The reader is not used.
func (k decrypter) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	public := k.public.(*rsa.PublicKey)
	var hash crypto.Hash // 0: PKCS#1 v1.5
	switch o := opts.(type) {
	case nil:
	//lint:ignore SA1019 RSA1_5 is an algorithm of the contract; callers choose it
	case *rsa.PKCS1v15DecryptOptions:
		if o.SessionKeyLen != 0 {
			return nil, errors.New("hsm: session keys are not made here")
		}
	case *rsa.OAEPOptions:
		if hash = o.Hash; hashes[hash].hash == 0 || o.MGFHash != 0 && o.MGFHash != hash || len(o.Label) != 0 {
			return nil, errHash
		}
	default:
		return nil, errors.New("hsm: unknown options of decryption")
	}
	if len(ciphertext) != public.Size() || new(big.Int).SetBytes(ciphertext).Cmp(public.N) >= 0 {
		return nil, ErrRefused
	}
	var plain []byte
	err := k.d.repeat(context.Background(), func(s *session) error {
		h, err := s.find(k.id, privateKey)
		if err != nil {
			return err
		}
		if hash == 0 {
			plain, err = s.decrypt(h, mechanism(pkcs11.CKM_RSA_PKCS, nil), ciphertext)
			return err
		}
		plain, err = s.decrypt(h, mechanism(pkcs11.CKM_RSA_PKCS_OAEP, oaepParams(hash)), ciphertext)
		if !errors.Is(err, errMechanism) {
			return err
		}
		// SoftHSM does OAEP with SHA-1 only.
		block, err := s.decrypt(h, mechanism(pkcs11.CKM_RSA_X_509, nil), ciphertext)
		if err != nil {
			return err
		}
		plain, err = decodeOAEP(hash, block, public.Size())
		return err
	})
	return plain, err
}

// errMechanism is a mechanism, or a parameter of it, that the HSM does not do.
var errMechanism = errors.New("hsm: the HSM does not do this")

// decrypt is one decryption. The data is looked at after the mechanism.
func (s *session) decrypt(h pkcs11.ObjectHandle, m []*pkcs11.Mechanism, data []byte) ([]byte, error) {
	if err := s.lib.DecryptInit(s.h, m, h); err != nil {
		if is(err, pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_FUNCTION_NOT_SUPPORTED) {
			return nil, fmt.Errorf("%w: %v", errMechanism, err)
		}
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	plain, err := s.lib.Decrypt(s.h, data)
	if err != nil {
		return nil, s.refused("decrypting", err)
	}
	return plain, nil
}

// decodeOAEP takes off the padding (RFC 8017, section 7.1.2, step 3, with an empty
// label) from the block that the HSM has decrypted, of size bytes; an HSM may have
// left out its leading zeros. The verdict is formed over all bytes and read once: a
// time that told where the padding is wrong would decrypt for whoever measures it.
func decodeOAEP(hash crypto.Hash, block []byte, size int) ([]byte, error) {
	h := hash.New()
	if len(block) > size || size < 2*h.Size()+2 {
		return nil, ErrRefused
	}
	em := append(make([]byte, size-len(block)), block...)
	seed, db := em[1:1+h.Size()], em[1+h.Size():]
	xorMGF1(seed, hash, db)
	xorMGF1(db, hash, seed)
	label, padded := db[:h.Size()], db[h.Size():]

	// The first byte of padded that is not zero must be a one; the message follows it.
	good := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeCompare(label, h.Sum(nil))
	found, separator := 0, 0
	for i, b := range padded {
		first := 1 &^ found &^ subtle.ConstantTimeByteEq(b, 0)
		good &= 1&^first | subtle.ConstantTimeByteEq(b, 1)
		separator |= subtle.ConstantTimeSelect(first, i, 0)
		found |= first
	}
	if good&found != 1 {
		return nil, ErrRefused
	}
	return padded[separator+1:], nil
}

// xorMGF1 adds the mask that MGF1 makes of seed to out, or takes it off (RFC 8017,
// appendix B.2.1).
func xorMGF1(out []byte, hash crypto.Hash, seed []byte) {
	h := hash.New()
	var counter [4]byte
	for len(out) > 0 {
		h.Reset()
		h.Write(seed)
		h.Write(counter[:])
		n := subtle.XORBytes(out, out, h.Sum(nil))
		out = out[n:]
		counter[3]++ // a block is too short to need more than one byte
	}
}
