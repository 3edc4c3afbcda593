package pkcs12

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestDecodeReadsWhatOpenSSLWrites goes through each protection that openssl 3
// offers. The expected bytes come from openssl's own PEM files.
func TestDecodeReadsWhatOpenSSLWrites(t *testing.T) {
	tests := []struct {
		name     string
		password string
		args     []string
	}{
		{"modern", "secret", nil},
		{"modern, empty password", "", nil},
		{"legacy", "secret", []string{"-legacy"}},
		{"legacy, empty password", "", []string{"-legacy"}},
		{"RC2-128", "secret", []string{"-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"}},
		{"RC2-40, 3DES, MAC SHA-256", "secret", []string{"-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha256"}},
		{"AES-128, MAC SHA-1", "secret", []string{"-certpbe", "AES-128-CBC", "-keypbe", "AES-128-CBC", "-macalg", "sha1"}},
		{"AES-192, MAC SHA-384", "secret", []string{"-certpbe", "AES-192-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha384"}},
		{"AES-256, MAC SHA-512", "secret", []string{"-certpbe", "AES-256-CBC", "-keypbe", "AES-256-CBC", "-macalg", "sha512"}},
		{"3DES in PBES2, MAC SHA-224", "secret", []string{"-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC", "-macalg", "sha224"}},
		{"nothing encrypted", "secret", []string{"-certpbe", "NONE", "-keypbe", "NONE"}},
		{"nothing encrypted, no MAC", "", []string{"-certpbe", "NONE", "-keypbe", "NONE", "-nomac"}},
		{"no MAC", "secret", []string{"-nomac"}},
		{"no MAC, empty password, modern", "", []string{"-nomac"}},
		{"no MAC, empty password, legacy", "", []string{"-nomac", "-legacy"}},
		{"one iteration", "secret", []string{"-iter", "1", "-nomaciter"}},
		{"password beyond ASCII, modern", "pässwörd €", nil},
		{"password beyond ASCII, legacy", "pässwörd €", []string{"-legacy"}},
		{"password beyond the BMP, modern", "key 🔑", nil},
		{"password beyond the BMP, legacy", "key 🔑", []string{"-legacy"}},
		{"long password", string(bytes.Repeat([]byte("0123456789"), 20)), []string{"-legacy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem",
				"-name", "Größe €", "-passout", "pass:" + tt.password, "-out", "out.pfx"}
			mustOpenSSL(t, append(args, tt.args...)...)
			b, err := Decode(read(t, "out.pfx"), tt.password)
			if err != nil {
				t.Fatal(err)
			}
			checkBundle(t, b)
			if got := b.Certificates[0].FriendlyName; got != "Größe €" {
				t.Errorf("friendlyName %q", got)
			}
		})
	}
}

// checkBundle compares b with the whole material.
func checkBundle(t *testing.T, b *Bundle) {
	t.Helper()
	if !bytes.Equal(b.KeyPKCS8, made.key) {
		t.Errorf("key differs: %d bytes", len(b.KeyPKCS8))
	}
	if len(b.Certificates) != 2 {
		t.Fatalf("%d certificates", len(b.Certificates))
	}
	if !bytes.Equal(b.Certificates[0].DER, made.leaf) || !bytes.Equal(b.Certificates[1].DER, made.ca) {
		t.Error("certificates differ")
	}
	if len(b.LocalKeyID) == 0 || !bytes.Equal(b.LocalKeyID, b.Certificates[0].LocalKeyID) {
		t.Errorf("localKeyId of key %x, of leaf %x", b.LocalKeyID, b.Certificates[0].LocalKeyID)
	}
	if id := b.Certificates[1].LocalKeyID; id != nil {
		t.Errorf("localKeyId of CA %x", id)
	}
}

func TestDecodeWithoutKeyOrCertificates(t *testing.T) {
	mustOpenSSL(t, "pkcs12", "-export", "-nokeys", "-in", "leaf.pem", "-certfile", "ca.pem", "-passout", "pass:", "-out", "nokey.pfx")
	b, err := Decode(read(t, "nokey.pfx"), "")
	if err != nil {
		t.Fatal(err)
	}
	if b.KeyPKCS8 != nil || len(b.Certificates) != 2 {
		t.Errorf("key %v, %d certificates", b.KeyPKCS8 != nil, len(b.Certificates))
	}
	mustOpenSSL(t, "pkcs12", "-export", "-nocerts", "-inkey", "leaf.key", "-passout", "pass:", "-out", "nocert.pfx")
	if b, err = Decode(read(t, "nocert.pfx"), ""); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.KeyPKCS8, made.key) || len(b.Certificates) != 0 {
		t.Errorf("%d certificates", len(b.Certificates))
	}
}

// TestDecodeTakesAnyCurve uses secp256k1, which crypto/x509 refuses.
func TestDecodeTakesAnyCurve(t *testing.T) {
	mustOpenSSL(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes",
		"-subj", "/CN=koblitz", "-keyout", "k1.key", "-out", "k1.pem")
	mustOpenSSL(t, "pkcs12", "-export", "-inkey", "k1.key", "-in", "k1.pem", "-passout", "pass:x", "-out", "k1.pfx")
	b, err := Decode(read(t, "k1.pfx"), "x")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.KeyPKCS8, der("k1.key")) || !bytes.Equal(b.Certificates[0].DER, der("k1.pem")) {
		t.Error("key or certificate differs")
	}
}

func TestDecodeRefusesAWrongPassword(t *testing.T) {
	for _, args := range [][]string{nil, {"-legacy"}, {"-nomac"}, {"-nomac", "-legacy"}} {
		base := []string{"pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-passout", "pass:right", "-out", "wrong.pfx"}
		mustOpenSSL(t, append(base, args...)...)
		pfx := read(t, "wrong.pfx")
		for _, password := range []string{"", "wrong", "right ", string(make([]byte, maxPassword+1))} {
			if _, err := Decode(pfx, password); !errors.Is(err, ErrPassword) {
				t.Errorf("%q, password of %d bytes: %v", args, len(password), err)
			}
		}
	}
}

// The files of RFC 9579, appendix A.
func TestDecodePBMAC1(t *testing.T) {
	tests := []struct {
		file string
		want error
	}{
		{"rfc9579-a1.txt", nil},         // SHA-256, SHA-256
		{"rfc9579-a2.txt", nil},         // SHA-256, SHA-512
		{"rfc9579-a3.txt", nil},         // SHA-512, SHA-512
		{"rfc9579-a4.txt", ErrPassword}, // wrong iteration count
		{"rfc9579-a5.txt", ErrPassword}, // wrong salt
		{"rfc9579-a6.txt", ErrFormat},   // no key length
	}
	for _, tt := range tests {
		b, err := Decode(testdata(t, tt.file), "1234")
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.file, err, tt.want)
		}
		if tt.want == nil && (b.KeyPKCS8 == nil || len(b.Certificates) != 1) {
			t.Errorf("%s: key %v, %d certificates", tt.file, b.KeyPKCS8 != nil, len(b.Certificates))
		}
	}
}

// testdata reads a base64 file.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	out, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDecryptPKCS8ReadsWhatOpenSSLWrites(t *testing.T) {
	tests := [][]string{
		{}, // AES-256, HMAC-SHA-256
		{"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"},
		{"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA224"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA384"},
		{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"},
		{"-v2", "aes-256-cbc", "-iter", "600000"},
		{"-v2", "des3", "-v2prf", "hmacWithSHA256"},
		{"-scrypt"},
		{"-v1", "PBE-SHA1-3DES"},
		{"-v1", "PBE-SHA1-RC2-128", "-provider", "legacy", "-provider", "default"},
		{"-v1", "PBE-SHA1-RC2-40", "-provider", "legacy", "-provider", "default"},
	}
	for _, args := range tests {
		base := []string{"pkcs8", "-topk8", "-in", "leaf.key", "-passout", "pass:gehäim", "-outform", "DER", "-out", "enc.der"}
		mustOpenSSL(t, append(base, args...)...)
		encrypted := read(t, "enc.der")
		got, err := DecryptPKCS8(encrypted, "gehäim")
		if err != nil {
			t.Errorf("%q: %v", args, err)
		} else if !bytes.Equal(got, made.key) {
			t.Errorf("%q: key differs", args)
		}
		if len(args) > 2 && args[2] == "-iter" {
			continue // once is enough
		}
		if _, err := DecryptPKCS8(encrypted, "geheim"); !errors.Is(err, ErrPassword) {
			t.Errorf("%q, wrong password: %v", args, err)
		}
	}
}

func TestDecryptPKCS8RefusesOthers(t *testing.T) {
	for _, in := range [][]byte{nil, {0x30}, {0x30, 0}, made.key, made.leaf, make([]byte, maxSize+1)} {
		if _, err := DecryptPKCS8(in, "x"); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", len(in), err)
		}
	}
}

// TestFilesOf600000IterationsAreRead has the parameters of NSS, today's and those of
// old versions of Firefox.
func TestFilesOf600000IterationsAreRead(t *testing.T) {
	for name, args := range map[string][]string{
		"NSS":               {"-keypbe", "AES-256-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha256"},
		"Firefox, formerly": {"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"},
	} {
		base := []string{"pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem", "-iter", "600000",
			"-passout", "pass:secret", "-out", "many.p12"}
		mustOpenSSL(t, append(base, args...)...)
		b, err := Decode(read(t, "many.p12"), "secret")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(b.KeyPKCS8, made.key) || len(b.Certificates) != 2 {
			t.Errorf("%s: another key or %d certificates", name, len(b.Certificates))
		}
	}
}
