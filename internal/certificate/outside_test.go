package certificate_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// openssl runs the openssl program, the judge of what the vault makes.
func openssl(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("openssl %s: %v\n%s%s", strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

// file puts data into a file of the test's own.
func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// authority is a certificate authority of crypto/x509, independent of the vault.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial struct {
	sync.Mutex
	last int64
}

func nextSerial() *big.Int {
	serial.Lock()
	defer serial.Unlock()
	serial.last++
	return big.NewInt(serial.last)
}

// newAuthority makes a root, or an intermediate of parent.
func newAuthority(t testing.TB, name string, parent *authority) *authority {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: k}
	template := &x509.Certificate{SerialNumber: nextSerial(), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: beginning.AddDate(-1, 0, 0), NotAfter: beginning.AddDate(20, 0, 0)}
	if parent == nil {
		parent = &authority{cert: template, key: k}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, k.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign certifies a public key for a year from beginning; change may say otherwise.
func (a *authority) sign(t testing.TB, public crypto.PublicKey, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: nextSerial(), Subject: pkix.Name{CommonName: "signed by a CA"},
		DNSNames: []string{"www.example.net"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: beginning.Add(-time.Hour), NotAfter: beginning.AddDate(1, 0, 0)}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// certify signs for the key of a CSR, with the extended key usages of a policy that
// does not speak of them.
func (a *authority) certify(t testing.TB, csr []byte, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.CheckSignature(); err != nil {
		t.Fatal(err)
	}
	usages := func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return a.sign(t, request.PublicKey, append([]func(*x509.Certificate){usages}, change...)...)
}

func x5c(certs ...*x509.Certificate) (out []string) {
	for _, c := range certs {
		out = append(out, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return out
}

func toPEM(kind string, ders ...[]byte) (out []byte) {
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return out
}

// pair is a key with a certificate, and the import of it as PEM.
type pair struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

func newPair(t testing.TB, by *authority, change ...func(*x509.Certificate)) pair {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert := by.sign(t, k.Public(), change...)
	return pair{k, cert, string(toPEM("PRIVATE KEY", pkcs8)) + string(toPEM("CERTIFICATE", cert.Raw))}
}

// certificatesOf are the certificates in PEM text, in order.
func certificatesOf(t testing.TB, text []byte) (certs []*x509.Certificate) {
	t.Helper()
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return certs
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, c)
	}
}

type ctx = context.Context

func contains(s, part string) bool { return strings.Contains(s, part) }

// newSibling is an authority with another certificate of the same key.
func newSibling(a *authority) *authority {
	c := *a.cert
	c.SerialNumber = nextSerial()
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, a.key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &authority{cert, a.key}
}
