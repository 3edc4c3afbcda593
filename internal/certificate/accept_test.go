package certificate_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
)

// issuing is an installation whose issuer corp signs by issuing, below root, whatever
// change makes of it.
func issuing(t *testing.T, change func(*x509.Certificate)) (w *installation, log *bytes.Buffer, below, root *authority) {
	log = new(bytes.Buffer)
	w = newInstallation(t, func(c *certificate.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	root = newAuthority(t, "root", nil)
	below = newAuthority(t, "issuing", root)
	w.setIssuer("corp", "Test", true)
	w.deliver(func(o issuance.Order) (issuance.Answer, error) {
		leaf := below.certify(t, o.CSR, change)
		return issuance.Issued{Leaf: root.cert.Raw, Chain: [][]byte{below.cert.Raw, leaf.Raw, below.cert.Raw}}, nil // no order is trusted
	})
	return w, log, below, root
}

func (w *installation) lastDifferences() *audit.DifferenceProperties {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.differed[len(w.differed)-1]
}

// What is narrower than ordered is taken, goes on record with the end of the operation,
// and is told. The secret has the chain without its root, unless the order is kept.
func TestNarrowerIsTakenAndTold(t *testing.T) {
	narrow := func(c *x509.Certificate) {
		c.Subject.CommonName, c.NotAfter, c.ExtKeyUsage = "www.example.net", beginning.AddDate(0, 0, 90), c.ExtKeyUsage[:1]
	}
	for _, preserve := range []bool{false, true} {
		w, log, below, root := issuing(t, narrow)
		p := policyOf("corp")
		p.ContentType = ptr(issuance.PEM)
		_, err := w.create("web", certificate.CreateParams{Policy: p, PreserveOrder: preserve})
		w.must(err)
		w.must(w.work())
		b := w.get("web")
		if op := w.operation("web"); op.Status != issuance.Completed || !b.Version.Completed {
			t.Fatalf("%s %+v", op.Status, op.Error)
		}
		leaf, err := x509.ParseCertificate(b.Version.Leaf)
		w.must(err)
		served, stored := []*x509.Certificate{leaf, below.cert}, [][]byte{below.cert.Raw, root.cert.Raw}
		if preserve {
			served, stored = []*x509.Certificate{root.cert, below.cert, leaf}, [][]byte{root.cert.Raw, below.cert.Raw}
		}
		if got := certificatesOf(t, []byte(w.secret("web"))); !slices.EqualFunc(got, served, (*x509.Certificate).Equal) {
			t.Errorf("the secret has %s, want %s", names(got), names(served))
		}
		if !slices.EqualFunc(b.Version.Chain, stored, bytes.Equal) {
			t.Errorf("%d certificates of the chain are stored", len(b.Version.Chain))
		}
		d := w.lastDifferences()
		if d == nil || len(d.Wider) != 0 || len(d.Narrower) != 2 || !contains(d.Narrower[0], "1.3.6.1.5.5.7.3.2") || !contains(d.Narrower[1], "valid until 2026-05-01") {
			t.Errorf("on record: %+v", d)
		}
		for _, part := range []string{"level=WARN", "name=web", "issuer=corp", "1.3.6.1.5.5.7.3.2", "valid until 2026-05-01"} {
			if !contains(log.String(), part) {
				t.Errorf("%q is not told: %s", part, log)
			}
		}
		w.check()
	}
}

// What is as ordered is not told of.
func TestAsOrderedIsNotTold(t *testing.T) {
	w, log, _, _ := issuing(t, func(c *x509.Certificate) { c.Subject.CommonName = "www.example.net" })
	w.begin("web", policyOf("corp"))
	w.begin("own", selfPolicy())
	w.must(w.work())
	for range 2 {
		if d := w.lastDifferences(); d != nil {
			t.Errorf("on record: %+v", d)
		}
	}
	if log.Len() != 0 {
		t.Errorf("told: %s", log)
	}
}

// What is wider or different ends the operation with the reason; nothing of it is kept,
// and the certificate can still be merged for the pending key.
func TestWiderIsRefusedWithTheReason(t *testing.T) {
	w, log, below, _ := issuing(t, func(c *x509.Certificate) {
		c.DNSNames, c.IsCA, c.BasicConstraintsValid = []string{"www.example.org"}, true, true
	})
	op := w.begin("web", policyOf("corp"))
	w.must(w.work())
	ended := w.operation("web")
	if ended.Status != issuance.Failed || ended.Error == nil || ended.Error.Code != issuance.IssuerError {
		t.Fatalf("%s %+v", ended.Status, ended.Error)
	}
	for _, part := range []string{`dns_names without "www.example.net"`, "it is a CA", "serial number"} {
		if !contains(ended.Error.Message, part) {
			t.Errorf("%q is not in %q", part, ended.Error.Message)
		}
	}
	if b := w.get("web"); b.Version.Completed || w.lastDifferences() != nil || log.Len() != 0 {
		t.Errorf("%+v is kept, told: %s", b.Version, log)
	}
	w.check()
	if _, err := w.merge("web", certificate.MergeParams{X5C: x5c(below.certify(t, op.CSR, isCA))}); err != nil {
		t.Error(err)
	}
	w.check()
}

func isCA(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }

// A merge takes what the caller brings (contract certificates.md, 8.7 rule 4), and has
// on record how it differs from the order.
func TestMergeHasDifferencesOnRecord(t *testing.T) {
	w := newInstallation(t)
	root, unrelated := newAuthority(t, "root", nil), newAuthority(t, "unrelated", nil)
	op := w.begin("web", policyOf("Unknown"))
	leaf := root.certify(t, op.CSR, isCA, func(c *x509.Certificate) { c.NotBefore, c.ExtKeyUsage = beginning.AddDate(0, 1, 0), nil })
	g := w.grant(access.CertificatePendingMerge, "web")
	b, err := w.service.Merge(t.Context(), g, certificate.MergeParams{X5C: x5c(leaf, unrelated.cert)})
	w.must(err)
	if !bytes.Equal(b.Version.Leaf, leaf.Raw) || len(b.Version.Chain) != 1 {
		t.Errorf("%+v", b.Version)
	}
	w.must(g.Attempt().Finish(audit.Outcome{Status: 201}))
	line := w.grants.Recorded()
	for _, part := range []string{`"certificateDifferences":{"wider":[`, "it is a CA", "not valid before 2026-03-03", "no limit of extended key usages", "the chain is of another certificate"} {
		if !strings.Contains(line, part) {
			t.Errorf("%q is not on record: %s", part, line)
		}
	}
	w.check()
}
