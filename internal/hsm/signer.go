//go:build hsm

package hsm

import (
	"context"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // RSA-OAEP is defined with it (RFC 7518, section 4.3)
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pki"
)

// signer uses a private key of the HSM. Its failures are those of the device.
type signer struct {
	d      *Device
	id     ID
	public crypto.PublicKey
}

// decrypter is the signer of an RSA key.
type decrypter struct{ signer }

// Signer uses the private key of that id, whose public half is given. It asks the
// HSM nothing yet.
//
// An EC key gives signatures in ASN.1, as crypto/ecdsa does. An RSA key takes
// *rsa.PSSOptions, a hash for PKCS#1 v1.5, or the hash 0 for PKCS#1 v1.5 over the
// bytes as they are; and it is a crypto.Decrypter too.
func (d *Device) Signer(id ID, public crypto.PublicKey) crypto.Signer {
	s := signer{d, id, public}
	if _, ok := public.(*rsa.PublicKey); ok {
		return decrypter{s}
	}
	return s
}

// Public is the public key that Signer was given.
func (s signer) Public() crypto.PublicKey { return s.public }

// Sign signs a digest. The reader is not used: the HSM has its own randomness.
func (s signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	m, data, err := signing(s.public, digest, opts)
	if err != nil {
		return nil, err
	}
	var signature []byte
	err = s.d.repeat(context.Background(), func(t *session) error {
		h, err := t.find(s.id, privateKey)
		if err != nil {
			return err
		}
		signature, err = t.sign(h, m, data)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, ok := s.public.(*rsa.PublicKey); ok {
		return signature, nil
	}
	return toASN1(signature)
}

func (s *session) sign(h pkcs11.ObjectHandle, m []*pkcs11.Mechanism, data []byte) ([]byte, error) {
	if err := s.lib.SignInit(s.h, m, h); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	signature, err := s.lib.Sign(s.h, data)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signature, nil
}

// hashes are the mechanisms that parameters name a hash by.
var hashes = map[crypto.Hash]struct {
	bytes           int
	hash, mgf, hmac uint // hmac is 0 where the contract has none
}{
	crypto.SHA1:   {20, pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1, 0},
	crypto.SHA256: {32, pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, pkcs11.CKM_SHA256_HMAC},
	crypto.SHA384: {48, pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, pkcs11.CKM_SHA384_HMAC},
	crypto.SHA512: {64, pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, pkcs11.CKM_SHA512_HMAC},
}

// digestInfo is what stands before a digest in a DigestInfo (RFC 8017, 9.2, note 1).
var digestInfo = map[crypto.Hash]string{
	crypto.SHA1:   "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
	crypto.SHA256: "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
	crypto.SHA384: "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
	crypto.SHA512: "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
}

var (
	errHash   = errors.New("hsm: the HSM does not sign with this hash")
	errDigest = errors.New("hsm: the digest's length is not right")
)

// signing turns what a crypto.Signer is told into a mechanism and its data. All
// lengths are checked here: HSMs answer bad ones as they answer their own failures.
func signing(public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]*pkcs11.Mechanism, []byte, error) {
	var hash crypto.Hash
	if opts != nil {
		hash = opts.HashFunc()
	}
	if hash != 0 && (!hash.Available() || len(digest) != hash.Size()) {
		return nil, nil, errDigest
	}
	spec, err := pki.SpecOf(public)
	if err != nil {
		return nil, nil, err
	}
	if spec.Algorithm == pki.EC {
		if len(digest) == 0 {
			return nil, nil, errDigest
		}
		// The leftmost bits of the digest count (SEC 1, 4.1.3, step 5). Not all HSMs
		// cut them off. Every curve's order but that of P-521 is of whole bytes, and no
		// hash is as long as that one.
		return mechanism(pkcs11.CKM_ECDSA, nil), digest[:min(len(digest), (spec.Size+7)/8)], nil
	}
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		h, ok := hashes[hash]
		if !ok {
			return nil, nil, errHash
		}
		salt := hash.Size()
		if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != salt {
			return nil, nil, errors.New("hsm: the salt is as long as the hash")
		}
		return mechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(h.hash, h.mgf, uint(salt))), digest, nil
	}
	if hash != 0 {
		prefix, ok := digestInfo[hash]
		if !ok {
			return nil, nil, errHash
		}
		digest = append([]byte(prefix), digest...)
	}
	if len(digest) > spec.Size/8-11 { // RFC 8017, 9.2
		return nil, nil, errDigest
	}
	return mechanism(pkcs11.CKM_RSA_PKCS, nil), digest, nil
}

// toASN1 is the signature that crypto/ecdsa would give, of r and s side by side.
func toASN1(raw []byte) ([]byte, error) {
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, errors.New("hsm: the HSM's signature is not r and s")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:len(raw)/2]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[len(raw)/2:]))
	})
	return b.Bytes()
}

var (
	_ crypto.Signer    = signer{}
	_ crypto.Decrypter = decrypter{}
)
