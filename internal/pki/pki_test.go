package pki_test

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"coffer/internal/pki"
)

// The key specifications that tests go through. RSA 3072 and 4096 take seconds
// to generate; one RSA size stands for all of them where only the kind matters.
var (
	rsa2048 = pki.KeySpec{Algorithm: pki.RSA, Size: 2048}
	p256    = pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256}
	p384    = pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384}
	p521    = pki.KeySpec{Algorithm: pki.EC, Size: 521, Curve: pki.P521}
	p256k   = pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256K}

	allSpecs = []pki.KeySpec{rsa2048, p256, p384, p521, p256k}
)

func specName(s pki.KeySpec) string {
	if s.Algorithm == pki.RSA {
		return "RSA-2048"
	}
	return string(s.Curve)
}

var keys = struct {
	sync.Mutex
	made map[pki.KeySpec]crypto.Signer
}{made: make(map[pki.KeySpec]crypto.Signer)}

// keyFor generates one key of each kind per test binary.
func keyFor(t testing.TB, spec pki.KeySpec) crypto.Signer {
	t.Helper()
	keys.Lock()
	defer keys.Unlock()
	if key, ok := keys.made[spec]; ok {
		return key
	}
	key, err := pki.Generate(spec)
	if err != nil {
		t.Fatal(err)
	}
	keys.made[spec] = key
	return key
}

// openssl runs the openssl program, the judge of most tests here.
func openssl(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	out, err := tryOpenSSL(t, stdin, args...)
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryOpenSSL(t testing.TB, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return append(stdout.Bytes(), stderr.Bytes()...), err
	}
	return stdout.Bytes(), nil
}

// write puts data into a file of the test's own directory.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func toPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func ptr[T any](v T) *T { return &v }
