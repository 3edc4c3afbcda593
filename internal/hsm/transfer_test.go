//go:build hsm

package hsm

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"coffer/internal/pki"
)

// transfer wraps a key for a KEK as a customer does (contract keys.md, 9.2), with
// openssl for RFC 5649.
func transfer(t testing.TB, kek crypto.PublicKey, target []byte) []byte {
	t.Helper()
	key := random(32)
	front, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, kek.(*rsa.PublicKey), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return append(front, run(t, target, "openssl", "enc", "-id-aes256-wrap-pad", "-K", hex.EncodeToString(key), "-iv", "A65959A6")...)
}

func TestTransferredKeysArriveAndStay(t *testing.T) {
	k := newHSM(t)
	d, ctx := k.open(), t.Context()
	kek, kekPublic := generate(t, d, rsa2048)
	for _, spec := range append(ecSpecs, rsa2048, pki.KeySpec{Algorithm: pki.RSA, Size: 4096}) {
		private, err := pki.Generate(spec)
		if err != nil {
			t.Fatal(err)
		}
		der, err := pki.MarshalPKCS8(private)
		if err != nil {
			t.Fatal(err)
		}
		id := NewID()
		public, err := d.UnwrapTransfer(ctx, id, kek, transfer(t, kekPublic, der), spec.Algorithm)
		if err != nil || !pki.PublicEqual(public, private.Public()) {
			t.Fatalf("%v: %v", spec, err)
		}
		if spec.Size < 3072 {
			signs(t, d, id, public)
		}
		if err := d.Destroy(ctx, id); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []int{16, 24, 32, 48, 64} {
		raw := random(n)
		id := NewID()
		if _, err := d.UnwrapTransfer(ctx, id, kek, transfer(t, kekPublic, raw), pki.Oct); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		key := d.Secret(id)
		if bits, err := key.Bits(ctx); err != nil || bits != 8*n {
			t.Errorf("%d bytes: %d bits, %v", n, bits, err)
		}
		if n <= 32 {
			judge := imported(t, d, raw)
			want, err := judge.Wrap(ctx, make([]byte, 16))
			got, err2 := key.Wrap(ctx, make([]byte, 16))
			if err != nil || err2 != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: another key: %v, %v", n, err, err2)
			}
		}
		if n >= 32 {
			judge := hmac.New(sha256.New, raw)
			if got, err := key.MAC(ctx, crypto.SHA256, nil); err != nil || !hmac.Equal(got, judge.Sum(nil)) {
				t.Errorf("%d bytes: another key: %v", n, err)
			}
		}
	}
	if strings.Contains(k.objects(), "Access:     extractable") {
		t.Errorf("pkcs11-tool sees\n%s", k.objects())
	}
}

func TestWrongTransfersAreRefused(t *testing.T) {
	k := newHSM(t)
	d, ctx := k.open(), t.Context()
	kek, kekPublic := generate(t, d, rsa2048)
	_, other := generate(t, d, rsa2048)
	der := func(key crypto.Signer) []byte {
		b, err := pki.MarshalPKCS8(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ec, err := pki.Generate(ecSpecs[0])
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(algorithm, option string) []byte {
		pem := run(t, nil, "openssl", "genpkey", "-algorithm", algorithm, "-pkeyopt", option)
		return run(t, pem, "openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER")
	}
	small, p224 := pkcs8("RSA", "rsa_keygen_bits:1024"), pkcs8("EC", "ec_paramgen_curve:P-224")
	good := transfer(t, kekPublic, der(ec))
	changed := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	for _, c := range []struct {
		claim string
		blob  []byte
		kind  pki.Algorithm
		want  error
	}{
		{"nothing", nil, pki.EC, ErrRefused},
		{"the front only", good[:256], pki.EC, ErrRefused},
		{"cut", good[:len(good)-8], pki.EC, ErrRefused},
		{"odd", good[:len(good)-1], pki.EC, ErrRefused},
		{"another front", changed(100), pki.EC, ErrRefused},
		{"another end", changed(len(good) - 1), pki.EC, ErrRefused},
		{"for another key", transfer(t, other, der(ec)), pki.EC, ErrRefused},
		{"far too long", make([]byte, maxTransfer+8), pki.EC, ErrRefused},
		{"no PKCS#8", transfer(t, kekPublic, random(100)), pki.EC, ErrRefused},
		{"no PKCS#8 either", transfer(t, kekPublic, random(100)), pki.RSA, ErrRefused},
		{"EC called RSA", good, pki.RSA, ErrRefused},
		{"too small", transfer(t, kekPublic, small), pki.RSA, pki.ErrKeyType},
		{"P-224", transfer(t, kekPublic, p224), pki.EC, pki.ErrKeyType},
		{"no size of AES", transfer(t, kekPublic, random(40)), pki.Oct, pki.ErrKeyType},
		{"not quite AES", transfer(t, kekPublic, random(20)), pki.Oct, ErrRefused},
		{"not quite 256 bits", transfer(t, kekPublic, random(29)), pki.Oct, ErrRefused},
		{"not quite 512 bits", transfer(t, kekPublic, random(60)), pki.Oct, ErrRefused},
		{"e is 1", transfer(t, kekPublic, rsaPKCS8(t, func(k *rsaNumbers) { k.E, k.D = big.NewInt(1), big.NewInt(1) })), pki.RSA, ErrRefused},
		{"e is even", transfer(t, kekPublic, rsaPKCS8(t, func(k *rsaNumbers) { k.E = big.NewInt(65536) })), pki.RSA, ErrRefused},
		{"e is negative", transfer(t, kekPublic, rsaPKCS8(t, func(k *rsaNumbers) { k.E = big.NewInt(-3) })), pki.RSA, ErrRefused},
		{"e is long", transfer(t, kekPublic, rsaPKCS8(t, func(k *rsaNumbers) { k.E = new(big.Int).Lsh(big.NewInt(1), 70) })), pki.RSA, pki.ErrKeyType},
		{"another d", transfer(t, kekPublic, rsaPKCS8(t, func(k *rsaNumbers) { k.D = big.NewInt(3); k.Dp = k.D; k.Dq = k.D })), pki.RSA, ErrRefused},
		{"another n", transfer(t, kekPublic, rsaPKCS8(t, func(k *rsaNumbers) { k.N = new(big.Int).Add(k.N, big.NewInt(2)) })), pki.RSA, ErrRefused},
		{"another kind", good, "DSA", pki.ErrKeyType},
	} {
		id := NewID()
		if _, err := d.UnwrapTransfer(ctx, id, kek, c.blob, c.kind); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.claim, err)
		}
		if err := d.Destroy(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.UnwrapTransfer(ctx, NewID(), NewID(), good, pki.EC); !errors.Is(err, ErrNoKey) {
		t.Errorf("no KEK: %v", err)
	}
	if n := strings.Count(k.objects(), "Object"); n != 2 {
		t.Errorf("the KEKs only should be left:\n%s", k.objects())
	}
	if n := k.lines("level=ERROR"); n != 0 {
		t.Errorf("the log:\n%s", k.log.String())
	}
}

// rsaNumbers is an RSAPrivateKey (RFC 8017, A.1.2).
type rsaNumbers struct {
	Version                     int
	N, E, D, P, Q, Dp, Dq, Qinv *big.Int
}

// rsaPKCS8 is an RSA key with other numbers than belong to it.
func rsaPKCS8(t testing.TB, change func(*rsaNumbers)) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n := &rsaNumbers{0, key.N, big.NewInt(int64(key.E)), key.D, key.Primes[0], key.Primes[1], key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv}
	change(n)
	inner, err := asn1.Marshal(*n)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}, inner})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Both candidates of a signature, and none for nonsense.
func TestPublicKeysAreRecovered(t *testing.T) {
	for _, spec := range ecSpecs {
		key, err := pki.Generate(spec)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			digest := random(32)
			raw, err := pki.SignRaw(key, digest)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, candidate := range recoverPublic(spec.Curve, digest, raw) {
				if !pki.VerifyRaw(candidate, digest, raw) {
					t.Errorf("%s: a candidate does not verify", spec.Curve)
				}
				found = found || pki.PublicEqual(candidate, key.Public())
			}
			if !found {
				t.Errorf("%s: the key is not among the candidates", spec.Curve)
			}
		}
		for _, raw := range [][]byte{nil, make([]byte, 64), make([]byte, 96), make([]byte, 132)} {
			if got := recoverPublic(spec.Curve, random(32), raw); len(got) != 0 {
				t.Errorf("%s: %d keys of nothing", spec.Curve, len(got))
			}
		}
	}
}
