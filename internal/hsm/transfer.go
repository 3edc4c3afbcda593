//go:build hsm

package hsm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/miekg/pkcs11"

	"coffer/internal/pki"
)

// maxTransfer is the longest transfer blob: four times what a 4096-bit RSA key
// in PKCS#8 makes of it.
const maxTransfer = 16 << 10

// UnwrapTransfer puts a key into the HSM that was wrapped elsewhere for the
// HSM's RSA key kek (contract keys.md, 9.2): the RSA-OAEP (SHA-1) encryption of an
// AES key, and under that key the RFC 5649 wrapping of a PKCS#8 document or of a
// symmetric key's bytes. Neither key is ever outside the HSM. What does not
// unwrap is ErrRefused, an unwrapped key of another kind or size pki.ErrKeyType.
// After an error the HSM may hold the key: Destroy the id.
func (d *Device) UnwrapTransfer(ctx context.Context, id, kek ID, blob []byte, algorithm pki.Algorithm) (crypto.PublicKey, error) {
	if algorithm != pki.RSA && algorithm != pki.EC && algorithm != pki.Oct {
		return nil, pki.ErrKeyType
	}
	if len(blob) > maxTransfer {
		return nil, ErrRefused
	}
	var public crypto.PublicKey
	err := d.create(ctx, id, func(s *session) error {
		by, wrapped, err := s.transferKey(kek, blob)
		if err != nil {
			return err
		}
		public, err = s.unwrapTarget(id, by, wrapped, algorithm)
		return s.end(by, err)
	})
	return public, err
}

// transferKey unwraps the AES key in front of the blob, and gives what is behind it.
func (s *session) transferKey(kek ID, blob []byte) (by pkcs11.ObjectHandle, wrapped []byte, err error) {
	h, err := s.find(kek, privateKey)
	if err != nil {
		return 0, nil, err
	}
	n, err := s.read(h, pkcs11.CKA_MODULUS)
	if err != nil {
		return 0, nil, err
	}
	if len(blob) < len(n)+16 || len(blob)%8 != 0 {
		return 0, nil, ErrRefused
	}
	by, err = s.lib.UnwrapKey(s.h, mechanism(pkcs11.CKM_RSA_PKCS_OAEP, oaepParams(crypto.SHA1)), h, blob[:len(n)],
		[]*pkcs11.Attribute{
			attribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
			attribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
			attribute(pkcs11.CKA_TOKEN, false),
			attribute(pkcs11.CKA_PRIVATE, true),
			attribute(pkcs11.CKA_SENSITIVE, true),
			attribute(pkcs11.CKA_EXTRACTABLE, false),
			attribute(pkcs11.CKA_UNWRAP, true),
		})
	if err != nil {
		return 0, nil, s.refused("unwrapping the transfer key", err)
	}
	return by, blob[len(n):], nil
}

func (s *session) unwrapTarget(id ID, by pkcs11.ObjectHandle, wrapped []byte, algorithm pki.Algorithm) (crypto.PublicKey, error) {
	unwrap := func(t []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
		h, err := s.lib.UnwrapKey(s.h, mechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil), by, wrapped, t)
		if err != nil {
			err = s.refused("unwrapping the key", err)
		}
		return h, err
	}
	switch algorithm {
	case pki.RSA:
		h, err := unwrap(keptPrivate(pkcs11.CKK_RSA, id))
		if err != nil {
			return nil, err
		}
		public, err := s.rsaPublic(h)
		if err != nil {
			return nil, err
		}
		if err := s.agree(h, public); err != nil {
			return nil, s.unfit(err)
		}
		return public, nil
	case pki.EC:
		h, err := unwrap(keptPrivate(pkcs11.CKK_EC, id))
		if err != nil {
			return nil, err
		}
		public, err := s.ecPublic(h)
		if err != nil {
			return nil, s.unfit(err)
		}
		return public, nil
	}
	// The wrapping tells the length but for up to seven bytes (RFC 5649, section 3),
	// and no two sizes of key are that close. A key that is shorter does not work.
	size := len(wrapped) - 8
	kinds := secretKinds(size)
	if len(kinds) == 0 {
		return nil, pki.ErrKeyType
	}
	for _, k := range kinds {
		h, err := unwrap(k.keptSecret(id, size))
		if err != nil {
			return nil, err
		}
		if err := s.try(h, k, size); err != nil {
			return nil, s.unfit(err)
		}
	}
	return nil, nil
}

// unfit is the error of a caller's key that has been tried.
func (s *session) unfit(err error) error {
	_, ofHSM := errors.AsType[pkcs11.Error](err)
	switch {
	case errors.Is(err, pki.ErrKeyType):
		return err
	case !ofHSM, is(err, pkcs11.CKR_MECHANISM_INVALID): // the latter is SoftHSM's, of an AES key of an odd length
		return ErrRefused
	}
	return s.refused("trying the key", err)
}

// ecPublic finds the public half of a private key, which is not an attribute of
// it. Two signatures tell.
func (s *session) ecPublic(h pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	oid, err := s.read(h, pkcs11.CKA_EC_PARAMS)
	if err != nil {
		return nil, err
	}
	var curve pki.Curve
	for _, c := range curves {
		if c.der == string(oid) {
			curve = c.name
		}
	}
	if curve == "" {
		return nil, pki.ErrKeyType
	}
	digest := make([]byte, sha256.Size)
	rand.Read(digest)
	signature, err := s.sign(h, mechanism(pkcs11.CKM_ECDSA, nil), digest)
	if err != nil {
		return nil, err
	}
	for _, candidate := range recoverPublic(curve, digest, signature) {
		err := s.agree(h, candidate)
		if err == nil {
			return candidate, nil
		}
		if _, ok := errors.AsType[pkcs11.Error](err); ok {
			return nil, err
		}
	}
	return nil, errors.New("hsm: the HSM's key makes signatures of no public key")
}
