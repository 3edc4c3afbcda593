package servercert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A CA is a root that clients trust and an issuing CA below it, whose key is the only one that is kept: that of the root is
// gone once it has signed. Two, because some clients (Java's) do not apply the name constraints of a certificate that
// they trust itself. CAs of before are one, whose key is kept.
//
// ca.crt is the bundle of roots, issuing.crt has the issuing CAs, ca.key the key of the one that issues now: whose key it is
// says which that is, so that one rename changes it. The next CA waits in files of its own.
//
//	ca rotate   next.key, next.crt, bundle = current + next       clients get the bundle
//	ca switch   next.key becomes ca.key, bundle = next + current   the listener's certificate is of the next
//	ca retire   bundle = current
//
// A crash between two lines leaves a CA that is whole, and the command goes on when it is run again.

// Errors of a change of CAs out of its order.
var (
	ErrNoNext   = errors.New("servercert: there is no next CA")
	ErrHaveNext = errors.New("servercert: the next CA is there already")
)

// Authority describes a CA of the bundle.
type Authority struct {
	State       string // current, next, or former
	Subject     string
	Fingerprint string // SHA-256 of the certificate, as hex
	NotAfter    time.Time
	Names       []string // what it may sign; empty: anything
}

func (o *Own) path(name string) string { return filepath.Join(o.Dir, name) }

// bundle reads the CAs that clients trust.
func (o *Own) bundle() ([]*x509.Certificate, error) { return readCertificates(o.CAFile()) }

func readCertificates(path string) (list []*x509.Certificate, err error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return list, nil
}

func writeCertificates(path string, list ...*x509.Certificate) error {
	var blocks []*pem.Block
	for _, c := range list {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return writePEM(path, 0o644, blocks...)
}

// issuer is the CA that issues now.
type issuer struct {
	cert *x509.Certificate // it signs with key
	root *x509.Certificate // which clients trust; cert itself for a CA of before
	key  keyFile
}

// current finds the CA that issues now.
func (o *Own) current() (i issuer, err error) {
	if i.key, err = readKeyFile(o.path("ca.key")); err != nil {
		return i, err
	}
	roots, err := o.bundle()
	if err != nil {
		return i, err
	}
	id, err := i.key.id()
	if err != nil {
		return i, err
	}
	issuing, err := o.issuing()
	if err != nil {
		return i, err
	}
	for _, c := range slices.Concat(issuing, roots) {
		if keyID(c.PublicKey) != id {
			continue
		}
		for _, r := range roots {
			if c.Equal(r) || c.CheckSignatureFrom(r) == nil {
				i.cert, i.root = c, r
				return i, nil
			}
		}
	}
	return i, fmt.Errorf("the key of %s is of none of the CAs in %s", i.key.path, o.CAFile())
}

// issuing are the CAs below the roots.
func (o *Own) issuing() ([]*x509.Certificate, error) {
	list, err := readCertificates(o.path("issuing.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

// makeCA makes a CA that can sign the names of the listener only. The root comes last: its file says that the CA is
// there.
func (o *Own) makeCA(keyName string, place func(root *x509.Certificate) error) error {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := o.caTemplate("Coffer TLS CA")
	t.MaxPathLen = 1
	root, err := sign(t, t, rootKey.Public(), rootKey)
	if err != nil {
		return err
	}
	t = o.caTemplate("Coffer TLS issuing CA")
	t.MaxPathLenZero = true
	cert, err := sign(t, root, key.Public(), rootKey)
	if err != nil {
		return err
	}
	others, err := o.issuing()
	if err != nil {
		return err
	}
	if err := writeKey(o.path(keyName), key, o.Root); err != nil {
		return err
	}
	if err := writeCertificates(o.path("issuing.crt"), append(others, cert)...); err != nil {
		return err
	}
	return place(root)
}

func (o *Own) caTemplate(name string) *x509.Certificate {
	now := o.Now()
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name + " " + now.UTC().Format("2006-01-02 15:04:05")},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	constrain(t, o.Names)
	return t
}

func sign(t, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// constrain lets a CA sign these names only (RFC 5280, section 4.2.1.10): whoever has its key cannot be another site to the
// clients that trust it. The constraint is critical, so that no client passes over it.
func constrain(t *x509.Certificate, names []string) {
	t.PermittedDNSDomainsCritical = true
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())})
		} else if d := domain(n); !slices.Contains(t.PermittedDNSDomains, d) {
			t.PermittedDNSDomains = append(t.PermittedDNSDomains, d)
		}
	}
	// A kind of name without a constraint would be free.
	if len(t.PermittedIPRanges) == 0 {
		t.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	}
	if len(t.PermittedDNSDomains) == 0 {
		t.ExcludedDNSDomains = []string{""}
	}
}

// domain is the constraint that allows a name; the names below it are allowed too.
func domain(name string) string { return strings.TrimPrefix(strings.ToLower(name), "*.") }

// unconstrained reports a CA of before there were constraints.
func unconstrained(ca *x509.Certificate) bool {
	return len(ca.PermittedDNSDomains)+len(ca.ExcludedDNSDomains)+len(ca.PermittedIPRanges)+len(ca.ExcludedIPRanges) == 0
}

// permits reports whether the CA may sign a name.
func permits(ca *x509.Certificate, name string) bool {
	if unconstrained(ca) {
		return true
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return slices.ContainsFunc(ca.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(a.AsSlice()) })
	}
	d := domain(name)
	return slices.ContainsFunc(ca.PermittedDNSDomains, func(p string) bool { return d == p || strings.HasSuffix(d, "."+p) })
}

// Authorities are the CAs of the bundle, the current one first.
func (o *Own) Authorities() ([]Authority, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, err := o.current()
	if err != nil {
		return nil, err
	}
	next, err := o.next()
	if err != nil {
		return nil, err
	}
	list, err := o.bundle()
	if err != nil {
		return nil, err
	}
	var out []Authority
	for _, c := range list {
		sum := sha256.Sum256(c.Raw)
		a := Authority{State: "former", Subject: c.Subject.String(), Fingerprint: hex.EncodeToString(sum[:]), NotAfter: c.NotAfter,
			Names: slices.Clone(c.PermittedDNSDomains)}
		for _, r := range c.PermittedIPRanges {
			a.Names = append(a.Names, r.IP.String())
		}
		switch {
		case c.Equal(now.root):
			a.State = "current"
		case next != nil && c.Equal(next):
			a.State = "next"
		}
		out = append(out, a)
	}
	return out, nil
}

// next is the CA that waits; nil when there is none.
func (o *Own) next() (*x509.Certificate, error) {
	list, err := readCertificates(o.path("next.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Rotate makes the next CA and puts it into the bundle. The listener goes on as it is. ErrHaveNext when it is there.
func (o *Own) Rotate() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, err := o.current()
	if err != nil {
		return err
	}
	next, err := o.next()
	if err != nil {
		return err
	}
	if next == nil {
		if err := o.makeCA("next.key", func(c *x509.Certificate) error {
			next = c
			return writeCertificates(o.path("next.crt"), c)
		}); err != nil {
			return err
		}
	} else if list, err := o.bundle(); err != nil || slices.ContainsFunc(list, next.Equal) {
		return errors.Join(err, ErrHaveNext)
	}
	return writeCertificates(o.CAFile(), now.root, next)
}

// Switch makes the next CA the one that issues; the listener has a certificate of it at the next look. Clients that have not
// got the bundle refuse it. The key of the CA before is gone, its certificate stays in the bundle. ErrNoNext.
func (o *Own) Switch() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, err := o.current()
	if err != nil {
		return err
	}
	next, err := o.next()
	if err != nil {
		return err
	}
	if next == nil {
		return ErrNoNext
	}
	if !now.root.Equal(next) {
		if err := o.checkNext(next); err != nil {
			return err
		}
		if err := os.Rename(o.path("next.key"), o.path("ca.key")); err != nil { // from here on it issues
			return err
		}
		if err := writeCertificates(o.CAFile(), next, now.root); err != nil {
			return err
		}
	}
	return os.Remove(o.path("next.crt"))
}

// checkNext reports whether the next CA can issue, and clients can have it.
func (o *Own) checkNext(next *x509.Certificate) error {
	f, err := readKeyFile(o.path("next.key"))
	if err != nil {
		return err
	}
	key, err := f.open(o.Root)
	if err != nil {
		return err
	}
	issuing, err := o.issuing()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(issuing, func(c *x509.Certificate) bool {
		return keyID(c.PublicKey) == keyID(key.Public()) && c.CheckSignatureFrom(next) == nil
	}) {
		return fmt.Errorf("%s is not the key of the next CA", f.path)
	}
	roots, err := o.bundle()
	if err == nil && !slices.ContainsFunc(roots, next.Equal) { // a crash came before
		err = errors.New("the next CA is not in the bundle yet: run 'coffer ca rotate' again")
	}
	return err
}

// Retire takes the former CA out of the bundle: clients that fetch it trust the current one alone. ErrHaveNext while there is
// a next one.
func (o *Own) Retire() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, err := o.current()
	if err != nil {
		return err
	}
	next, err := o.next()
	if err != nil {
		return err
	}
	if next != nil {
		return ErrHaveNext
	}
	if !now.cert.Equal(now.root) {
		if err := writeCertificates(o.path("issuing.crt"), now.cert); err != nil {
			return err
		}
	}
	return writeCertificates(o.CAFile(), now.root)
}
