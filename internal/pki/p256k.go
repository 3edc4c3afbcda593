package pki

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// P256KPublicKey is a point of secp256k1 other than infinity.
type P256KPublicKey struct{ point secp256k1.PublicKey }

// ParseUncompressedP256KPublicKey reads an uncompressed point, 65 octets that
// begin with 04 (SEC 1, 2.3.4), and checks that it is on the curve.
func ParseUncompressedP256KPublicKey(data []byte) (*P256KPublicKey, error) {
	if len(data) != 65 || data[0] != 4 {
		return nil, errors.New("P-256K: not an uncompressed point")
	}
	point, err := secp256k1.ParsePubKey(data)
	if err != nil {
		return nil, errors.New("P-256K: the point is not on the curve")
	}
	return &P256KPublicKey{*point}, nil
}

// Bytes is the uncompressed point: 04, X and Y of 32 octets each.
func (p *P256KPublicKey) Bytes() []byte { return p.point.SerializeUncompressed() }

// Equal reports whether x is the same point.
func (p *P256KPublicKey) Equal(x crypto.PublicKey) bool {
	other, ok := x.(*P256KPublicKey)
	return ok && other != nil && p.point.IsEqual(&other.point)
}

// Verify reports whether sig is a DER signature of digest under p. A signature
// with a high s is valid too: others make them.
func (p *P256KPublicKey) Verify(digest, sig []byte) bool {
	s, err := ecdsa.ParseDERSignature(sig)
	return err == nil && len(digest) > 0 && s.Verify(digest, &p.point)
}

// P256KPrivateKey is a private key of secp256k1. It prints as [redacted].
type P256KPrivateKey struct {
	d   secp256k1.ModNScalar // 1 to n-1
	pub P256KPublicKey
}

// ParseRawP256KPrivateKey reads a private scalar: 32 octets, big-endian,
// between 1 and n-1.
func ParseRawP256KPrivateKey(data []byte) (*P256KPrivateKey, error) {
	var k P256KPrivateKey
	if len(data) != 32 || k.d.SetByteSlice(data) || k.d.IsZero() {
		return nil, errors.New("P-256K: the private scalar is out of range")
	}
	k.pub = publicOf(&k.d)
	return &k, nil
}

func generateP256K() *P256KPrivateKey {
	var k P256KPrivateKey
	k.d = randomScalar()
	k.pub = publicOf(&k.d)
	return &k
}

// Bytes is the private scalar in 32 octets, big-endian.
func (k *P256KPrivateKey) Bytes() []byte {
	b := k.d.Bytes()
	return b[:]
}

// Public is the *P256KPublicKey.
func (k *P256KPrivateKey) Public() crypto.PublicKey {
	pub := k.pub
	return &pub
}

// Equal reports, in constant time, whether x is the same private key.
func (k *P256KPrivateKey) Equal(x crypto.PrivateKey) bool {
	other, ok := x.(*P256KPrivateKey)
	return ok && other != nil && k.d.Equals(&other.d)
}

// Format shows nothing of the key, whatever the verb.
func (P256KPrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Sign makes a DER signature of digest, with the low one of the two possible s.
// The digest's length must be that of opts' hash, if it names one. The reader
// is ignored, as crypto/ecdsa does too.
//
// The nonce is that of RFC 6979 with fresh randomness as additional input
// (section 3.6): a machine that is restored from a snapshot and repeats its
// random stream still gives different digests different nonces. The arithmetic
// that is available takes variable time, so it never meets the nonce itself:
// k·G is computed over a random split of k, and the inverse over k times a
// random factor.
func (k *P256KPrivateKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(digest) == 0 {
		return nil, errors.New("P-256K: empty digest")
	}
	if opts != nil && opts.HashFunc() != 0 && opts.HashFunc().Size() != len(digest) {
		return nil, errors.New("P-256K: the digest's length is not that of its hash")
	}
	// The leftmost 256 bits of the digest count (SEC 1, 4.1.3, step 5); a
	// shorter one is a smaller number.
	var hash [32]byte
	if len(digest) > len(hash) {
		digest = digest[:len(hash)]
	}
	copy(hash[len(hash)-len(digest):], digest)
	var e secp256k1.ModNScalar
	e.SetBytes(&hash)

	d := k.d.Bytes()
	defer clear(d[:])
	var extra [32]byte
	_, _ = rand.Read(extra[:]) // never fails (crypto/rand)
	for i := uint32(0); ; i++ {
		nonce := secp256k1.NonceRFC6979(d[:], hash[:], extra[:], nil, i)
		point := baseMult(nonce)
		var r, s secp256k1.ModNScalar
		r.SetBytes(point.X.Bytes()) // reduced mod n
		s.Mul2(&r, &k.d).Add(&e).Mul(blindInverse(nonce))
		nonce.Zero()
		if !r.IsZero() && !s.IsZero() {
			return ecdsa.NewSignature(&r, &s).Serialize(), nil // makes s low
		}
	}
}

// baseMult is k·G in affine form, as r·G + (k-r)·G with a random r.
func baseMult(k *secp256k1.ModNScalar) secp256k1.JacobianPoint {
	r := randomScalar()
	var rest secp256k1.ModNScalar
	rest.NegateVal(&r).Add(k)
	var a, b, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&r, &a)
	secp256k1.ScalarBaseMultNonConst(&rest, &b)
	secp256k1.AddNonConst(&a, &b, &sum)
	sum.ToAffine()
	return sum
}

// blindInverse is 1/k, as b/(k·b) with a random b.
func blindInverse(k *secp256k1.ModNScalar) *secp256k1.ModNScalar {
	b := randomScalar()
	var inv secp256k1.ModNScalar
	return inv.Mul2(k, &b).InverseNonConst().Mul(&b)
}

func publicOf(d *secp256k1.ModNScalar) P256KPublicKey {
	point := baseMult(d)
	return P256KPublicKey{*secp256k1.NewPublicKey(&point.X, &point.Y)}
}

// randomScalar is uniform in 1 to n-1, by rejection.
func randomScalar() secp256k1.ModNScalar {
	for {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		var s secp256k1.ModNScalar
		overflow := s.SetBytes(&b)
		clear(b[:])
		if overflow == 0 && !s.IsZero() {
			return s
		}
	}
}
