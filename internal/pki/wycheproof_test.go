package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"coffer/internal/pki"
)

// agreement is a vector of ECDH, which shows whether keys were read rightly: the
// public key of one party and the private one of the other give what they share.
type agreement[K any] struct {
	ID              int `json:"tcId"`
	Comment, Shared string
	Flags           []string
	Public, Private K
	Result          string
}

func (a agreement[K]) String() string {
	return fmt.Sprintf("vector %d (%s; %v)", a.ID, a.Comment, a.Flags)
}

// agrees checks what two keys share.
func (a agreement[K]) agrees(t *testing.T, private crypto.Signer, public crypto.PublicKey) {
	t.Helper()
	if got, err := shared(private, public); err != nil || got != a.Shared {
		t.Errorf("%v: %s, %v; want %s", a, got, err, a.Shared)
	}
}

// shared is the x of the point that two parties compute (SEC 1, 3.3.1).
func shared(private crypto.Signer, public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		p, err := public.ECDH()
		if err != nil {
			return "", err
		}
		k, err := private.(*ecdsa.PrivateKey).ECDH()
		if err != nil {
			return "", err
		}
		x, err := k.ECDH(p)
		return hex.EncodeToString(x), err
	case *pki.P256KPublicKey:
		p, err := secp256k1.ParsePubKey(public.Bytes())
		if err != nil {
			return "", err
		}
		k := secp256k1.PrivKeyFromBytes(private.(*pki.P256KPrivateKey).Bytes())
		return hex.EncodeToString(secp256k1.GenerateSharedSecret(k, p)), nil
	}
	return "", errors.New("no EC key")
}

func wycheproofFile(t *testing.T, name string, into any) {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name+"_test.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// agreements reads a file of ECDH. Most of it looks at the multiplication, which
// the vault does not do; what looks at the keys is answered.
func agreements[K any](t *testing.T, name string) (all []agreement[K]) {
	t.Helper()
	var file struct {
		TestGroups []struct{ Tests []agreement[K] }
	}
	wycheproofFile(t, name, &file)
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			if !slices.Contains(v.Flags, "EdgeCaseDoubling") {
				all = append(all, v)
			}
		}
	}
	return all
}

// Keys as SPKI and PKCS#8, of curves that are attacked with points beside them,
// with parameters of their own and with broken DER. What Wycheproof leaves open is
// refused: compressed points, parameters in place of the curve's name (RFC 5480,
// 2.1.1 and 2.2, demand neither), DER that is none.
func TestWycheproofEncodedECKeys(t *testing.T) {
	for _, c := range []struct {
		file           string
		valid, refused int // the least of each
	}{
		{"ecdh_secp256r1_pem", 120, 270},
		{"ecdh_secp384r1_pem", 100, 260},
		{"ecdh_secp521r1_pem", 100, 270},
		{"ecdh_secp256k1", 110, 270}, // the same as DER, the private keys as scalars
	} {
		t.Run(c.file, func(t *testing.T) {
			valid, refused := 0, 0
			for _, v := range agreements[string](t, c.file) {
				private := privateKey(t, v.Private)
				public, err := pki.ParsePublic(encoded(v.Public))
				switch {
				case v.Result == "valid":
					valid++
					if err != nil {
						t.Errorf("%v: %v", v, err)
						continue
					}
					v.agrees(t, private, public)
				case err != nil:
					refused++
				case specOf(t, public) == specOf(t, private.Public()):
					// A point of another curve, which it names, is a good key by itself.
					t.Errorf("%v: it was read", v)
				}
			}
			if valid < c.valid || refused < c.refused {
				t.Errorf("%d valid and %d refused", valid, refused)
			}
		})
	}
}

// encoded is what PEM or hexadecimal stands for; nil for broken PEM.
func encoded(text string) []byte {
	if der, err := hex.DecodeString(text); err == nil {
		return der
	}
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	return nil
}

// privateKey reads PKCS#8 or, where a file has nothing else, a scalar of P-256K.
func privateKey(t *testing.T, text string) crypto.Signer {
	t.Helper()
	der := encoded(text)
	k, err := pki.ParsePKCS8(der)
	if err == nil {
		return k
	}
	if der = bytes.TrimLeft(der, "\x00"); len(der) > 32 {
		t.Fatalf("%s: %v", text, err)
	}
	scalar, err := pki.ParseRawP256KPrivateKey(append(make([]byte, 32-len(der)), der...))
	if err != nil {
		t.Fatal(err)
	}
	return scalar
}

func specOf(t *testing.T, public crypto.PublicKey) pki.KeySpec {
	t.Helper()
	s, err := pki.SpecOf(public)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ecJWK is an EC key as callers import it (RFC 7518, section 6.2).
type ecJWK struct {
	Crv     pki.Curve
	X, Y, D base64url
}

type base64url []byte

func (b *base64url) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

// The numbers of a private JWK are read, also where zeros are missing in front, and
// a scalar goes with its own point only: not with that of another, nor with one
// beside the curve.
func TestWycheproofECComponents(t *testing.T) {
	for file, least := range map[string]int{
		"ecdh_secp256r1_webcrypto": 120, "ecdh_secp384r1_webcrypto": 100, "ecdh_secp521r1_webcrypto": 100, "ecdh_secp256k1_webcrypto": 110,
	} {
		t.Run(file, func(t *testing.T) {
			valid := 0
			for _, v := range agreements[ecJWK](t, file) {
				own := v.Private
				private, err := pki.ECComponents{Curve: own.Crv, X: own.X, Y: own.Y, D: own.D}.Key()
				if err != nil {
					t.Errorf("%v: %v", v, err)
					continue
				}
				if _, err := (pki.ECComponents{Curve: own.Crv, X: v.Public.X, Y: v.Public.Y, D: own.D}).Key(); err == nil {
					t.Errorf("%v: the point of another was taken", v)
				}
				if v.Result != "valid" {
					continue
				}
				valid++
				v.agrees(t, private, publicOf(t, private, v.Public))
			}
			if valid < least {
				t.Errorf("%d valid", valid)
			}
		})
	}
}

// publicOf is the public key of a JWK on the curve of k.
func publicOf(t *testing.T, k crypto.Signer, public ecJWK) crypto.PublicKey {
	t.Helper()
	field := (specOf(t, k.Public()).Size + 7) / 8
	point := append(make([]byte, field-len(public.X), 2*field+1), public.X...)
	point = append(append(point, make([]byte, field-len(public.Y))...), public.Y...)
	point = append([]byte{4}, point...)
	var out crypto.PublicKey
	var err error
	if own, ok := k.(*ecdsa.PrivateKey); ok {
		out, err = ecdsa.ParseUncompressedPublicKey(own.Curve, point)
	} else {
		out, err = pki.ParseUncompressedP256KPublicKey(point)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// RSA keys that are sound, and of a kind or size that the vault does not hold.
func TestWycheproofForeignRSAKeys(t *testing.T) {
	for _, c := range []struct {
		file  string
		size  int
		least int
	}{
		{"rsa_signature_8192_sha256", 8192, 1},
		{"rsa_pss_2048_sha256_mgf1_32_params", 2048, 1}, // id-RSASSA-PSS (RFC 4055, 3.1)
		{"rsa_pss_misc_params", 2048, 150},
		{"rsa_three_primes_oaep_2048_sha1_mgf1sha1", 2048, 1}, // RFC 8017, A.1.2, version 1
		{"rsa_three_primes_oaep_4096_sha256_mgf1sha256", 4096, 1},
		{"rsa_oaep_misc", 1024, 20},
		{"rsa_oaep_misc", 8192, 15},
		{"rsa_oaep_misc", 2688, 1},
	} {
		var file struct {
			TestGroups []struct {
				KeySize                       int
				PublicKeyDER, PrivateKeyPKCS8 string
			}
		}
		wycheproofFile(t, c.file, &file)
		ran := 0
		for _, g := range file.TestGroups {
			if g.KeySize != c.size {
				continue
			}
			ran++
			var err error
			if g.PublicKeyDER != "" {
				_, err = pki.ParsePublic(encoded(g.PublicKeyDER))
			} else {
				_, err = pki.ParsePKCS8(encoded(g.PrivateKeyPKCS8))
			}
			if !errors.Is(err, pki.ErrKeyType) {
				t.Errorf("%s, %d bits: %v", c.file, c.size, err)
			}
		}
		if ran < c.least {
			t.Errorf("%s: %d keys of %d bits", c.file, ran, c.size)
		}
	}
}
