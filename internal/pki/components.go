package pki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"math/big"
)

// RSAComponents are the numbers of a private RSA key (RFC 7518, section 6.3),
// big-endian; leading zeros do not count. DP, DQ and QI may be nil.
type RSAComponents struct{ N, E, D, P, Q, DP, DQ, QI []byte }

// maxExponent is the largest public exponent that crypto/rsa computes with.
const maxExponent = 1<<31 - 1

var errRSAParts = errors.New("the numbers do not make up an RSA private key")

// Key checks that the numbers belong together: P and Q multiply to N, D is the
// inverse of E, and the others are what follows from these. ErrKeyType reports a
// size that is not supported, a *WeakKeyError primes or an exponent that give the key away. Errors never
// repeat any of the key.
func (c RSAComponents) Key() (*rsa.PrivateKey, error) {
	number := func(b []byte) *big.Int {
		if b = bytes.TrimLeft(b, "\x00"); len(b) > maxRSABits/8 {
			return new(big.Int) // which no number of a key is
		}
		return new(big.Int).SetBytes(b)
	}
	n, e := number(c.N), number(c.E)
	if !rsaSizeSupported(n.BitLen()) {
		return nil, ErrKeyType
	}
	if !e.IsInt64() || e.Int64() < 3 || e.Int64() > maxExponent || e.Bit(0) == 0 {
		return nil, errRSAParts
	}
	p, q := number(c.P), number(c.Q)
	// Two primes of half the size each: what else multiplies to N is no key that
	// anybody makes on purpose, and costs more to compute with.
	if half := n.BitLen() / 2; p.BitLen() != half || q.BitLen() != half {
		return nil, errRSAParts
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e.Int64())}, D: number(c.D), Primes: []*big.Int{p, q}}
	if key.D.Sign() == 0 || key.D.Cmp(n) >= 0 || new(big.Int).Mul(p, q).Cmp(n) != 0 {
		return nil, errRSAParts
	}
	if err := weakNumbers(n, key.D, p, q); err != nil {
		return nil, err
	}
	if err := key.Validate(); err != nil {
		return nil, errRSAParts
	}
	key.Precompute()
	for _, part := range []struct {
		given []byte
		is    *big.Int
	}{{c.DP, key.Precomputed.Dp}, {c.DQ, key.Precomputed.Dq}, {c.QI, key.Precomputed.Qinv}} {
		if part.given != nil && number(part.given).Cmp(part.is) != 0 {
			return nil, errRSAParts
		}
	}
	return key, nil
}

// ECComponents are a private EC key (RFC 7518, section 6.2), big-endian; what is
// shorter or longer than the field by zeros in front is taken all the same.
type ECComponents struct {
	Curve   Curve
	X, Y, D []byte
}

// Key checks that the point is on the curve and that of the scalar. ErrKeyType
// reports a curve that is not supported.
func (c ECComponents) Key() (crypto.Signer, error) {
	spec, err := CurveSpec(c.Curve)
	if err != nil {
		return nil, err
	}
	curve, err := curveBySpec(spec)
	if err != nil {
		return nil, err
	}
	ok := true
	field := func(b []byte) []byte {
		b = bytes.TrimLeft(b, "\x00")
		out := make([]byte, curve.octets())
		if len(b) > len(out) {
			ok = false
			return out
		}
		copy(out[len(out)-len(b):], b)
		return out
	}
	point := append([]byte{4}, append(field(c.X), field(c.Y)...)...)
	scalar := field(c.D)
	defer clear(scalar)
	if !ok {
		return nil, errors.New("a number is larger than the field of the curve")
	}
	key, err := newECPrivate(curve, scalar)
	if err != nil {
		return nil, err
	}
	public, err := newECPublic(curve, point)
	if err != nil {
		return nil, err
	}
	if !PublicEqual(public, key.Public()) {
		return nil, errors.New("EC private key does not match its public point")
	}
	return key, nil
}
