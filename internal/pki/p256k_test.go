package pki_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/cryptotest"

	"coffer/internal/pki"
)

// The base point of secp256k1 (SEC 2, 2.4.1) and its double.
const (
	g  = "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
	g2 = "04c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee51ae168fea63dc339a3c58419466ceaeef7f632653266d0e1236431a950cfe52a"
)

func TestP256KPublicKeyOfKnownScalars(t *testing.T) {
	order, _ := new(big.Int).SetString(secp256k1Order, 16)
	for _, tc := range []struct {
		scalar *big.Int
		x, all string
	}{
		{big.NewInt(1), g[:66], g},
		{big.NewInt(2), g2[:66], g2},
		{new(big.Int).Sub(order, big.NewInt(1)), g[:66], ""}, // -G: the same x
	} {
		key, err := pki.ParseRawP256KPrivateKey(tc.scalar.FillBytes(make([]byte, 32)))
		if err != nil {
			t.Fatal(err)
		}
		got := hex.EncodeToString(key.Public().(*pki.P256KPublicKey).Bytes())
		if !strings.HasPrefix(got, tc.x) || tc.all != "" && got != tc.all {
			t.Errorf("%v·G = %s", tc.scalar, got)
		}
		if !bytes.Equal(key.Bytes(), tc.scalar.FillBytes(make([]byte, 32))) {
			t.Errorf("Bytes = %x", key.Bytes())
		}
	}
}

func TestP256KRefusesBadScalarsAndPoints(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty": nil, "short": {1}, "zero": make([]byte, 32), "order": unhex(t, secp256k1Order), "long": make([]byte, 33),
	} {
		if _, err := pki.ParseRawP256KPrivateKey(data); err == nil {
			t.Errorf("scalar %s is accepted", name)
		}
	}
	point, err := hex.DecodeString(g)
	if err != nil {
		t.Fatal(err)
	}
	off := bytes.Clone(point)
	off[64] ^= 1
	hybrid := bytes.Clone(point)
	hybrid[0] = 6
	for name, data := range map[string][]byte{
		"empty": nil, "infinity": {0}, "off the curve": off, "hybrid": hybrid, "compressed": append([]byte{2}, point[1:33]...),
		"zero": append([]byte{4}, make([]byte, 64)...), "not reduced": append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...),
	} {
		if _, err := pki.ParseUncompressedP256KPublicKey(data); err == nil {
			t.Errorf("point %s is accepted", name)
		}
	}
}

func TestP256KSignaturesVerifyInOpenSSL(t *testing.T) {
	key := keyFor(t, p256k)
	spki, err := pki.MarshalPublic(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := write(t, "public.pem", toPEM("PUBLIC KEY", spki))
	half, _ := new(big.Int).SetString(secp256k1Order, 16)
	half.Rsh(half, 1)
	short, sum256, sum512 := []byte("20 octets of a sum.."), sha256.Sum256([]byte("m")), sha512.Sum512([]byte("m"))
	for i, tc := range []struct {
		digest []byte
		hash   crypto.Hash
	}{
		{sum256[:], crypto.SHA256}, {sum512[:], crypto.SHA512}, {short, crypto.SHA1}, {make([]byte, 32), crypto.SHA256},
		{bytes.Repeat([]byte{0xff}, 32), crypto.SHA256}, {sum256[:], 0},
	} {
		sig, err := key.Sign(nil, tc.digest, tc.hash)
		if err != nil {
			t.Fatal(err)
		}
		openssl(t, tc.digest, "pkeyutl", "-verify", "-pubin", "-inkey", public, "-sigfile", write(t, "sig", sig))
		var rs struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(sig, &rs); err != nil || len(rest) > 0 || rs.S.Cmp(half) > 0 {
			t.Errorf("%d: the signature is not DER with a low s", i)
		}
	}
}

func TestP256KVerifiesOpenSSLSignatures(t *testing.T) {
	key := keyFor(t, p256k).(*pki.P256KPrivateKey)
	pub := key.Public().(*pki.P256KPublicKey)
	der, err := pki.MarshalPKCS8(key)
	if err != nil {
		t.Fatal(err)
	}
	private := write(t, "key.pem", toPEM("PRIVATE KEY", der))
	order, _ := new(big.Int).SetString(secp256k1Order, 16)
	digest := sha256.Sum256([]byte("message"))
	sig := openssl(t, digest[:], "pkeyutl", "-sign", "-inkey", private)
	if !pub.Verify(digest[:], sig) {
		t.Error("openssl's signature does not verify")
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	rs.S.Sub(order, rs.S) // one of the two is high
	if !pub.Verify(digest[:], marshal(t, rs)) {
		t.Error("the other s does not verify")
	}
	for name, bad := range map[string]any{
		"r zero":       struct{ R, S *big.Int }{new(big.Int), rs.S},
		"s zero":       struct{ R, S *big.Int }{rs.R, new(big.Int)},
		"s plus order": struct{ R, S *big.Int }{rs.R, new(big.Int).Add(rs.S, order)},
		"r negative":   struct{ R, S *big.Int }{new(big.Int).Neg(rs.R), rs.S},
		"swapped":      struct{ R, S *big.Int }{rs.S, rs.R},
	} {
		if pub.Verify(digest[:], marshal(t, bad)) {
			t.Errorf("signature with %s verifies", name)
		}
	}
	digest[0] ^= 1
	if pub.Verify(digest[:], sig) {
		t.Error("a signature of another digest verifies")
	}
	zero, err := key.Sign(nil, make([]byte, 32), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if !pub.Verify(make([]byte, 32), zero) || pub.Verify(nil, zero) || pub.Verify(digest[:], nil) {
		t.Error("an empty digest stands for zero, or an empty signature verifies")
	}
}

func TestP256KSignRefusesWrongDigests(t *testing.T) {
	key := keyFor(t, p256k)
	for _, digest := range [][]byte{nil, make([]byte, 20), make([]byte, 64)} {
		if _, err := key.Sign(nil, digest, crypto.SHA256); err == nil {
			t.Errorf("a digest of %d octets is signed as SHA-256", len(digest))
		}
	}
}

// A machine cloned from a snapshot repeats its random stream. Two digests under
// one nonce would give the private key away.
func TestP256KNonceSurvivesRepeatedRandomness(t *testing.T) {
	key := keyFor(t, p256k)
	signAt := func(b byte) *big.Int {
		cryptotest.SetGlobalRandom(t, 1)
		sig, err := key.Sign(nil, bytes.Repeat([]byte{b}, 32), crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &rs); err != nil {
			t.Fatal(err)
		}
		return rs.R
	}
	if signAt(1).Cmp(signAt(2)) == 0 {
		t.Error("two digests were signed with one nonce")
	}
	if signAt(1).Cmp(signAt(1)) != 0 {
		t.Error("the random stream does not repeat: this test proves nothing")
	}
}

func TestP256KPrivateKeyDoesNotPrint(t *testing.T) {
	key := keyFor(t, p256k).(*pki.P256KPrivateKey)
	d := new(big.Int).SetBytes(key.Bytes())
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{key, *key, struct{ K pki.P256KPrivateKey }{*key}} {
			got := fmt.Sprintf(format, v)
			if !strings.Contains(got, "[redacted]") || strings.Contains(got, d.String()) || strings.Contains(got, hex.EncodeToString(key.Bytes())) {
				t.Errorf("%s of %T prints %s", format, v, got)
			}
		}
	}
}
