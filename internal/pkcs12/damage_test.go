package pkcs12

import (
	"bytes"
	"encoding/pem"
	"errors"
	"testing"
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

// FuzzDecode looks for panics, errors of no kind, and results out of bounds.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"rfc9579-a1.txt", "rfc9579-a3.txt", "rfc9579-a6.txt", "pbmac1-short-key-bypass.txt"} {
		f.Add(testdata(f, name), "1234")
	}
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
