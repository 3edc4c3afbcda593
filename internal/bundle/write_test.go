package bundle

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// TestWritePEM compares with the files of openssl byte by byte (contract
// certificates.md, 7.5).
func TestWritePEM(t *testing.T) {
	for _, name := range []string{"ec", "k1", "rsa"} {
		key, leaf, chain := der(t, name+".key"), der(t, name+".pem"), [][]byte{der(t, "ca.pem")}
		if got := WritePEM(key, append([][]byte{leaf}, chain...)); got != text(t, name+".key")+text(t, name+".pem")+text(t, "ca.pem") {
			t.Errorf("%s:\n%s", name, got)
		}
		if got := WritePEM(nil, append([][]byte{leaf}, chain...)); got != text(t, name+".pem")+text(t, "ca.pem") {
			t.Errorf("%s without key:\n%s", name, got)
		}
		if got := WritePEM(key, [][]byte{leaf}); got != text(t, name+".key")+text(t, name+".pem") {
			t.Errorf("%s without chain:\n%s", name, got)
		}
	}
}

// TestWrittenIsImportedAgain holds what a client test demands: the secret's value
// can be posted to import as it is (contract certificates.md, 7.4).
func TestWrittenIsImportedAgain(t *testing.T) {
	for _, name := range []string{"ec", "k1", "rsa"} {
		key, leaf, ca := der(t, name+".key"), der(t, name+".pem"), der(t, "ca.pem")
		legacy, err := WritePKCS12(key, [][]byte{leaf, ca}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		modern, err := WritePKCS12(key, [][]byte{leaf, ca}, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{legacy, modern, WritePEM(key, [][]byte{leaf, ca})} {
			m, err := ReadImport(value, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.KeyPKCS8, key) || len(m.Certificates) != 2 || !bytes.Equal(m.Certificates[0], leaf) || !bytes.Equal(m.Certificates[1], ca) {
				t.Errorf("%s, %v: differs", name, m.Format)
			}
		}
		if strings.ContainsAny(legacy, "\r\n-_ ") {
			t.Error("not standard base64 in one line")
		}
	}
}

func TestWritePKCS12WithoutKeyHoldsNone(t *testing.T) {
	for _, modern := range []bool{false, true} {
		value, err := WritePKCS12(nil, [][]byte{der(t, "ec.pem"), der(t, "ca.pem")}, 0, modern)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		write(t, "nokey.pfx", string(raw))
		out := output(t, "pkcs12", "-in", "nokey.pfx", "-legacy", "-passin", "pass:", "-nodes")
		if strings.Contains(out, "PRIVATE KEY") || strings.Count(out, "BEGIN CERTIFICATE") != 2 {
			t.Errorf("openssl reads\n%s", out)
		}
		certs, err := ReadMerge([]string{value})
		if err != nil || len(certs) != 2 {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
	}
}

func TestWritePKCS12ChecksItsInput(t *testing.T) {
	if _, err := WritePKCS12([]byte("key"), [][]byte{der(t, "ec.pem")}, 0, false); err == nil {
		t.Error("no error for a key that is not DER")
	}
	if _, err := WritePKCS12(nil, nil, 0, false); err == nil {
		t.Error("no error without a leaf")
	}
}

func TestFormatIsItsContentType(t *testing.T) {
	if PKCS12.String() != "application/x-pkcs12" || PEM.String() != "application/x-pem-file" {
		t.Errorf("%v, %v", PKCS12, PEM)
	}
}
