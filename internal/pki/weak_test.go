package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os/exec"
	"testing"
	"time"
)

var one = big.NewInt(1)

// rsaOf is the key of two primes, or of what is taken for them, without the checks of
// crypto/rsa; d is made of e unless it is given.
func rsaOf(t testing.TB, p, q *big.Int, e int64, d *big.Int) *rsa.PrivateKey {
	t.Helper()
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	if d == nil {
		if d = new(big.Int).ModInverse(big.NewInt(e), phi); d == nil {
			t.Fatal("e has no inverse")
		}
	}
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e)}, D: d, Primes: []*big.Int{p, q}}
}

func aPrime(t testing.TB, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nextPrime is the first prime from n on for which e = 65537 has an inverse.
func nextPrime(n *big.Int) *big.Int {
	n = new(big.Int).SetBit(n, 0, 1)
	for ; !n.ProbablyPrime(10) || new(big.Int).Mod(n, big.NewInt(65537)).Cmp(one) == 0; n.Add(n, big.NewInt(2)) {
	}
	return n
}

// rocaPrime is a prime as the broken generator made those of 1024 bits (Nemec and
// others, section 2): k*M + (65537^a mod M), M the product of the first 126 primes.
func rocaPrime(t testing.TB) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for n, count := int64(2), 0; count < 126; n++ {
		if big.NewInt(n).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(n))
			count++
		}
	}
	for {
		a, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		low := new(big.Int).Exp(big.NewInt(65537), a, m)
		k, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, uint(1024-m.BitLen())))
		if err != nil {
			t.Fatal(err)
		}
		p := k.Mul(k.SetBit(k, 1023-m.BitLen(), 1), m)
		if p.Add(p, low); p.BitLen() == 1024 && p.Bit(1022) == 1 && p.ProbablyPrime(10) {
			return p
		}
	}
}

func TestWeakKeysAreNamed(t *testing.T) {
	p, q := aPrime(t, 1024), aPrime(t, 1024)
	good := rsaOf(t, p, q, 65537, nil)
	near := nextPrime(new(big.Int).Add(p, new(big.Int).Lsh(one, 900)))
	beside := nextPrime(new(big.Int).Add(p, big.NewInt(2)))
	product := new(big.Int).Mul(aPrime(t, 512), aPrime(t, 512))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	scalar := func(bits uint) crypto.Signer {
		raw := new(big.Int).Lsh(one, bits).FillBytes(make([]byte, 32))
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k1, err := ParseRawP256KPrivateKey(big.NewInt(77).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  crypto.Signer
		want error
	}{
		"good":              {good, nil},
		"exponent 3":        {&rsa.PrivateKey{PublicKey: rsa.PublicKey{N: good.N, E: 3}, D: good.D, Primes: good.Primes}, nil}, // see CheckExponent
		"ROCA":              {rsaOf(t, rocaPrime(t), rocaPrime(t), 65537, nil), errROCA},
		"the same primes":   {rsaOf(t, p, p, 65537, nil), errSamePrimes},
		"primes in a row":   {rsaOf(t, p, beside, 65537, nil), errClosePrimes},
		"close primes":      {rsaOf(t, p, near, 65537, nil), errClosePrimes},
		"not prime":         {rsaOf(t, p, product, 65537, nil), errNotPrime},
		"small d":           {rsaOf(t, p, q, 65537, new(big.Int).Lsh(one, 500)), errSmallD},
		"d below the bound": {rsaOf(t, p, q, 65537, new(big.Int).Lsh(one, 1023)), errSmallD},
		"EC":                {ec, nil},
		"a scalar of 129":   {scalar(128), nil},
		"a scalar of 128":   {scalar(127), errSmallScalar},
		"P-256K":            {k1, errSmallScalar},
	} {
		if err := CheckStrength(c.key); err != c.want {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		n    *big.Int
		want error
	}{
		"ROCA":            {new(big.Int).Mul(rocaPrime(t), rocaPrime(t)), errROCA},
		"a factor":        {new(big.Int).Mul(big.NewInt(167), aPrime(t, 2041)), errSmallFactor},
		"primes in a row": {new(big.Int).Mul(p, beside), errClosePrimes},
		"a square":        {new(big.Int).Mul(p, p), errClosePrimes},
		"good":            {good.N, nil},
	} {
		if err := CheckPublicStrength(&rsa.PublicKey{N: c.n, E: 65537}); err != c.want {
			t.Errorf("public, %s: got %v, want %v", name, err, c.want)
		}
	}
	for e, want := range map[int]error{3: errSmallE, 65535: errSmallE, 65537: nil, 65539: nil} {
		if err := CheckExponent(&rsa.PublicKey{N: good.N, E: e}); err != want {
			t.Errorf("e = %d: got %v, want %v", e, err, want)
		}
	}
}

// The check is no burden beside what an import costs, and refuses nobody's good key.
func TestGoodKeysOfOpenSSLAreStrong(t *testing.T) {
	for _, bits := range []string{"2048", "3072", "4096"} {
		out, err := exec.Command("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:"+bits).Output()
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(out)
		k, err := ParsePKCS8(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		if err := CheckStrength(k); err != nil {
			t.Errorf("%s: %v", bits, err)
		}
		t.Logf("%s bits: %v", bits, time.Since(started))
	}
}

// What crypto/rsa refuses without a name has one, of whatever form the key comes in.
func TestWeakNumbersAreNamedInEveryForm(t *testing.T) {
	p := aPrime(t, 1024)
	beside := nextPrime(new(big.Int).Add(p, big.NewInt(2)))
	for name, c := range map[string]struct {
		key  *rsa.PrivateKey
		want error
	}{
		"the same primes": {rsaOf(t, p, p, 65537, nil), errSamePrimes},
		"primes in a row": {rsaOf(t, p, beside, 65537, nil), errClosePrimes},
		"small d":         {rsaOf(t, p, aPrime(t, 1024), 65537, big.NewInt(12345)), errSmallD},
	} {
		k := c.key
		q := k.Primes[1]
		if _, err := (RSAComponents{N: k.N.Bytes(), E: []byte{1, 0, 1}, D: k.D.Bytes(), P: p.Bytes(), Q: q.Bytes()}).Key(); err != c.want {
			t.Errorf("%s, numbers: got %v, want %v", name, err, c.want)
		}
		inner, err := asn1.Marshal(struct {
			Version                   int
			N, E, D, P, Q, DP, DQ, QI *big.Int
		}{0, k.N, big.NewInt(65537), k.D, p, q, big.NewInt(1), big.NewInt(1), big.NewInt(1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseRSAPrivate(inner); err != c.want {
			t.Errorf("%s, DER: got %v, want %v", name, err, c.want)
		}
	}
}
