package ber

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestToDER(t *testing.T) {
	tests := []struct {
		name, in, want string
		err            error
	}{
		{"integer", "02 01 05", "02 01 05", nil},
		{"indefinite", "30 80 02 01 05 00 00", "30 03 02 01 05", nil},
		{"indefinite and empty", "30 80 00 00", "30 00", nil},
		{"indefinite in indefinite", "30 80 a0 80 05 00 00 00 00 00", "30 04 a0 02 05 00", nil},
		{"indefinite in definite", "30 06 31 80 05 00 00 00", "30 04 31 02 05 00", nil},
		{"zeros in a value", "30 80 04 02 00 00 00 00", "30 04 04 02 00 00", nil},
		{"padded lengths", "30 83 00 00 05 02 82 00 01 07", "30 03 02 01 07", nil},
		{"octets in pieces", "24 80 04 01 aa 04 02 bb cc 00 00", "04 03 aa bb cc", nil},
		{"octets in nested pieces", "24 08 24 03 04 01 aa 04 01 bb", "04 02 aa bb", nil},
		{"octets in no pieces", "24 80 00 00", "04 00", nil},
		{"implicit octets stay", "a0 80 04 01 aa 04 01 bb 00 00", "a0 06 04 01 aa 04 01 bb", nil},

		{"nothing", "", "", errTruncated},
		{"tag only", "30", "", errTruncated},
		{"value cut", "04 02 aa", "", errTruncated},
		{"child cut", "30 03 04 02 aa", "", errTruncated},
		{"child longer than parent", "30 03 04 02 aa bb", "", errTruncated},
		{"length cut", "30 82 01", "", errTruncated},
		{"no end", "30 80 05 00", "", errTruncated},
		{"half an end", "30 80 05 00 00", "", errTruncated},
		{"end without a beginning", "30 02 00 00", "", errTag},
		{"more", "05 00 05 00", "", errTrailing},
		{"primitive and indefinite", "04 80 aa 00 00", "", errLength},
		{"over 16 MiB", "04 84 01 00 00 00 aa", "", errLength},
		{"length of 127 octets", "04 ff" + strings.Repeat("ff", 127), "", errLength},
		{"high tag", "1f 81 01 00", "", errTag},
		{"integers as octets", "24 03 02 01 05", "", errTag},
		{"UTF8String in pieces", "2c 80 0c 01 41 00 00", "", errTag},
	}
	for _, tt := range tests {
		got, err := ToDER(unhex(t, tt.in))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		} else if err == nil && !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("%s: % x, want %s", tt.name, got, tt.want)
		}
	}
}

func TestToDERBoundsDepth(t *testing.T) {
	for _, open := range []string{"3080", "a080", "2480"} {
		if _, err := ToDER(bytes.Repeat(unhex(t, open), 50_000)); !errors.Is(err, errDepth) {
			t.Errorf("%s: %v", open, err)
		}
	}
}

func TestOctetsRefusesIndefiniteLengths(t *testing.T) {
	if _, err := Octets(unhex(t, "04 80")); err == nil {
		t.Error("no error")
	}
}

func TestToDERLeavesDERAlone(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// Extensions that make the lengths of one, two and three octets.
	for _, size := range []int{0, 100, 60_000, 70_000} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		template.Subject.CommonName = strings.Repeat("x", size)
		cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ToDER(cert)
		if err != nil || !bytes.Equal(got, cert) {
			t.Errorf("%d bytes changed: %v", len(cert), err)
		}
	}
}

// TestOpenSSLStreams converts a signed message of many pieces that openssl wrote in
// BER; openssl verifies the result, and its content comes out whole.
func TestOpenSSLStreams(t *testing.T) {
	dir := t.TempDir()
	message := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	if err := os.WriteFile(filepath.Join(dir, "message"), message, 0o600); err != nil {
		t.Fatal(err)
	}
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %q: %v\n%s", args, err, out)
		}
	}
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=signer",
		"-keyout", "key.pem", "-out", "cert.pem")
	openssl("cms", "-sign", "-stream", "-nodetach", "-binary", "-in", "message", "-signer", "cert.pem", "-inkey", "key.pem",
		"-outform", "DER", "-out", "ber")
	in, err := os.ReadFile(filepath.Join(dir, "ber"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(in, []byte{0x30, 0x80}) {
		t.Fatal("openssl wrote no BER")
	}
	out, err := ToDER(in)
	if err != nil {
		t.Fatal(err)
	}
	var info asn1.RawValue // refuses indefinite lengths
	if rest, err := asn1.Unmarshal(out, &info); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "der"), out, 0o600); err != nil {
		t.Fatal(err)
	}
	openssl("cms", "-verify", "-in", "der", "-inform", "DER", "-CAfile", "cert.pem", "-binary", "-out", "back")
	back, err := os.ReadFile(filepath.Join(dir, "back"))
	if err != nil || !bytes.Equal(back, message) {
		t.Errorf("message of %d bytes: %v", len(back), err)
	}
}

func FuzzToDER(f *testing.F) {
	for _, seed := range []string{
		"308002010500 00", "30830000050282000107", "24800401aa0402bbcc0000", "a0800401aa0401bb0000",
		"308024800401aa000024800000 0000", "30803080308030800000",
	} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := ToDER(in)
		if err != nil {
			return
		}
		if len(out) > len(in)+len(in)/4 {
			t.Errorf("%d bytes became %d", len(in), len(out))
		}
		again, err := ToDER(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("not stable: % x, then % x, %v", out, again, err)
		}
	})
}
