package servercert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Lifetimes of the own CA and of what it issues. A leaf is renewed when a third
// of its life is left, the CA never: clients trust its file.
const (
	caLife    = 20 * 365 * 24 * time.Hour
	leafLife  = 90 * 24 * time.Hour
	renewLeft = leafLife / 3
	backdate  = 10 * time.Minute // clients' clocks may be behind
)

// Own is a CA in a folder, with the certificate that it gives the listener. The
// keys are files of mode 0600.
type Own struct {
	dir   string
	names []string
	now   func() time.Time
}

// NewOwn uses dir, making it when absent; names are the DNS names and IP
// addresses of the listener.
func NewOwn(dir string, names []string, now func() time.Time) (*Own, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	o := &Own{dir: dir, names: names, now: now}
	if _, err := os.Stat(o.CAFile()); errors.Is(err, fs.ErrNotExist) {
		return o, o.makeCA()
	}
	return o, nil
}

// CAFile is the PEM file that clients must trust.
func (o *Own) CAFile() string { return filepath.Join(o.dir, "ca.crt") }

// Load gives the listener's certificate, made or renewed when it must be.
func (o *Own) Load() (*tls.Certificate, error) {
	crt, key := filepath.Join(o.dir, "server.crt"), filepath.Join(o.dir, "server.key")
	if c, err := tls.LoadX509KeyPair(crt, key); err == nil && o.good(c.Leaf) {
		return &c, nil
	}
	if err := o.issue(crt, key); err != nil {
		return nil, fmt.Errorf("issuing the listener's certificate: %w", err)
	}
	c, err := tls.LoadX509KeyPair(crt, key)
	return &c, err
}

// good reports whether the certificate has life left, every name, and our CA.
func (o *Own) good(leaf *x509.Certificate) bool {
	if leaf == nil || o.now().Add(renewLeft).After(leaf.NotAfter) || o.now().Before(leaf.NotBefore) {
		return false
	}
	want := template(o.names, nil, leaf.NotBefore, leaf.NotAfter)
	if !slices.Equal(leaf.DNSNames, want.DNSNames) || len(leaf.IPAddresses) != len(want.IPAddresses) {
		return false
	}
	for i := range want.IPAddresses {
		if !leaf.IPAddresses[i].Equal(want.IPAddresses[i]) {
			return false
		}
	}
	ca, _, err := o.ca()
	return err == nil && leaf.CheckSignatureFrom(ca) == nil
}

func (o *Own) makeCA() error {
	now := o.now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Coffer TLS CA " + now.UTC().Format("2006-01-02")},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	// The certificate comes last: its file says that the CA is there.
	if err := writeKey(filepath.Join(o.dir, "ca.key"), key); err != nil {
		return err
	}
	return writePEM(o.CAFile(), "CERTIFICATE", der, 0o644)
}

func (o *Own) ca() (*x509.Certificate, crypto.Signer, error) {
	pair, err := tls.LoadX509KeyPair(o.CAFile(), filepath.Join(o.dir, "ca.key"))
	if err != nil {
		return nil, nil, err
	}
	return pair.Leaf, pair.PrivateKey.(crypto.Signer), nil
}

func (o *Own) issue(crt, keyFile string) error {
	ca, caKey, err := o.ca()
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := o.now()
	notAfter := now.Add(leafLife)
	if notAfter.After(ca.NotAfter) {
		notAfter = ca.NotAfter
	}
	t := template(o.names, serial(), now.Add(-backdate), notAfter)
	der, err := x509.CreateCertificate(rand.Reader, t, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	if err := writeKey(keyFile, key); err != nil {
		return err
	}
	return writePEM(crt, "CERTIFICATE", der, 0o644)
}

func template(names []string, serial *big.Int, notBefore, notAfter time.Time) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Coffer"},
		NotBefore:    notBefore, NotAfter: notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			t.IPAddresses = append(t.IPAddresses, a.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return t
}

// serial is 127 random bits: positive and at most 20 octets (RFC 5280, section
// 4.1.2.2).
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

func writeKey(path string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der, 0o600)
}

// writePEM replaces a file whole: a reader sees the old one or the new one.
func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tls-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
