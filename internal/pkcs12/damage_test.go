package pkcs12

import (
	"bytes"
	"crypto/cipher"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TestDamagedFilesAreRefused cuts a file at every length, and inverts bits of every
// third byte. What still decodes, because the byte means nothing, has not changed.
func TestDamagedFilesAreRefused(t *testing.T) {
	for _, e := range encoders {
		whole := encode(t, e.encode, made.key)
		for n := range whole {
			if _, err := Decode(whole[:n], ""); !errors.Is(err, ErrFormat) {
				t.Fatalf("%s, first %d bytes: %v", e.name, n, err)
			}
		}
		for n := 0; n < len(whole); n += 3 {
			damaged := bytes.Clone(whole)
			damaged[n] ^= 0x55
			b, err := Decode(damaged, "")
			switch {
			case err == nil:
				checkBundle(t, b)
			case !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPassword) && !errors.Is(err, ErrTooCostly):
				t.Errorf("%s, byte %d: %v", e.name, n, err)
			}
		}
	}
}

// TestOnlyAPaddedSequenceIsAKey decrypts blocks made for it: a wrong password that
// gets as far as one of these is still a wrong password.
func TestOnlyAPaddedSequenceIsAKey(t *testing.T) {
	tests := []struct {
		name  string
		plain []byte
		want  error
	}{
		{"a SEQUENCE", []byte{0x30, 3, 2, 1, 5, 3, 3, 3}, nil},
		{"padding of different bytes", []byte{0x30, 3, 2, 1, 5, 3, 9, 3}, ErrPassword},
		{"padding of 0", []byte{0x30, 6, 2, 1, 5, 2, 1, 0}, ErrPassword},
		{"padding over a block", []byte{0x30, 3, 2, 1, 5, 3, 3, 9}, ErrPassword},
		{"padding only", []byte{8, 8, 8, 8, 8, 8, 8, 8}, ErrPassword},
		{"no SEQUENCE", []byte{0x04, 3, 2, 1, 5, 3, 3, 3}, ErrPassword},
		{"a SEQUENCE cut", []byte{0x30, 4, 2, 1, 5, 3, 3, 3}, ErrPassword},
		{"no whole block", []byte{0x30, 3, 2, 1, 5, 2, 2}, ErrPassword},
		{"nothing", nil, ErrPassword},
	}
	for _, tt := range tests {
		algorithm := build(t, pbe(big.NewInt(1)))
		s := cryptobyte.String(algorithm)
		scheme, err := parseScheme(&s)
		if err != nil {
			t.Fatal(err)
		}
		block, iv, err := scheme.key(password{})
		if err != nil {
			t.Fatal(err)
		}
		ciphertext := bytes.Clone(tt.plain)
		if len(ciphertext)%block.BlockSize() == 0 {
			cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
		}
		encrypted := build(t, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(algorithm)
				b.AddASN1OctetString(ciphertext)
			})
		})
		if got, err := DecryptPKCS8(encrypted, ""); !errors.Is(err, tt.want) {
			t.Errorf("%s: % x, %v", tt.name, got, err)
		}
	}
}

// FuzzDecode looks for panics, errors of no kind, and results out of bounds.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"rfc9579-a1.txt", "rfc9579-a3.txt", "rfc9579-a6.txt"} {
		f.Add(testdata(f, name), "1234")
	}
	f.Add(pbmac1(f, minPBMAC1Key), macPassword)
	for _, e := range encoders {
		for _, key := range [][]byte{nil, made.key} {
			pfx, err := e.encode(key, made.leaf, [][]byte{made.ca})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(pfx, "")
			f.Add(pfx, "wrong")
		}
	}
	if _, err := openssl("pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certpbe", "NONE", "-keypbe", "NONE",
		"-nomac", "-passout", "pass:", "-out", "plain.pfx"); err != nil {
		f.Fatal(err)
	}
	f.Add(read(f, "plain.pfx"), "")
	f.Fuzz(func(t *testing.T, pfx []byte, password string) {
		b, err := Decode(pfx, password)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPassword) && !errors.Is(err, ErrTooCostly) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		for _, c := range b.Certificates {
			if len(c.DER) < 2 || c.DER[0] != 0x30 || len(c.FriendlyName) > 2*maxAttribute || len(c.LocalKeyID) > maxAttribute {
				t.Errorf("a certificate out of bounds: %+v", c)
			}
		}
		if b.KeyPKCS8 != nil && (len(b.KeyPKCS8) < 2 || b.KeyPKCS8[0] != 0x30) {
			t.Errorf("a key that is no SEQUENCE: % x", b.KeyPKCS8)
		}
		if len(b.Certificates) > maxBags {
			t.Errorf("%d certificates", len(b.Certificates))
		}
	})
}

func FuzzDecryptPKCS8(f *testing.F) {
	for _, args := range [][]string{nil, {"-scrypt"}, {"-v1", "PBE-SHA1-3DES"}} {
		out, err := openssl(append([]string{"pkcs8", "-topk8", "-in", "leaf.key", "-passout", "pass:x"}, args...)...)
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(out)
		f.Add(block.Bytes, "x")
	}
	f.Fuzz(func(t *testing.T, encrypted []byte, password string) {
		key, err := DecryptPKCS8(encrypted, password)
		if err == nil && (len(key) < 2 || key[0] != 0x30) {
			t.Errorf("no SEQUENCE: % x", key)
		}
	})
}
