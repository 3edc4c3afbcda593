package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/fips"
)

var (
	oidRSA = mustOID("1.2.840.113549.1.1.1") // rsaEncryption, RFC 8017, appendix C
	oidEC  = mustOID("1.2.840.10045.2.1")    // id-ecPublicKey, RFC 5480, section 2.1.1
)

// maxKeyDER bounds an encoded private key, in octets. RSA 4096 takes 2.4 KiB.
const maxKeyDER = 16 << 10

var (
	errPKCS8 = errors.New("malformed PKCS#8 private key")
	errSPKI  = errors.New("malformed public key")
)

// ParsePKCS8 reads an unencrypted PKCS#8 private key (RFC 5208, section 5, and
// RFC 5958) of a supported kind, and checks that it is consistent in itself:
// the RSA parameters belong together, the EC scalar is in range and gives the
// public point, if one is enclosed. Errors never repeat any of the key.
func ParsePKCS8(der []byte) (crypto.Signer, error) {
	if len(der) > maxKeyDER {
		return nil, errPKCS8
	}
	input := cryptobyte.String(der)
	var info, alg, inner cryptobyte.String
	var version int
	var id oid
	if !input.ReadASN1(&info, asn1.SEQUENCE) || !input.Empty() ||
		!info.ReadASN1Integer(&version) || version < 0 || version > 1 ||
		!info.ReadASN1(&alg, asn1.SEQUENCE) || !readOID(&alg, &id) ||
		!info.ReadASN1(&inner, asn1.OCTET_STRING) ||
		// Attributes and, in version 1, the public key: neither is needed.
		!info.SkipOptionalASN1(asn1.Tag(0).ContextSpecific().Constructed()) ||
		!info.SkipOptionalASN1(asn1.Tag(1).ContextSpecific()) || !info.Empty() {
		return nil, errPKCS8
	}
	switch id {
	case oidRSA:
		return parseRSAPrivate(inner)
	case oidEC:
		var curveID oid
		if !readOID(&alg, &curveID) || !alg.Empty() {
			return nil, errPKCS8
		}
		curve, err := curveByOID(curveID)
		if err != nil {
			return nil, err
		}
		return parseECPrivate(inner, curve)
	default:
		return nil, unsupportedKey(id)
	}
}

// parseRSAPrivate reads an RSAPrivateKey of two primes (RFC 8017, A.1.2). The
// size is looked at before crypto/x509 computes with the numbers.
func parseRSAPrivate(der cryptobyte.String) (crypto.Signer, error) {
	peek := der
	var seq cryptobyte.String
	var version int
	n := new(big.Int)
	if !peek.ReadASN1(&seq, asn1.SEQUENCE) || !peek.Empty() ||
		!seq.ReadASN1Integer(&version) || !seq.ReadASN1Integer(n) {
		return nil, errPKCS8
	}
	if version != 0 {
		return nil, &KeyTypeError{Kind: "RSA of more than two primes"}
	}
	if !rsaSizeSupported(n.BitLen()) {
		return nil, unsupportedRSA(n.BitLen())
	}
	var numbers [7]big.Int // e, d, p, q, dP, dQ, qInv
	for i := range numbers {
		v := &numbers[i]
		if !seq.ReadASN1Integer(v) || v.Sign() <= 0 || v.BitLen() > maxRSABits {
			return nil, errPKCS8
		}
	}
	if !seq.Empty() {
		return nil, errPKCS8
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err == nil {
		err = key.Validate()
	}
	if err == nil {
		return key, nil
	}
	d, p, q := &numbers[1], &numbers[2], &numbers[3]
	if new(big.Int).Mul(p, q).Cmp(n) == 0 {
		if weak := weakNumbers(n, d, p, q); weak != nil {
			return nil, weak
		}
	}
	return nil, errors.New("inconsistent RSA private key")
}

// parseECPrivate reads an ECPrivateKey (RFC 5915, section 3).
func parseECPrivate(der cryptobyte.String, curve curveInfo) (crypto.Signer, error) {
	var seq, scalar, params, point cryptobyte.String
	var version int
	var hasParams, hasPoint bool
	if !der.ReadASN1(&seq, asn1.SEQUENCE) || !der.Empty() ||
		!seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1(&scalar, asn1.OCTET_STRING) ||
		!seq.ReadOptionalASN1(&params, &hasParams, asn1.Tag(0).ContextSpecific().Constructed()) ||
		!seq.ReadOptionalASN1(&point, &hasPoint, asn1.Tag(1).ContextSpecific().Constructed()) ||
		!seq.Empty() {
		return nil, errPKCS8
	}
	if hasParams {
		var id oid
		if !readOID(&params, &id) || !params.Empty() {
			return nil, errPKCS8
		}
		if id != curve.id {
			return nil, errors.New("EC private key names two curves")
		}
	}
	// RFC 5915 wants exactly the order's length; some writers drop leading zeros
	// and some add them.
	trimmed := bytes.TrimLeft(scalar, "\x00")
	if len(trimmed) > curve.octets() {
		return nil, errPKCS8
	}
	raw := make([]byte, curve.octets())
	defer clear(raw)
	copy(raw[len(raw)-len(trimmed):], trimmed)

	key, err := newECPrivate(curve, raw)
	if err != nil {
		return nil, err
	}
	if hasPoint {
		var given []byte
		if !point.ReadASN1BitStringAsBytes(&given) || !point.Empty() {
			return nil, errPKCS8
		}
		pub, err := newECPublic(curve, given)
		if err != nil {
			return nil, err
		}
		if !PublicEqual(pub, key.Public()) {
			return nil, errors.New("EC private key does not match its public point")
		}
	}
	return key, nil
}

func newECPrivate(curve curveInfo, scalar []byte) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	if curve.std == nil && fips.Enforced() {
		return nil, errors.New(fips.Excludes("P-256K"))
	}
	if curve.std == nil {
		key, err = ParseRawP256KPrivateKey(scalar)
	} else {
		key, err = ecdsa.ParseRawPrivateKey(curve.std, scalar)
	}
	if err != nil {
		return nil, errors.New("EC private scalar is out of range")
	}
	return key, nil
}

// newECPublic reads a point, uncompressed as RFC 5480, section 2.2 requires all
// to support, and checks that it is on the curve.
func newECPublic(curve curveInfo, point []byte) (crypto.PublicKey, error) {
	var pub crypto.PublicKey
	var err error
	if curve.std == nil {
		pub, err = ParseUncompressedP256KPublicKey(point)
	} else {
		pub, err = ecdsa.ParseUncompressedPublicKey(curve.std, point)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not an uncompressed point on the curve", curve.name)
	}
	return pub, nil
}

// MarshalPKCS8 writes a private key that this package made or read. The caller
// seals the result or gives it to the key's owner.
func MarshalPKCS8(key crypto.Signer) ([]byte, error) {
	if key == nil {
		return nil, ErrKeyType
	}
	if _, err := SpecOf(key.Public()); err != nil {
		return nil, err
	}
	k, ok := key.(*P256KPrivateKey)
	if !ok {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, ErrKeyType // a key that a device keeps
		}
		return der, nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addP256KAlgorithm(b)
		b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1OctetString(k.Bytes())
				b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1BitString(k.pub.Bytes())
				})
			})
		})
	})
	return b.Bytes()
}

// MarshalPublic writes the SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
func MarshalPublic(pub crypto.PublicKey) ([]byte, error) {
	if _, err := SpecOf(pub); err != nil {
		return nil, err
	}
	k, ok := pub.(*P256KPublicKey)
	if !ok {
		return x509.MarshalPKIXPublicKey(pub)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addP256KAlgorithm(b)
		b.AddASN1BitString(k.Bytes())
	})
	return b.Bytes()
}

func addP256KAlgorithm(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oidEC)
		addOID(b, oidP256K)
	})
}

// ParsePublic reads a SubjectPublicKeyInfo of a supported kind; ErrKeyType for
// a well-formed one of another kind.
func ParsePublic(spki []byte) (crypto.PublicKey, error) {
	alg, bits, err := splitSPKI(spki)
	if err != nil {
		return nil, err
	}
	var id oid
	if !readOID(&alg, &id) {
		return nil, errSPKI
	}
	switch id {
	case oidRSA:
		return parseRSAPublic(bits)
	case oidEC:
		var curveID oid
		if !readOID(&alg, &curveID) || !alg.Empty() {
			return nil, ErrKeyType // explicit curve parameters, or none
		}
		curve, err := curveByOID(curveID)
		if err != nil {
			return nil, err
		}
		return newECPublic(curve, bits)
	default:
		return nil, unsupportedKey(id)
	}
}

// splitSPKI gives the content of the algorithm and the key's bits.
func splitSPKI(spki []byte) (alg cryptobyte.String, bits []byte, err error) {
	input := cryptobyte.String(spki)
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() ||
		!seq.ReadASN1(&alg, asn1.SEQUENCE) ||
		!seq.ReadASN1BitStringAsBytes(&bits) || !seq.Empty() {
		return nil, nil, errSPKI
	}
	return alg, bits, nil
}

func parseRSAPublic(der cryptobyte.String) (crypto.PublicKey, error) {
	var seq cryptobyte.String
	n, e := new(big.Int), new(big.Int)
	if !der.ReadASN1(&seq, asn1.SEQUENCE) || !der.Empty() ||
		!seq.ReadASN1Integer(n) || !seq.ReadASN1Integer(e) || !seq.Empty() ||
		n.Sign() <= 0 || e.Sign() <= 0 {
		return nil, errSPKI
	}
	// crypto/rsa computes with odd exponents from 3 to 2^31-1 only.
	if !rsaSizeSupported(n.BitLen()) || n.Bit(0) == 0 ||
		e.BitLen() < 2 || e.BitLen() > 31 || e.Bit(0) == 0 {
		return nil, ErrKeyType
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}
