package conformance

import (
	"bytes"
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
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What does not come from the vault: keys, certificates and bundles, made and
// opened by crypto/x509 and the openssl program. Certificates are DER, for
// crypto/x509 does not know the curve P-256K.

const day = 24 * time.Hour

// openssl runs the program on input and returns what it prints.
func openssl(t *testing.T, input []byte, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), "openssl", arguments...)
	command.Stdin = bytes.NewReader(input)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", arguments[0], err, complaint.String())
	}
	return output
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	check(t, err)
	return key
}

// An authority is a CA that the vault knows nothing of: a root, and an intermediate that signs.
type authority struct {
	root, intermediate *x509.Certificate
	key                *ecdsa.PrivateKey
}

var outside = sync.OnceValues(func() (*authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := func(serial int64, cn string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: cn},
			NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(3650 * day),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	a := &authority{root: template(1, "Outside Root"), intermediate: template(2, "Outside Intermediate"), key: key}
	if a.root, err = sign(a.root, a.root, rootKey.Public(), rootKey); err != nil {
		return nil, err
	}
	a.intermediate, err = sign(a.intermediate, a.root, key.Public(), rootKey)
	return a, err
})

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a, err := outside()
	check(t, err)
	return a
}

// chain is leaf and what belongs after it.
func (a *authority) chain(leaf []byte) [][]byte {
	return [][]byte{leaf, a.intermediate.Raw, a.root.Raw}
}

// issue makes a leaf that is valid from start to end, counted from now.
func (a *authority) issue(t *testing.T, public crypto.PublicKey, start, end time.Duration) []byte {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	leaf, err := sign(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "leaf.example.net"},
		NotBefore: time.Now().Add(start), NotAfter: time.Now().Add(end), BasicConstraintsValid: true,
	}, a.intermediate, public, a.key)
	check(t, err)
	return leaf.Raw
}

// signRequest does what a CA does: it checks the request's signature and signs its key.
func (a *authority) signRequest(t *testing.T, csr []byte) []byte {
	t.Helper()
	request, err := x509.ParseCertificateRequest(csr)
	check(t, err)
	check(t, request.CheckSignature())
	return a.issue(t, request.PublicKey, -day, 90*day)
}

// signRequestOfAnyCurve is signRequest by openssl.
func (a *authority) signRequestOfAnyCurve(t *testing.T, csr []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	check(t, err)
	write(t, filepath.Join(dir, "ca.key"), pemOf("PRIVATE KEY", key))
	write(t, filepath.Join(dir, "ca.pem"), pemOf("CERTIFICATE", a.intermediate.Raw))
	request := pemOf("CERTIFICATE REQUEST", csr)
	openssl(t, request, "req", "-noout", "-verify")
	return openssl(t, request, "x509", "-req", "-days", "90", "-outform", "DER", "-set_serial", "4711",
		"-CA", filepath.Join(dir, "ca.pem"), "-CAkey", filepath.Join(dir, "ca.key"))
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	check(t, os.WriteFile(path, data, 0o600))
}

func pemOf(kind string, ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return out
}

// publicKey is the SubjectPublicKeyInfo of a certificate, whatever its curve.
func publicKey(t *testing.T, certificate []byte) []byte {
	t.Helper()
	return firstBlock(t, openssl(t, certificate, "x509", "-inform", "DER", "-noout", "-pubkey"))
}

// publicOf is the SubjectPublicKeyInfo of a private key in PKCS#8.
func publicOf(t *testing.T, key []byte) []byte {
	t.Helper()
	return firstBlock(t, openssl(t, pemOf("PRIVATE KEY", key), "pkey", "-pubout"))
}

func firstBlock(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	return block.Bytes
}

// pfx makes a PFX of a PKCS#8 key and its certificates, the key's own first.
// Protection are options of openssl pkcs12 that choose the algorithms.
func pfx(t *testing.T, key []byte, certificates [][]byte, password string, protection ...string) []byte {
	t.Helper()
	arguments := append([]string{"pkcs12", "-export", "-passout", "pass:" + password}, protection...)
	return openssl(t, append(pemOf("PRIVATE KEY", key), pemOf("CERTIFICATE", certificates...)...), arguments...)
}

// An opened value of a secret; key is PKCS#8, and nil when there was none.
type opened struct {
	key          []byte
	certificates [][]byte
}

// pemValue is a PKCS#8 key, the leaf, the chain and nothing else, with LF line
// ends and 64 columns (certificates.md, 7.5).
var pemValue = regexp.MustCompile(`^(-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PRIVATE KEY-----\n)?` +
	`(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n)+$`)

func openValue(t *testing.T, contentType, value string) opened {
	t.Helper()
	text := []byte(value)
	switch contentType {
	case "application/x-pkcs12":
		data, err := base64.StdEncoding.Strict().DecodeString(value)
		check(t, err)
		text = openssl(t, data, "pkcs12", "-nodes", "-passin", "pass:")
	case "application/x-pem-file":
		if !pemValue.Match(text) {
			t.Fatal("the value is not a key followed by certificates in PEM with LF line ends")
		}
	default:
		t.Fatalf("content type %q", contentType)
	}
	var o opened
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			o.certificates = append(o.certificates, block.Bytes)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			o.key = block.Bytes
		}
	}
	return o
}

// holds checks that the value has these certificates in this order and the key of the first.
func (o opened) holds(t *testing.T, certificates ...[]byte) {
	t.Helper()
	if !slices.EqualFunc(o.certificates, certificates, bytes.Equal) {
		t.Fatalf("the secret has %d certificates, not the %d expected or in another order",
			len(o.certificates), len(certificates))
	}
	if o.key == nil {
		t.Fatal("the secret has no key")
	}
	if !bytes.Equal(publicOf(t, o.key), publicKey(t, certificates[0])) {
		t.Error("the secret's key is not the certificate's")
	}
}

// holdsNoKey checks that the value has these certificates and no key.
func (o opened) holdsNoKey(t *testing.T, certificates ...[]byte) {
	t.Helper()
	if !slices.EqualFunc(o.certificates, certificates, bytes.Equal) {
		t.Errorf("the secret has %d certificates, not the %d expected", len(o.certificates), len(certificates))
	}
	if o.key != nil {
		t.Error("the secret of a certificate that is not exportable has the key")
	}
}
