package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"coffer/internal/fips"
)

// ErrKeyType is a key of an algorithm, curve or size that the vault does not
// hold; where it is known which, it comes as a [*KeyTypeError]. Whatever else is wrong
// with a key gives another error.
var ErrKeyType = errors.New("unsupported key type")

// Algorithm is the family of a key.
type Algorithm string

// The algorithms.
const (
	RSA Algorithm = "RSA"
	EC  Algorithm = "EC"
	Oct Algorithm = "oct" // a symmetric key, which this package neither makes nor reads
)

// Curve is an elliptic curve by its Key Vault name; "" for all other keys.
type Curve string

// The curves.
const (
	P256  Curve = "P-256"
	P384  Curve = "P-384"
	P521  Curve = "P-521"
	P256K Curve = "P-256K" // secp256k1
)

// KeySpec says which kind of key. Size is in bits: RSA 2048, 3072 or 4096;
// EC 256, 384, 521 or 256, as the curve has it (contract certificates.md, 6.2);
// oct as long as the key.
type KeySpec struct {
	Algorithm Algorithm
	Size      int
	Curve     Curve
}

// maxRSABits is the largest modulus; larger ones are refused before any
// arithmetic is done with them.
const maxRSABits = 4096

// curveInfo is one row of the table of curves.
type curveInfo struct {
	name Curve
	size int            // bits of the field and of the group order
	id   oid            // namedCurve, RFC 5480, section 2.1.1.1; SEC 2, A.2.1 for secp256k1
	std  elliptic.Curve // nil for P-256K
}

var oidP256K = mustOID("1.3.132.0.10")

var curves = []curveInfo{
	{P256, 256, mustOID("1.2.840.10045.3.1.7"), elliptic.P256()},
	{P384, 384, mustOID("1.3.132.0.34"), elliptic.P384()},
	{P521, 521, mustOID("1.3.132.0.35"), elliptic.P521()},
	{P256K, 256, oidP256K, nil},
}

func (c curveInfo) spec() KeySpec { return KeySpec{EC, c.size, c.name} }

// octets is the length of a coordinate and of a private scalar.
func (c curveInfo) octets() int { return (c.size + 7) / 8 }

func curveBySpec(spec KeySpec) (curveInfo, error) {
	for _, c := range curves {
		if c.spec() == spec {
			return c, nil
		}
	}
	return curveInfo{}, ErrKeyType
}

func curveByOID(id oid) (curveInfo, error) {
	for _, c := range curves {
		if c.id == id {
			return c, nil
		}
	}
	return curveInfo{}, unsupportedKey(id)
}

func rsaSizeSupported(bits int) bool { return bits == 2048 || bits == 3072 || bits == 4096 }

// Generate makes a new private key from the system's randomness: an
// *rsa.PrivateKey, *ecdsa.PrivateKey or *P256KPrivateKey. RSA takes from a
// hundred milliseconds to several seconds of one core.
func Generate(spec KeySpec) (crypto.Signer, error) {
	if spec.Algorithm == RSA && spec.Curve == "" && rsaSizeSupported(spec.Size) {
		key, err := rsa.GenerateKey(rand.Reader, spec.Size)
		if err != nil {
			return nil, fmt.Errorf("generating RSA key: %w", err)
		}
		return key, nil
	}
	curve, err := curveBySpec(spec)
	if err != nil {
		return nil, err
	}
	if curve.std == nil && fips.Enforced() {
		return nil, errors.New(fips.Excludes("P-256K"))
	}
	if curve.std == nil {
		return generateP256K(), nil
	}
	key, err := ecdsa.GenerateKey(curve.std, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating %s key: %w", curve.name, err)
	}
	return key, nil
}

// SpecOf says which kind of key pub is, or ErrKeyType.
func SpecOf(pub crypto.PublicKey) (KeySpec, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pub != nil && pub.N != nil && rsaSizeSupported(pub.N.BitLen()) {
			return KeySpec{Algorithm: RSA, Size: pub.N.BitLen()}, nil
		}
	case *ecdsa.PublicKey:
		for _, c := range curves {
			if pub != nil && c.std != nil && c.std == pub.Curve {
				return c.spec(), nil
			}
		}
	case *P256KPublicKey:
		if pub != nil {
			return KeySpec{EC, 256, P256K}, nil
		}
	}
	return KeySpec{}, ErrKeyType
}

// PublicEqual reports whether a and b are the same supported public key.
func PublicEqual(a, b crypto.PublicKey) bool {
	if _, err := SpecOf(a); err != nil {
		return false
	}
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// CurveSpec is the kind of key that lies on a curve, or ErrKeyType.
func CurveSpec(name Curve) (KeySpec, error) {
	for _, c := range curves {
		if c.name == name {
			return c.spec(), nil
		}
	}
	return KeySpec{}, ErrKeyType
}
