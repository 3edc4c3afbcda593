package pkcs12

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The material of the tests, made once by openssl: a leaf on P-256 and its CA, as
// DER and as PEM files in dir.
var made struct {
	dir           string
	key, leaf, ca []byte
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pkcs12")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	made.dir = dir
	for _, args := range [][]string{
		{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Test CA",
			"-days", "30", "-keyout", "ca.key", "-out", "ca.pem"},
		{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=leaf.example",
			"-days", "30", "-keyout", "leaf.key", "-out", "leaf.pem", "-CA", "ca.pem", "-CAkey", "ca.key"},
	} {
		if _, err := openssl(args...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	made.key, made.leaf, made.ca = der("leaf.key"), der("leaf.pem"), der("ca.pem")
	return m.Run()
}

// openssl runs the openssl program in the directory of the material.
func openssl(args ...string) ([]byte, error) {
	cmd := exec.Command("openssl", args...)
	cmd.Dir = made.dir
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("openssl %q: %w\n%s", args, err, errOut.Bytes())
	}
	return append(out, errOut.Bytes()...), nil
}

func mustOpenSSL(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := openssl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// der returns the first PEM block of a file of the material.
func der(name string) []byte {
	text, err := os.ReadFile(filepath.Join(made.dir, name))
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

// write puts content into a file of the material and returns its name.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(made.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	out, err := os.ReadFile(filepath.Join(made.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
