package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
)

var someRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := Generate(KeySpec{Algorithm: RSA, Size: 2048})
	if err != nil {
		panic(err)
	}
	return k.(*rsa.PrivateKey)
})

func componentsOf(k *rsa.PrivateKey) RSAComponents {
	return RSAComponents{
		N: k.N.Bytes(), E: big.NewInt(int64(k.E)).Bytes(), D: k.D.Bytes(), P: k.Primes[0].Bytes(), Q: k.Primes[1].Bytes(),
		DP: k.Precomputed.Dp.Bytes(), DQ: k.Precomputed.Dq.Bytes(), QI: k.Precomputed.Qinv.Bytes(),
	}
}

func TestRSAComponents(t *testing.T) {
	want := someRSA()
	add := func(b []byte, n int64) []byte {
		return new(big.Int).Add(new(big.Int).SetBytes(b), big.NewInt(n)).Bytes()
	}
	for _, c := range []struct {
		claim  string
		change func(c *RSAComponents)
		ok     bool
	}{
		{"all", func(*RSAComponents) {}, true},
		{"without what follows", func(c *RSAComponents) { c.DP, c.DQ, c.QI = nil, nil, nil }, true},
		{"leading zeros", func(c *RSAComponents) {
			for _, b := range []*[]byte{&c.N, &c.E, &c.D, &c.P, &c.Q, &c.DP, &c.DQ, &c.QI} {
				*b = append([]byte{0, 0}, *b...)
			}
		}, true},
		{"primes the other way round", func(c *RSAComponents) { c.P, c.Q, c.DP, c.DQ, c.QI = c.Q, c.P, c.DQ, c.DP, nil }, true},
		{"another modulus", func(c *RSAComponents) { c.N = add(c.N, 2) }, false},
		{"another exponent", func(c *RSAComponents) { c.E = []byte{1, 0, 3} }, false},
		{"an even exponent", func(c *RSAComponents) { c.E = []byte{1, 0, 0} }, false},
		{"exponent one", func(c *RSAComponents) { c.E = []byte{1} }, false},
		{"no exponent", func(c *RSAComponents) { c.E = nil }, false},
		{"a large exponent", func(c *RSAComponents) { c.E = bytes.Repeat([]byte{255}, 9) }, false},
		{"another private exponent", func(c *RSAComponents) { c.D = add(c.D, 2) }, false},
		{"no private exponent", func(c *RSAComponents) { c.D = []byte{0} }, false},
		{"another prime", func(c *RSAComponents) { c.P = add(c.P, 2) }, false},
		{"one prime twice", func(c *RSAComponents) { c.Q = c.P }, false},
		{"primes 1 and n", func(c *RSAComponents) { c.P, c.Q = []byte{1}, c.N }, false},
		{"another dp", func(c *RSAComponents) { c.DP = add(c.DP, 1) }, false},
		{"another dq", func(c *RSAComponents) { c.DQ = add(c.DQ, 1) }, false},
		{"another qi", func(c *RSAComponents) { c.QI = add(c.QI, 1) }, false},
		{"an empty qi", func(c *RSAComponents) { c.QI = []byte{} }, false},
		{"a megabyte of d", func(c *RSAComponents) { c.D = bytes.Repeat([]byte{255}, 1<<20) }, false},
		{"nothing", func(c *RSAComponents) { *c = RSAComponents{N: c.N} }, false},
	} {
		parts := componentsOf(want)
		c.change(&parts)
		got, err := parts.Key()
		if c.ok && (err != nil || !want.PublicKey.Equal(&got.PublicKey) || want.D.Cmp(got.D) != 0) {
			t.Errorf("%s: %v", c.claim, err)
		}
		if !c.ok && (err == nil || strings.ContainsAny(err.Error(), "0123456789")) {
			t.Errorf("%s: %v", c.claim, err)
		}
	}
	for _, bits := range []int{0, 8, 1024, 2047, 2049, 8192, 1 << 20} {
		c := RSAComponents{N: new(big.Int).SetBit(new(big.Int), max(bits-1, 0), 1).Bytes()}
		if _, err := c.Key(); !errors.Is(err, ErrKeyType) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

// Two factors that multiply to n and have an inverse of e each, but are no
// primes: what comes of such a key does not decrypt.
func TestRSAComponentsWantPrimes(t *testing.T) {
	one := big.NewInt(1)
	e := big.NewInt(65537)
	odd := func(bit int) *big.Int { // 1024 bits, with 3 in it; far from one another
		p := new(big.Int).SetBit(big.NewInt(1), 1023, 1)
		p.SetBit(p, 1022, 1).SetBit(p, bit, 1)
		for new(big.Int).Mod(p, big.NewInt(3)).Sign() != 0 || new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) != 0 {
			p.Add(p, big.NewInt(2))
		}
		return p
	}
	p, q := odd(1021), odd(1020)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	c := RSAComponents{N: new(big.Int).Mul(p, q).Bytes(), E: e.Bytes(), D: new(big.Int).ModInverse(e, phi).Bytes(), P: p.Bytes(), Q: q.Bytes()}
	if _, err := c.Key(); err == nil || errors.Is(err, ErrKeyType) {
		t.Errorf("got %v", err)
	}
}

func TestECComponents(t *testing.T) {
	for _, curve := range []Curve{P256, P384, P521, P256K} {
		spec, err := CurveSpec(curve)
		if err != nil {
			t.Fatal(err)
		}
		key, err := Generate(spec)
		if err != nil {
			t.Fatal(err)
		}
		var point, d []byte
		switch k := key.(type) {
		case *ecdsa.PrivateKey:
			if point, err = k.PublicKey.Bytes(); err != nil {
				t.Fatal(err)
			}
			if d, err = k.Bytes(); err != nil {
				t.Fatal(err)
			}
		case *P256KPrivateKey:
			point, d = k.Public().(*P256KPublicKey).Bytes(), k.Bytes()
		}
		half := len(point) / 2
		x, y := point[1:1+half], point[1+half:]
		wrong := append([]byte{}, y...)
		wrong[len(wrong)-1] ^= 1
		for _, c := range []struct {
			claim   string
			curve   Curve
			x, y, d []byte
			ok      bool
		}{
			{"all", curve, x, y, d, true},
			{"without leading zeros", curve, bytes.TrimLeft(x, "\x00"), bytes.TrimLeft(y, "\x00"), bytes.TrimLeft(d, "\x00"), true},
			{"with more of them", curve, append([]byte{0}, x...), append([]byte{0}, y...), append([]byte{0}, d...), true},
			{"off the curve", curve, x, wrong, d, false},
			{"another point", curve, y, x, d, false},
			{"another scalar", curve, x, y, append([]byte{}, d[:len(d)-1]...), false},
			{"no scalar", curve, x, y, nil, false},
			{"a scalar of all ones", curve, x, y, bytes.Repeat([]byte{255}, len(d)), false},
			{"too long", curve, append([]byte{1}, x...), y, d, false},
			{"no point", curve, nil, nil, d, false},
			{"an unknown curve", "P-224", x, y, d, false},
		} {
			got, err := ECComponents{c.curve, c.x, c.y, c.d}.Key()
			if c.ok != (err == nil) || c.ok && !PublicEqual(got.Public(), key.Public()) {
				t.Errorf("%s, %s: %v", curve, c.claim, err)
			}
		}
	}
}
