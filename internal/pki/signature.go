package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // linked for crypto.Hash.New
	_ "crypto/sha512"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signatureScheme is one row of the table of signature algorithms (RFC 4055,
// section 5, and RFC 5758, section 3.2). SHA-1 is not in it.
type signatureScheme struct {
	id        oid
	algorithm Algorithm
	hash      crypto.Hash
}

var signatureSchemes = []signatureScheme{
	{mustOID("1.2.840.113549.1.1.11"), RSA, crypto.SHA256},
	{mustOID("1.2.840.113549.1.1.12"), RSA, crypto.SHA384},
	{mustOID("1.2.840.113549.1.1.13"), RSA, crypto.SHA512},
	{mustOID("1.2.840.10045.4.3.2"), EC, crypto.SHA256},
	{mustOID("1.2.840.10045.4.3.3"), EC, crypto.SHA384},
	{mustOID("1.2.840.10045.4.3.4"), EC, crypto.SHA512},
}

var (
	oidPSS  = mustOID("1.2.840.113549.1.1.10")
	oidMGF1 = mustOID("1.2.840.113549.1.1.8")
	hashIDs = map[oid]crypto.Hash{
		mustOID("2.16.840.1.101.3.4.2.1"): crypto.SHA256,
		mustOID("2.16.840.1.101.3.4.2.2"): crypto.SHA384,
		mustOID("2.16.840.1.101.3.4.2.3"): crypto.SHA512,
	}
)

var errSignature = errors.New("the signature does not verify")

// schemeFor is the algorithm that a key signs with (contract certificates.md,
// 10.1): SHA-256, but SHA-384 for P-384 and SHA-512 for P-521.
func schemeFor(pub crypto.PublicKey) (signatureScheme, error) {
	spec, err := SpecOf(pub)
	if err != nil {
		return signatureScheme{}, err
	}
	hash := crypto.SHA256
	switch spec.Curve {
	case P384:
		hash = crypto.SHA384
	case P521:
		hash = crypto.SHA512
	}
	for _, s := range signatureSchemes {
		if s.algorithm == spec.Algorithm && s.hash == hash {
			return s, nil
		}
	}
	return signatureScheme{}, ErrKeyType
}

// add writes the AlgorithmIdentifier: with NULL for RSA (RFC 4055, section 5),
// without parameters for ECDSA (RFC 5758, section 3.2).
func (s signatureScheme) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, s.id)
		if s.algorithm == RSA {
			b.AddASN1NULL()
		}
	})
}

// sign wraps content as a SIGNED structure: the content, the algorithm and the
// signature over the content's DER. The signature is verified before it is
// given away: a fault while signing can give the key away (Boneh, DeMillo,
// Lipton), and a device may hold another key than it says.
func sign(key crypto.Signer, content []byte) ([]byte, error) {
	scheme, err := schemeFor(key.Public())
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, digest(scheme.hash, content), scheme.hash)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if err := scheme.verify(key.Public(), content, signature); err != nil {
		return nil, fmt.Errorf("after signing: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(content)
		scheme.add(b)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

func digest(hash crypto.Hash, content []byte) []byte {
	h := hash.New()
	h.Write(content)
	return h.Sum(nil)
}

// verify checks a signature of any scheme in the table.
func (s signatureScheme) verify(pub crypto.PublicKey, content, signature []byte) error {
	sum := digest(s.hash, content)
	ok := false
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		ok = s.algorithm == RSA && rsa.VerifyPKCS1v15(pub, s.hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		ok = s.algorithm == EC && ecdsa.VerifyASN1(pub, sum, signature)
	case *P256KPublicKey:
		ok = s.algorithm == EC && pub.Verify(sum, signature)
	}
	if !ok {
		return errSignature
	}
	return nil
}

// verifySignature checks a signature whose AlgorithmIdentifier is given in DER.
func verifySignature(pub crypto.PublicKey, algorithm cryptobyte.String, content, signature []byte) error {
	var alg cryptobyte.String
	var id oid
	if !algorithm.ReadASN1(&alg, asn1.SEQUENCE) || !algorithm.Empty() || !readOID(&alg, &id) {
		return errors.New("malformed signature algorithm")
	}
	if id == oidPSS {
		key, ok := pub.(*rsa.PublicKey)
		if !ok {
			return errSignature
		}
		hash, salt, err := parsePSS(alg)
		if err != nil {
			return err
		}
		if rsa.VerifyPSS(key, hash, digest(hash, content), signature, &rsa.PSSOptions{SaltLength: salt}) != nil {
			return errSignature
		}
		return nil
	}
	for _, s := range signatureSchemes {
		if s.id == id {
			return s.verify(pub, content, signature)
		}
	}
	return errors.New("unsupported signature algorithm")
}

// parsePSS reads RSASSA-PSS-params (RFC 4055, section 3.1) with one hash for the
// message and for MGF1. The defaults mean SHA-1 and are refused.
func parsePSS(der cryptobyte.String) (hash crypto.Hash, saltLength int, err error) {
	unsupported := errors.New("unsupported RSASSA-PSS parameters")
	context := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
	var params, hashField, mgfField, mgf cryptobyte.String
	var mgfID oid
	if !der.ReadASN1(&params, asn1.SEQUENCE) || !der.Empty() ||
		!params.ReadASN1(&hashField, context(0)) || !params.ReadASN1(&mgfField, context(1)) ||
		!mgfField.ReadASN1(&mgf, asn1.SEQUENCE) || !readOID(&mgf, &mgfID) || mgfID != oidMGF1 ||
		!params.ReadOptionalASN1Integer(&saltLength, context(2), 20) || saltLength < 0 ||
		!params.SkipOptionalASN1(context(3)) || !params.Empty() {
		return 0, 0, unsupported
	}
	hash, ok1 := readHash(hashField)
	mgfHash, ok2 := readHash(mgf)
	if !ok1 || !ok2 || hash != mgfHash || saltLength > hash.Size() {
		return 0, 0, unsupported
	}
	return hash, saltLength, nil
}

func readHash(s cryptobyte.String) (crypto.Hash, bool) {
	var alg cryptobyte.String
	var id oid
	if !s.ReadASN1(&alg, asn1.SEQUENCE) || !readOID(&alg, &id) {
		return 0, false
	}
	hash, ok := hashIDs[id]
	return hash, ok
}
