package pki

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Signatures of r and s side by side, both ways against openssl, which knows DER.
func TestRawSignaturesAgainstOpenSSL(t *testing.T) {
	content := []byte("to be signed")
	h256, h384, h512 := sha256.Sum256(content), sha512.Sum384(content), sha512.Sum512(content)
	for _, c := range []struct {
		curve  Curve
		hash   string
		digest []byte
		length int
	}{
		{P256, "-sha256", h256[:], 64}, {P384, "-sha384", h384[:], 96}, {P521, "-sha512", h512[:], 132}, {P256K, "-sha256", h256[:], 64},
	} {
		t.Run(string(c.curve), func(t *testing.T) {
			spec, err := CurveSpec(c.curve)
			if err != nil {
				t.Fatal(err)
			}
			key, err := Generate(spec)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			file := func(name string, data []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			der, err := MarshalPKCS8(key)
			if err != nil {
				t.Fatal(err)
			}
			private := file("key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
			body := file("content", content)

			raw, err := SignRaw(key, c.digest)
			if err != nil || len(raw) != c.length {
				t.Fatalf("%d bytes, %v", len(raw), err)
			}
			type pair struct{ R, S *big.Int }
			half := len(raw) / 2
			ours, err := asn1.Marshal(pair{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("openssl", "dgst", c.hash, "-prverify", private, "-signature", file("ours", ours), body).CombinedOutput(); err != nil {
				t.Errorf("openssl: %s", out)
			}
			theirs, err := exec.Command("openssl", "dgst", c.hash, "-sign", private, body).Output()
			if err != nil {
				t.Fatal(err)
			}
			var p pair
			if _, err := asn1.Unmarshal(theirs, &p); err != nil {
				t.Fatal(err)
			}
			signature := append(p.R.FillBytes(make([]byte, half)), p.S.FillBytes(make([]byte, half))...)
			if !VerifyRaw(key.Public(), c.digest, signature) {
				t.Error("a signature of openssl is refused")
			}
			for i := range signature {
				broken := append([]byte{}, signature...)
				broken[i] ^= 1
				if VerifyRaw(key.Public(), c.digest, broken) {
					t.Fatalf("byte %d does not matter", i)
				}
			}
			for _, bad := range [][]byte{nil, signature[:half], append([]byte{0}, signature...), make([]byte, c.length), theirs} {
				if VerifyRaw(key.Public(), c.digest, bad) {
					t.Errorf("%x is taken", bad)
				}
			}
			other := append([]byte{}, c.digest...)
			other[0] ^= 0x80
			if VerifyRaw(key.Public(), other, signature) || VerifyRaw(key.Public(), nil, signature) {
				t.Error("another digest is taken")
			}
		})
	}
}

func TestRawSignaturesAreForCurves(t *testing.T) {
	key, err := Generate(KeySpec{Algorithm: RSA, Size: 2048})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SignRaw(key, make([]byte, 32)); err != ErrKeyType {
		t.Error(err)
	}
	if VerifyRaw(key.Public(), make([]byte, 32), make([]byte, 64)) || VerifyRaw(nil, nil, nil) {
		t.Error("verified")
	}
	if _, err := CurveSpec("P-224"); err != ErrKeyType {
		t.Error(err)
	}
}
