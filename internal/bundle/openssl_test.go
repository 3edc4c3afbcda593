package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The material of the tests, made once by openssl in a directory of its own: a CA,
// and under it leaves on P-256, on secp256k1 and with RSA, as NAME.key (PKCS#8) and
// NAME.pem.
var dir string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if dir, err = os.MkdirTemp("", "bundle"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, leaf := range []struct{ name, alg, opt string }{
		{"ca", "ec", "ec_paramgen_curve:P-256"},
		{"ec", "ec", "ec_paramgen_curve:P-256"},
		{"k1", "ec", "ec_paramgen_curve:secp256k1"},
		{"rsa", "rsa", "rsa_keygen_bits:2048"},
	} {
		args := []string{"req", "-x509", "-newkey", leaf.alg, "-pkeyopt", leaf.opt, "-nodes", "-subj", "/CN=" + leaf.name,
			"-days", "30", "-keyout", leaf.name + ".key", "-out", leaf.name + ".pem"}
		if leaf.name != "ca" {
			args = append(args, "-CA", "ca.pem", "-CAkey", "ca.key")
		}
		if _, err := openssl(args...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func openssl(args ...string) (string, error) {
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("openssl %q: %w\n%s", args, err, errOut.Bytes())
	}
	return string(out), nil
}

// output is what openssl prints, without its remarks on the error stream.
func output(t testing.TB, args ...string) string {
	t.Helper()
	out, err := openssl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// text is a file of the material.
func text(t testing.TB, name string) string {
	t.Helper()
	out, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// der is the first PEM block of a file of the material.
func der(t testing.TB, name string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text(t, name)))
	return block.Bytes
}

// pfx is a PFX of the named leaf and the CA, in base64.
func pfx(t testing.TB, leaf, password string, args ...string) string {
	t.Helper()
	base := []string{"pkcs12", "-export", "-inkey", leaf + ".key", "-in", leaf + ".pem", "-certfile", "ca.pem", "-passout", "pass:" + password}
	return b64(output(t, append(base, args...)...))
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
