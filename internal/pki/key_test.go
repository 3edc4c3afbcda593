package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"coffer/internal/pki"
)

func TestGenerateGivesTheKindAskedFor(t *testing.T) {
	for _, spec := range allSpecs {
		t.Run(specName(spec), func(t *testing.T) {
			key := keyFor(t, spec)
			got, err := pki.SpecOf(key.Public())
			if err != nil || got != spec {
				t.Errorf("SpecOf = %v, %v; want %v", got, err, spec)
			}
			other, err := pki.Generate(p256k)
			if err != nil {
				t.Fatal(err)
			}
			if !pki.PublicEqual(key.Public(), key.Public()) || pki.PublicEqual(key.Public(), other.Public()) {
				t.Error("PublicEqual does not tell two keys apart")
			}
		})
	}
}

func TestGenerateRefusesOtherSpecs(t *testing.T) {
	for _, spec := range []pki.KeySpec{
		{}, {Algorithm: pki.RSA}, {Algorithm: pki.RSA, Size: 1024}, {Algorithm: pki.RSA, Size: 8192},
		{Algorithm: pki.RSA, Size: 2048, Curve: pki.P256}, {Algorithm: pki.EC, Size: 256},
		{Algorithm: pki.EC, Size: 384, Curve: pki.P256}, {Algorithm: pki.EC, Size: 224, Curve: "P-224"},
		{Algorithm: "oct", Size: 256},
	} {
		if key, err := pki.Generate(spec); !errors.Is(err, pki.ErrKeyType) || key != nil {
			t.Errorf("Generate(%v) = %T, %v; want ErrKeyType", spec, key, err)
		}
	}
}

func TestSpecOfRefusesOtherKeys(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]crypto.PublicKey{
		"nil":       nil,
		"nil RSA":   (*rsa.PublicKey)(nil),
		"empty RSA": &rsa.PublicKey{},
		"RSA 1024":  &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 3},
		"nil P256K": (*pki.P256KPublicKey)(nil),
		"Ed25519":   ed,
		"P-224":     p224.Public(),
	} {
		if spec, err := pki.SpecOf(pub); !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("%s: SpecOf = %v, %v; want ErrKeyType", name, spec, err)
		}
		if pki.PublicEqual(pub, pub) {
			t.Errorf("%s: PublicEqual is true of an unsupported key", name)
		}
	}
}

func TestKeysRoundTripThroughOpenSSL(t *testing.T) {
	for _, spec := range allSpecs {
		t.Run(specName(spec), func(t *testing.T) {
			key := keyFor(t, spec)
			der, err := pki.MarshalPKCS8(key)
			if err != nil {
				t.Fatal(err)
			}
			openssl(t, der, "pkey", "-inform", "DER", "-check", "-noout")
			spki, err := pki.MarshalPublic(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if want := openssl(t, der, "pkey", "-inform", "DER", "-pubout", "-outform", "DER"); !bytes.Equal(spki, want) {
				t.Error("MarshalPublic differs from openssl's")
			}
			pub, err := pki.ParsePublic(spki)
			if err != nil || !pki.PublicEqual(pub, key.Public()) {
				t.Errorf("ParsePublic gives another key: %v", err)
			}
			// PEM and back through openssl, which writes its own PKCS#8.
			rewritten := openssl(t, der, "pkcs8", "-inform", "DER", "-topk8", "-nocrypt", "-outform", "DER")
			for _, in := range [][]byte{der, rewritten} {
				back, err := pki.ParsePKCS8(in)
				if err != nil {
					t.Fatal(err)
				}
				if !back.(interface{ Equal(crypto.PrivateKey) bool }).Equal(key) {
					t.Error("ParsePKCS8 gives another key")
				}
			}
		})
	}
}

func TestParsePKCS8RefusesOtherKinds(t *testing.T) {
	for name, args := range map[string][]string{
		"RSA 1024":            {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"},
		"RSA of three primes": {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3"},
		"RSA-PSS":             {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
		"Ed25519":             {"-algorithm", "ED25519"},
		"P-224":               {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"},
		"brainpool":           {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"},
	} {
		t.Run(name, func(t *testing.T) {
			generated := openssl(t, nil, append([]string{"genpkey"}, args...)...)
			der := openssl(t, generated, "pkcs8", "-topk8", "-nocrypt", "-outform", "DER")
			if key, err := pki.ParsePKCS8(der); !errors.Is(err, pki.ErrKeyType) {
				t.Errorf("ParsePKCS8 = %T, %v; want ErrKeyType", key, err)
			}
			spki := openssl(t, der, "pkey", "-inform", "DER", "-pubout", "-outform", "DER")
			if pub, err := pki.ParsePublic(spki); !errors.Is(err, pki.ErrKeyType) && name != "RSA of three primes" {
				t.Errorf("ParsePublic = %T, %v; want ErrKeyType", pub, err)
			}
		})
	}
}

type pkcs8 struct {
	Version    int
	Algorithm  algorithmIdentifier
	PrivateKey []byte
}

type algorithmIdentifier struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.ObjectIdentifier `asn1:"optional"`
}

type ecPrivateKey struct {
	Version    int
	PrivateKey []byte
	Parameters asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
	PublicKey  asn1.BitString        `asn1:"optional,explicit,tag:1"`
}

type rsaPrivateKey struct {
	Version             int
	N, E, D, P, Q       *big.Int
	DModP, DModQ, QInvP *big.Int
}

var (
	oidRSA       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC        = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidP256      = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidSecp256k1 = asn1.ObjectIdentifier{1, 3, 132, 0, 10}
)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// The order of secp256k1 (SEC 2, 2.4.1).
const secp256k1Order = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	n, ok := new(big.Int).SetString(s, 16)
	if !ok {
		t.Fatalf("not hexadecimal: %s", s)
	}
	return n.FillBytes(make([]byte, 32))
}

func TestParsePKCS8ChecksECKeys(t *testing.T) {
	std, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := asn1.BitString{Bytes: std.PublicKey().Bytes(), BitLength: 65 * 8}
	other := asn1.BitString{Bytes: append([]byte{4}, bytes.Repeat([]byte{7}, 64)...), BitLength: 65 * 8}
	otherPub, err := keyFor(t, p256).Public().(*ecdsa.PublicKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	mismatch := asn1.BitString{Bytes: otherPub.Bytes(), BitLength: 65 * 8}
	for _, tc := range []struct {
		name  string
		curve asn1.ObjectIdentifier
		key   ecPrivateKey
		want  string // "" for success
	}{
		{"bare scalar", oidP256, ecPrivateKey{Version: 1, PrivateKey: std.Bytes()}, ""},
		{"with point", oidP256, ecPrivateKey{Version: 1, PrivateKey: std.Bytes(), PublicKey: point}, ""},
		{"with curve", oidP256, ecPrivateKey{Version: 1, PrivateKey: std.Bytes(), Parameters: oidP256}, ""},
		{"scalar with zeros in front", oidP256, ecPrivateKey{Version: 1, PrivateKey: append([]byte{0, 0}, std.Bytes()...)}, ""},
		{"short scalar", oidSecp256k1, ecPrivateKey{Version: 1, PrivateKey: []byte{7}}, ""},
		{"two curves", oidP256, ecPrivateKey{Version: 1, PrivateKey: std.Bytes(), Parameters: oidSecp256k1}, "EC private key names two curves"},
		{"another key's point", oidP256, ecPrivateKey{Version: 1, PrivateKey: std.Bytes(), PublicKey: mismatch}, "EC private key does not match its public point"},
		{"point off the curve", oidP256, ecPrivateKey{Version: 1, PrivateKey: std.Bytes(), PublicKey: other}, "P-256: not an uncompressed point on the curve"},
		{"long scalar", oidP256, ecPrivateKey{Version: 1, PrivateKey: append([]byte{1}, std.Bytes()...)}, "malformed PKCS#8 private key"},
		{"zero", oidP256, ecPrivateKey{Version: 1, PrivateKey: make([]byte, 32)}, "EC private scalar is out of range"},
		{"zero", oidSecp256k1, ecPrivateKey{Version: 1, PrivateKey: make([]byte, 32)}, "EC private scalar is out of range"},
		{"the order", oidSecp256k1, ecPrivateKey{Version: 1, PrivateKey: unhex(t, secp256k1Order)}, "EC private scalar is out of range"},
		{"all ones", oidP256, ecPrivateKey{Version: 1, PrivateKey: bytes.Repeat([]byte{0xff}, 32)}, "EC private scalar is out of range"},
		{"version", oidP256, ecPrivateKey{Version: 2, PrivateKey: std.Bytes()}, "malformed PKCS#8 private key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			der := marshal(t, pkcs8{0, algorithmIdentifier{oidEC, tc.curve}, marshal(t, tc.key)})
			key, err := pki.ParsePKCS8(der)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || err.Error() != tc.want || key != nil {
				t.Errorf("ParsePKCS8 = %T, %v; want %q", key, err, tc.want)
			}
		})
	}
}

func TestParsePKCS8ChecksRSAKeys(t *testing.T) {
	good := keyFor(t, rsa2048).(*rsa.PrivateKey)
	one := big.NewInt(1)
	plain := func() rsaPrivateKey {
		return rsaPrivateKey{0, good.N, big.NewInt(int64(good.E)), good.D, good.Primes[0], good.Primes[1],
			good.Precomputed.Dp, good.Precomputed.Dq, good.Precomputed.Qinv}
	}
	for name, spoil := range map[string]func(*rsaPrivateKey){
		"none":           func(*rsaPrivateKey) {},
		"other modulus":  func(k *rsaPrivateKey) { k.N = new(big.Int).Add(k.N, big.NewInt(2)) },
		"other exponent": func(k *rsaPrivateKey) { k.E = big.NewInt(3) },
		"other d":        func(k *rsaPrivateKey) { k.D = new(big.Int).Add(k.D, big.NewInt(2)) },
		"other p":        func(k *rsaPrivateKey) { k.P = new(big.Int).Add(k.P, big.NewInt(2)) },
		"p is one":       func(k *rsaPrivateKey) { k.P, k.Q = one, k.N },
		"other dP":       func(k *rsaPrivateKey) { k.DModP = new(big.Int).Add(k.DModP, one) },
		"other qInv":     func(k *rsaPrivateKey) { k.QInvP = new(big.Int).Add(k.QInvP, one) },
		"negative d":     func(k *rsaPrivateKey) { k.D = new(big.Int).Neg(k.D) },
		"zero q":         func(k *rsaPrivateKey) { k.Q = new(big.Int) },
		"enormous d":     func(k *rsaPrivateKey) { k.D = new(big.Int).Lsh(one, 60000) },
		"even p":         func(k *rsaPrivateKey) { k.P, k.Q = big.NewInt(2), new(big.Int).Rsh(k.N, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			k := plain()
			spoil(&k)
			_, err := pki.ParsePKCS8(marshal(t, pkcs8{0, algorithmIdentifier{Algorithm: oidRSA}, marshal(t, k)}))
			if (err == nil) != (name == "none") {
				t.Errorf("ParsePKCS8: %v", err)
			}
			if errors.Is(err, pki.ErrKeyType) {
				t.Error("a broken key is not of another kind")
			}
			if err != nil && strings.Contains(err.Error(), k.P.String()) {
				t.Error("the error repeats a prime")
			}
		})
	}
	t.Run("16384 bits", func(t *testing.T) {
		k := plain()
		k.N = new(big.Int).Add(new(big.Int).Lsh(one, 16383), one)
		_, err := pki.ParsePKCS8(marshal(t, pkcs8{0, algorithmIdentifier{Algorithm: oidRSA}, marshal(t, k)}))
		if !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("ParsePKCS8: %v; want ErrKeyType", err)
		}
	})
}

func TestParsersRefuseTruncatedAndTrailingData(t *testing.T) {
	for _, spec := range allSpecs {
		private, err := pki.MarshalPKCS8(keyFor(t, spec))
		if err != nil {
			t.Fatal(err)
		}
		public, err := pki.MarshalPublic(keyFor(t, spec).Public())
		if err != nil {
			t.Fatal(err)
		}
		for i := range private {
			if _, err := pki.ParsePKCS8(private[:i]); err == nil {
				t.Errorf("%s: a private key of %d of %d octets is accepted", specName(spec), i, len(private))
			}
		}
		for i := range public {
			if _, err := pki.ParsePublic(public[:i]); err == nil {
				t.Errorf("%s: a public key of %d of %d octets is accepted", specName(spec), i, len(public))
			}
		}
		if _, err := pki.ParsePKCS8(append(private, 0)); err == nil {
			t.Errorf("%s: trailing data after a private key is accepted", specName(spec))
		}
		if _, err := pki.ParsePublic(append(public, 0)); err == nil {
			t.Errorf("%s: trailing data after a public key is accepted", specName(spec))
		}
	}
	if _, err := pki.ParsePKCS8(make([]byte, 1<<20)); err == nil {
		t.Error("a megabyte is accepted as a private key")
	}
}

func TestMarshalRefusesOtherKeys(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.MarshalPKCS8(ed); !errors.Is(err, pki.ErrKeyType) {
		t.Errorf("MarshalPKCS8(Ed25519): %v", err)
	}
	if _, err := pki.MarshalPKCS8(nil); !errors.Is(err, pki.ErrKeyType) {
		t.Errorf("MarshalPKCS8(nil): %v", err)
	}
	if _, err := pki.MarshalPKCS8(struct{ crypto.Signer }{keyFor(t, p256)}); !errors.Is(err, pki.ErrKeyType) {
		t.Errorf("MarshalPKCS8(a device's key): %v", err)
	}
	if _, err := pki.MarshalPublic(ed.Public()); !errors.Is(err, pki.ErrKeyType) {
		t.Errorf("MarshalPublic(Ed25519): %v", err)
	}
}

func FuzzParsePKCS8(f *testing.F) {
	for _, spec := range []pki.KeySpec{p256, p384, p521, p256k} {
		der, err := pki.MarshalPKCS8(keyFor(f, spec))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := pki.ParsePKCS8(der)
		if err != nil {
			return
		}
		again, err := pki.MarshalPKCS8(key)
		if err != nil {
			t.Fatal(err)
		}
		back, err := pki.ParsePKCS8(again)
		if err != nil || !pki.PublicEqual(key.Public(), back.Public()) {
			t.Fatalf("the key does not survive a round trip: %v", err)
		}
		if _, ok := key.(*pki.P256KPrivateKey); !ok {
			if _, err := x509.ParsePKCS8PrivateKey(again); err != nil {
				t.Fatalf("crypto/x509 refuses what we write: %v", err)
			}
		}
	})
}
