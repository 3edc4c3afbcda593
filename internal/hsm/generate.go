//go:build hsm

package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pki"
)

// Generate makes a key in the HSM and gives its public half, nil for a symmetric
// key. An RSA key's public exponent is 65537. After an error the HSM may hold
// some of the key: Destroy the id.
func (d *Device) Generate(ctx context.Context, id ID, spec pki.KeySpec) (crypto.PublicKey, error) {
	var public crypto.PublicKey
	err := d.create(ctx, id, func(s *session) (err error) {
		switch {
		case spec.Algorithm == pki.Oct && spec.Curve == "":
			return s.generateSecret(id, spec.Size)
		case spec.Algorithm == pki.RSA && spec.Curve == "" && (spec.Size == 2048 || spec.Size == 3072 || spec.Size == 4096):
			public, err = s.generateRSA(id, spec.Size)
			return err
		}
		if of, err := pki.CurveSpec(spec.Curve); err != nil || of != spec {
			return pki.ErrKeyType
		}
		public, err = s.generateEC(id, spec.Curve)
		return err
	})
	return public, err
}

// create runs what leaves an object in the HSM. It is not repeated once it has
// begun, for it may have succeeded; so the connection is tried first.
func (d *Device) create(ctx context.Context, id ID, op func(*session) error) error {
	if id.IsZero() {
		return errors.New("hsm: a key needs an id")
	}
	begun := false
	try := func(s *session) error {
		if err := s.probe(); err != nil {
			return err
		}
		begun = true
		return op(s)
	}
	err, lost := d.once(ctx, try)
	if lost && !begun {
		err, _ = d.once(ctx, try)
	}
	if err == nil {
		d.room(true)
	}
	return err
}

func (s *session) generateRSA(id ID, bits int) (crypto.PublicKey, error) {
	public, h, err := s.pair(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, pkcs11.CKK_RSA, id,
		attribute(pkcs11.CKA_MODULUS_BITS, bits),
		attribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
	if err != nil {
		return nil, err
	}
	key, err := s.rsaPublic(public)
	if err != nil {
		return nil, err
	}
	if key.E != 65537 || key.N.BitLen() != bits {
		return nil, errors.New("hsm: the HSM made another RSA key than it was told to")
	}
	return key, errors.Join(s.lib.DestroyObject(s.h, public), s.agree(h, key))
}

func (s *session) generateEC(id ID, curve pki.Curve) (crypto.PublicKey, error) {
	public, h, err := s.pair(pkcs11.CKM_EC_KEY_PAIR_GEN, pkcs11.CKK_EC, id, attribute(pkcs11.CKA_EC_PARAMS, curveOID(curve)))
	if err != nil {
		return nil, err
	}
	point, err := s.read(public, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	key, err := parsePoint(curve, point)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(s.lib.DestroyObject(s.h, public), s.agree(h, key))
}

// pair generates a key pair whose public half is an object of the session only:
// the vault keeps public keys itself.
func (s *session) pair(m, keyType uint, id ID, parameters ...*pkcs11.Attribute) (public, private pkcs11.ObjectHandle, err error) {
	publicTemplate := append([]*pkcs11.Attribute{
		attribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		attribute(pkcs11.CKA_KEY_TYPE, keyType),
		attribute(pkcs11.CKA_TOKEN, false),
		attribute(pkcs11.CKA_PRIVATE, false),
		attribute(pkcs11.CKA_VERIFY, true),
	}, parameters...)
	public, private, err = s.lib.GenerateKeyPair(s.h, mechanism(m, nil), publicTemplate,
		keptPrivate(keyType, id))
	if err != nil {
		return 0, 0, fmt.Errorf("generating a key pair: %w", err)
	}
	return public, private, nil
}

// generateSecret makes an AES key, an HMAC key, or both: the contract's HS256 and
// its AES algorithms go with one key of 256 bits, and PKCS#11 has no such key.
// Nobody can tell that the two have different bytes.
func (s *session) generateSecret(id ID, bits int) error {
	keys := secretKinds(bits / 8)
	if bits%8 != 0 || len(keys) == 0 {
		return pki.ErrKeyType
	}
	for _, k := range keys {
		m := uint(pkcs11.CKM_AES_KEY_GEN)
		if k == macKey {
			m = pkcs11.CKM_GENERIC_SECRET_KEY_GEN
		}
		h, err := s.lib.GenerateKey(s.h, mechanism(m, nil), append(k.keptSecret(id, bits/8), attribute(pkcs11.CKA_VALUE_LEN, bits/8)))
		if err != nil {
			return fmt.Errorf("generating a secret key: %w", err)
		}
		if err := s.try(h, k, bits/8); err != nil {
			return err
		}
	}
	return nil
}

// secretKinds says as what a symmetric key of that many bytes is kept (contract
// keys.md, 8.1): for AES, for HMAC, or for both.
func secretKinds(bytes int) []kind {
	switch bytes {
	case 16, 24:
		return []kind{aesKey}
	case 32:
		return []kind{aesKey, macKey}
	case 48, 64:
		return []kind{macKey}
	}
	return nil
}

// try uses a new symmetric key once. A key of another length fails: AES has three,
// and HSMs ask of a key for HMAC that it be as long as the hash.
func (s *session) try(h pkcs11.ObjectHandle, k kind, bytes int) error {
	if k == aesKey {
		_, err := s.encrypt(h, mechanism(pkcs11.CKM_AES_CBC, make([]byte, blockBytes)), make([]byte, blockBytes))
		return err
	}
	for _, of := range hashes {
		if of.bytes == bytes {
			_, err := s.sign(h, mechanism(of.hmac, nil), nil)
			return err
		}
	}
	return pki.ErrKeyType
}

// rsaPublic reads the public half, which an RSA private key has too.
func (s *session) rsaPublic(h pkcs11.ObjectHandle) (*rsa.PublicKey, error) {
	n, err := s.read(h, pkcs11.CKA_MODULUS)
	if err != nil {
		return nil, err
	}
	e, err := s.read(h, pkcs11.CKA_PUBLIC_EXPONENT)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() > 1<<31-1 {
		return nil, pki.ErrKeyType
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
	if _, err := pki.SpecOf(key); err != nil {
		return nil, err
	}
	return key, nil
}

// agree checks that a private key of the HSM and a public key are a pair, by a
// signature over something new.
func (s *session) agree(h pkcs11.ObjectHandle, public crypto.PublicKey) error {
	digest := make([]byte, sha256.Size)
	rand.Read(digest)
	m, data, err := signing(public, digest, crypto.SHA256)
	if err != nil {
		return err
	}
	signature, err := s.sign(h, m, data)
	if err != nil {
		return err
	}
	ok := false
	if key, isRSA := public.(*rsa.PublicKey); isRSA {
		ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	} else {
		ok = pki.VerifyRaw(public, digest, signature)
	}
	if !ok {
		return errors.New("hsm: the HSM's private key and the public key are not a pair")
	}
	return nil
}

// curves are the named curves as CKA_EC_PARAMS has them: object identifiers in DER.
var curves = []struct {
	name pki.Curve
	der  string
	std  elliptic.Curve // nil for P-256K
}{
	{pki.P256, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", elliptic.P256()},
	{pki.P384, "\x06\x05\x2b\x81\x04\x00\x22", elliptic.P384()},
	{pki.P521, "\x06\x05\x2b\x81\x04\x00\x23", elliptic.P521()},
	{pki.P256K, "\x06\x05\x2b\x81\x04\x00\x0a", nil},
}

func curveOID(name pki.Curve) []byte {
	for _, c := range curves {
		if c.name == name {
			return []byte(c.der)
		}
	}
	return nil
}

func stdCurve(name pki.Curve) elliptic.Curve {
	for _, c := range curves {
		if c.name == name {
			return c.std
		}
	}
	return nil
}

// parsePoint reads CKA_EC_POINT: an uncompressed point in an OCTET STRING, or
// without one as some HSMs have it.
func parsePoint(curve pki.Curve, b []byte) (crypto.PublicKey, error) {
	var point cryptobyte.String
	if in := cryptobyte.String(b); !in.ReadASN1(&point, asn1.OCTET_STRING) || !in.Empty() {
		point = b
	}
	if c := stdCurve(curve); c != nil {
		return ecdsa.ParseUncompressedPublicKey(c, point)
	}
	return pki.ParseUncompressedP256KPublicKey(point)
}
