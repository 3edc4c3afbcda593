//go:build hsm

package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"

	"coffer/internal/pki"
	"coffer/internal/seal"
)

// Import puts a private key into the HSM, from where it does not come out again.
// After an error the HSM may hold the key: Destroy the id.
func (d *Device) Import(ctx context.Context, id ID, private crypto.Signer) error {
	keyType, parts, err := privateParts(private)
	if err != nil {
		return err
	}
	return d.create(ctx, id, func(s *session) error {
		h, err := s.lib.CreateObject(s.h, append(keptPrivate(keyType, id), parts...))
		if err != nil {
			return fmt.Errorf("importing a private key: %w", err)
		}
		return s.agree(h, private.Public())
	})
}

// privateParts spells a private key in attributes.
func privateParts(private crypto.Signer) (uint, []*pkcs11.Attribute, error) {
	spec, err := pki.SpecOf(private.Public())
	if err != nil {
		return 0, nil, err
	}
	var scalar []byte
	switch key := private.(type) {
	case *rsa.PrivateKey:
		if len(key.Primes) != 2 {
			return 0, nil, pki.ErrKeyType
		}
		key.Precompute()
		number := func(t uint, n *big.Int) *pkcs11.Attribute { return attribute(t, n.Bytes()) }
		return pkcs11.CKK_RSA, []*pkcs11.Attribute{
			number(pkcs11.CKA_MODULUS, key.N),
			number(pkcs11.CKA_PUBLIC_EXPONENT, big.NewInt(int64(key.E))),
			number(pkcs11.CKA_PRIVATE_EXPONENT, key.D),
			number(pkcs11.CKA_PRIME_1, key.Primes[0]),
			number(pkcs11.CKA_PRIME_2, key.Primes[1]),
			number(pkcs11.CKA_EXPONENT_1, key.Precomputed.Dp),
			number(pkcs11.CKA_EXPONENT_2, key.Precomputed.Dq),
			number(pkcs11.CKA_COEFFICIENT, key.Precomputed.Qinv),
		}, nil
	case *ecdsa.PrivateKey:
		if scalar, err = key.Bytes(); err != nil {
			return 0, nil, err
		}
	case *pki.P256KPrivateKey:
		scalar = key.Bytes()
	default:
		return 0, nil, pki.ErrKeyType
	}
	return pkcs11.CKK_EC, []*pkcs11.Attribute{
		attribute(pkcs11.CKA_EC_PARAMS, curveOID(spec.Curve)),
		attribute(pkcs11.CKA_VALUE, scalar),
	}, nil
}

// ImportSecret puts a symmetric key into the HSM: 16, 24 or 32 bytes for AES, and
// 32, 48 or 64 bytes for HMAC. Another length is pki.ErrKeyType.
func (d *Device) ImportSecret(ctx context.Context, id ID, secret seal.Value) error {
	raw := secret.Reveal()
	keys := secretKinds(len(raw))
	if len(keys) == 0 {
		return pki.ErrKeyType
	}
	return d.create(ctx, id, func(s *session) error {
		for _, k := range keys {
			h, err := s.lib.CreateObject(s.h, append(k.keptSecret(id, len(raw)), attribute(pkcs11.CKA_VALUE, raw)))
			if err != nil {
				return fmt.Errorf("importing a secret key: %w", err)
			}
			if err := s.try(h, k, len(raw)); err != nil {
				return err
			}
		}
		return nil
	})
}
