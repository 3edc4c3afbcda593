package servercert

import (
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
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lifetimes of the own CA and of what it issues. A leaf is renewed when a third
// of its life is left, the CA by an operator only: clients trust its file.
const (
	caLife    = 20 * 365 * 24 * time.Hour
	leafLife  = 90 * 24 * time.Hour
	renewLeft = leafLife / 3
	backdate  = 10 * time.Minute // clients' clocks may be behind
)

// Config is what an Own is made of.
type Config struct {
	Dir   string           // made when absent
	Names []string         // DNS names and IP addresses of the listener
	Root  RootKey          // seals the private keys; nil: they are in clear
	Now   func() time.Time // the clock
	Log   *slog.Logger     // told of names that the CA may not sign
}

// Own is a CA in a folder, with the certificate that it gives the listener. The
// keys are files of mode 0600. It is safe for concurrent use.
type Own struct {
	Config

	mu   sync.Mutex
	last *tls.Certificate // guarded by mu; what was loaded, so that its key is not opened each time
	told string           // guarded by mu; the names that were told of
}

// NewOwn uses the folder of cfg, and makes a CA where there is none.
func NewOwn(cfg Config) (*Own, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	o := &Own{Config: cfg}
	if _, err := os.Stat(o.CAFile()); errors.Is(err, fs.ErrNotExist) {
		return o, o.makeCA("ca.key", func(c *x509.Certificate) error { return writeCertificates(o.CAFile(), c) })
	}
	return o, nil
}

// CAFile is the PEM file that clients must trust.
func (o *Own) CAFile() string { return o.path("ca.crt") }

// Reseal seals the private keys by the current root key. Call it before an old one is
// forgotten.
func (o *Own) Reseal() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for _, name := range []string{"ca.key", "next.key", "server.key"} {
		errs = append(errs, reseal(o.path(name), o.Root))
	}
	return errors.Join(errs...)
}

// Load gives the listener's certificate, made or renewed when it must be. Private keys that
// are in clear, or sealed by a root key of before, are sealed by the current one.
func (o *Own) Load() (*tls.Certificate, error) {
	if err := o.Reseal(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ca, err := o.current()
	if err != nil {
		return nil, err
	}
	names := o.permitted(ca.cert)
	if c, err := o.read(); err == nil && o.good(c.Leaf, ca.cert, names) {
		return c, nil
	}
	if err := o.issue(ca, names); err != nil {
		return nil, fmt.Errorf("issuing the listener's certificate: %w", err)
	}
	return o.read()
}

// read loads the certificate with its key.
func (o *Own) read() (*tls.Certificate, error) {
	chain, err := readCertificates(o.path("server.crt"))
	if err != nil {
		return nil, err
	}
	f, err := readKeyFile(o.path("server.key"))
	if err != nil {
		return nil, err
	}
	id, err := f.id()
	if err != nil || id != keyID(chain[0].PublicKey) {
		return nil, errors.Join(err, fmt.Errorf("%s is not the key of %s", f.path, o.path("server.crt")))
	}
	if o.last != nil && o.last.Leaf.Equal(chain[0]) {
		return o.last, nil
	}
	key, err := f.open(o.Root)
	if err != nil {
		return nil, err
	}
	o.last = &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		o.last.Certificate = append(o.last.Certificate, c.Raw)
	}
	return o.last, nil
}

// permitted are the names that the CA may sign; others would spoil the whole
// certificate. They are told of, once.
func (o *Own) permitted(ca *x509.Certificate) (names []string) {
	var beyond []string
	for _, n := range o.Names {
		if permits(ca, n) {
			names = append(names, n)
		} else {
			beyond = append(beyond, n)
		}
	}
	if text := strings.Join(beyond, ", "); text != o.told {
		o.told = text
		if text != "" {
			o.Log.Warn("names of the listener are not in its certificate, for its CA may not sign them: make a CA that may, with 'coffer ca rotate'", "names", text)
		}
	}
	return names
}

// good reports whether the certificate has life left, every name, and our CA.
func (o *Own) good(leaf, ca *x509.Certificate, names []string) bool {
	if o.Now().Add(renewLeft).After(leaf.NotAfter) || o.Now().Before(leaf.NotBefore) {
		return false
	}
	want := template(names, nil, leaf.NotBefore, leaf.NotAfter)
	if !slices.Equal(leaf.DNSNames, want.DNSNames) || len(leaf.IPAddresses) != len(want.IPAddresses) {
		return false
	}
	for i := range want.IPAddresses {
		if !leaf.IPAddresses[i].Equal(want.IPAddresses[i]) {
			return false
		}
	}
	return leaf.CheckSignatureFrom(ca) == nil
}

func (o *Own) issue(ca issuer, names []string) error {
	caKey, err := ca.key.open(o.Root)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := o.Now()
	notAfter := now.Add(leafLife)
	if notAfter.After(ca.cert.NotAfter) {
		notAfter = ca.cert.NotAfter
	}
	leaf, err := sign(template(names, serial(), now.Add(-backdate), notAfter), ca.cert, key.Public(), caKey)
	if err != nil {
		return err
	}
	if err := writeKey(o.path("server.key"), key, o.Root); err != nil {
		return err
	}
	chain := []*x509.Certificate{leaf}
	if !ca.cert.Equal(ca.root) {
		chain = append(chain, ca.cert)
	}
	return writeCertificates(o.path("server.crt"), chain...)
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
			t.DNSNames = append(t.DNSNames, strings.ToLower(n))
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

// writePEM replaces a file whole: a reader sees the old one or the new one.
func writePEM(path string, mode fs.FileMode, blocks ...*pem.Block) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tls-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	for _, b := range blocks {
		if err == nil {
			err = pem.Encode(f, b)
		}
	}
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
