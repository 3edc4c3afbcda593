package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"math/big"
	"sync"
)

// WeakKeyError is a key that others can compute the private half of, or that comes
// close to it.
type WeakKeyError struct {
	Weakness string // what is the matter, as the end of a sentence that begins with the key
}

func (e *WeakKeyError) Error() string {
	return e.Weakness + ": make a new key, and do not use this one"
}

// The weaknesses of RSA keys. There is no list of known keys (CVE-2008-0166) among
// them: no module that carries one can be had.
var (
	errROCA        = &WeakKeyError{"its primes are those of a broken generator, and can be computed from the modulus (ROCA, CVE-2017-15361)"}
	errSmallFactor = &WeakKeyError{"its modulus has a small factor"}
	errSamePrimes  = &WeakKeyError{"its primes p and q are the same"}
	errClosePrimes = &WeakKeyError{"its primes p and q are close together, and can be computed from the modulus (Fermat's method)"}
	errNotPrime    = &WeakKeyError{"p or q is not a prime"}
	errSmallD      = &WeakKeyError{"its private exponent d is too small, and can be computed from the public key (Wiener's method)"}
	errSmallE      = &WeakKeyError{"its public exponent e is smaller than 65537"}
	errSmallScalar = &WeakKeyError{"its private scalar is too small to be secret"}
)

// minExponent is the smallest public exponent of FIPS 186-5, section 5.1.
const minExponent = 65537

// CheckStrength refuses a private key whose numbers belong together, and which is weak
// all the same, as a *WeakKeyError. It looks at what FIPS 186-5 asks of RSA keys
// (appendix A.1.1) but for the public exponent, at what CheckPublicStrength looks at,
// and at scalars that can be searched for. It takes at most some milliseconds.
func CheckStrength(key crypto.Signer) error {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return checkRSA(k)
	case *ecdsa.PrivateKey:
		raw, err := k.Bytes()
		if err != nil {
			return err
		}
		return checkScalar(raw)
	case *P256KPrivateKey:
		return checkScalar(k.Bytes())
	}
	return CheckPublicStrength(key.Public())
}

// checkScalar wants more than half the bits of the field: to find n bits takes 2^(n/2)
// steps, and a scalar that is made as it should be has fewer once in 2^(n/2) keys.
func checkScalar(raw []byte) error {
	defer clear(raw)
	for _, b := range raw[:len(raw)/2] {
		if b != 0 {
			return nil
		}
	}
	return errSmallScalar
}

func checkRSA(k *rsa.PrivateKey) error {
	if len(k.Primes) != 2 {
		return ErrKeyType
	}
	p, q := k.Primes[0], k.Primes[1]
	if err := weakNumbers(k.N, k.D, p, q); err != nil {
		return err
	}
	if err := checkResidues(k.N); err != nil {
		return err
	}
	if !likelyPrime(p) || !likelyPrime(q) {
		return errNotPrime
	}
	return nil
}

// weakNumbers names what crypto/rsa refuses as it refuses numbers that do not belong
// together.
func weakNumbers(n, d, p, q *big.Int) error {
	half := n.BitLen() / 2
	distance := new(big.Int).Sub(p, q)
	switch {
	case distance.Sign() == 0:
		return errSamePrimes
	case distance.BitLen() <= half-100:
		return errClosePrimes
	case d.BitLen() <= half:
		return errSmallD
	}
	return nil
}

// likelyPrime is Fermat's test to the base 2. It finds what a generator took for a prime
// by mistake; who makes a number that passes on purpose weakens a key that is his own.
func likelyPrime(p *big.Int) bool {
	less := new(big.Int).Sub(p, big.NewInt(1))
	return new(big.Int).Exp(big.NewInt(2), less, p).Cmp(big.NewInt(1)) == 0
}

// CheckPublicStrength refuses a public key that gives its private key away, as a
// *WeakKeyError: primes of the ROCA generator, small factors, primes close together.
func CheckPublicStrength(pub crypto.PublicKey) error {
	k, ok := pub.(*rsa.PublicKey)
	if !ok {
		return nil // a point on the curve shows nothing
	}
	if err := checkResidues(k.N); err != nil {
		return err
	}
	if fermat(k.N) {
		return errClosePrimes
	}
	return nil
}

// CheckExponent refuses a public exponent below 65537, as a *WeakKeyError.
func CheckExponent(pub crypto.PublicKey) error {
	if k, ok := pub.(*rsa.PublicKey); ok && k.E < minExponent {
		return errSmallE
	}
	return nil
}

// A prime of the ROCA generator is a power of 65537 modulo each of many small primes
// (Nemec and others, The Return of Coppersmith's Attack, CCS 2017, section 2), and so
// is the product of two. The primes below are in use whatever the size of the key;
// another modulus passes all of them once in 2^27 keys.
var rocaPrimes = []uint64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// powers are, for each of these primes, the residues that are powers of 65537.
var powers = sync.OnceValue(func() []map[uint64]bool {
	all := make([]map[uint64]bool, len(rocaPrimes))
	for i, r := range rocaPrimes {
		all[i] = map[uint64]bool{}
		for x := uint64(1); !all[i][x]; x = x * 65537 % r {
			all[i][x] = true
		}
	}
	return all
})

func checkResidues(n *big.Int) error {
	roca := true
	var mod, prime big.Int
	for i, r := range rocaPrimes {
		rest := mod.Mod(n, prime.SetUint64(r)).Uint64()
		if rest == 0 {
			return errSmallFactor
		}
		roca = roca && powers()[i][rest]
	}
	if roca {
		return errROCA
	}
	return nil
}

// fermatRounds is how often Fermat's method is tried; the CA/Browser Forum asks for a
// hundred (Baseline Requirements, 6.1.1.3).
const fermatRounds = 100

// fermat tells whether n is a product of two numbers so close that Fermat's method
// finds them.
func fermat(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	var square, rest, root big.Int
	if square.Mul(a, a).Cmp(n) == 0 {
		return true
	}
	for range fermatRounds {
		a.Add(a, big.NewInt(1))
		rest.Sub(square.Mul(a, a), n)
		// Of numbers modulo 64 only twelve are squares; roots are dear.
		if low := rest.Bits(); squares[uint64(low[0])%64] && root.Mul(root.Sqrt(&rest), &root).Cmp(&rest) == 0 {
			return true
		}
	}
	return false
}

// squares are the residues of squares modulo 64.
var squares = map[uint64]bool{0: true, 1: true, 4: true, 9: true, 16: true, 17: true, 25: true, 33: true, 36: true, 41: true, 49: true, 57: true}
