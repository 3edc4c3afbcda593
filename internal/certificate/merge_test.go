package certificate_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
)

func TestMergeCompletesTheOperation(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	p := policyOf("Unknown")
	p.X509.ValidityMonths = ptr(24)
	op, err := w.create("Web", certificate.CreateParams{Policy: p, Tags: object.Tags{"a": "1"}})
	w.must(err)
	stand := w.get("web").Version.Version
	w.pass(48 * time.Hour)
	leaf := root.certify(t, op.CSR, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = "quite another", nil // not looked at
		c.NotBefore, c.NotAfter = beginning.AddDate(4, 0, 0), beginning.AddDate(9, 0, 0)
	})
	b, err := w.merge("WEB", certificate.MergeParams{X5C: x5c(leaf, root.cert)})
	w.must(err)
	a := b.Version.Attributes
	if b.Certificate.Head.Name.String() != "Web" || b.Version.Name.String() != "Web" || !b.Version.Completed || b.Version.Version == stand ||
		!bytes.Equal(b.Version.Leaf, leaf.Raw) || !b.Certificate.Pending || !a.Enabled || b.Version.Tags["a"] != "1" {
		t.Errorf("%+v of %+v", b.Version, b.Certificate)
	}
	if !a.NotBefore.Equal(leaf.NotBefore) || !a.Expires.Equal(leaf.NotAfter) || !a.Created.Equal(w.now()) || !a.Updated.Equal(w.now()) {
		t.Errorf("attributes %+v", a)
	}
	if b.Certificate.Policy.X509.ValidityMonths != 24 || b.Certificate.Policy.X509.Subject != "CN=www.example.net" {
		t.Errorf("the policy took something from the certificate: %+v", b.Certificate.Policy.X509)
	}
	if op := w.operation("web"); op.Status != issuance.Completed || op.Private != nil {
		t.Errorf("operation %+v", op)
	}
	w.check()
	_, err = w.merge("web", certificate.MergeParams{X5C: x5c(leaf)})
	w.refused(err, fault.Forbidden, "Pending status must be in progress to allow update.")
	_, err = w.merge("nobody", certificate.MergeParams{X5C: x5c(leaf)})
	w.refused(err, fault.NotFound, "Pending certificate not found: nobody")
}

func TestMergeTakesTagsAndEnabled(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	op, err := w.create("web", certificate.CreateParams{Policy: policyOf("Unknown"), Tags: object.Tags{"a": "1"}, Enabled: ptr(false)})
	w.must(err)
	b, err := w.merge("web", certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR)), Tags: object.Tags{"b": "2"}, Enabled: ptr(true)})
	w.must(err)
	if v := b.Version; !v.Attributes.Enabled || len(v.Tags) != 1 || v.Tags["b"] != "2" {
		t.Errorf("%+v", v)
	}
	w.check()
}

// The chain of the secret, as openssl sees it, for each form of the input.
func TestMergedChain(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	middle := newAuthority(t, "middle", root)
	issuing := newAuthority(t, "issuing", middle)
	unrelated := newAuthority(t, "unrelated", nil)
	type certs = []*x509.Certificate
	for _, c := range []struct {
		claim    string
		preserve bool
		x5c      func(leaf *x509.Certificate) []string
		want     func(leaf *x509.Certificate) certs
	}{
		{"in order", false,
			func(l *x509.Certificate) []string { return x5c(l, issuing.cert, middle.cert, root.cert) },
			func(l *x509.Certificate) certs { return certs{l, issuing.cert, middle.cert, root.cert} }},
		{"alone", false,
			func(l *x509.Certificate) []string { return x5c(l) },
			func(l *x509.Certificate) certs { return certs{l} }},
		{"unordered, the leaf last, an unrelated one and a copy between", false,
			func(l *x509.Certificate) []string {
				return x5c(root.cert, unrelated.cert, middle.cert, l, issuing.cert, l)
			},
			func(l *x509.Certificate) certs {
				return certs{l, issuing.cert, middle.cert, root.cert, unrelated.cert}
			}},
		{"kept in order", true,
			func(l *x509.Certificate) []string { return x5c(root.cert, l, issuing.cert) },
			func(l *x509.Certificate) certs { return certs{root.cert, l, issuing.cert} }},
		{"with PEM armour", false,
			func(l *x509.Certificate) []string {
				return []string{string(toPEM("CERTIFICATE", l.Raw)), string(toPEM("CERTIFICATE", middle.cert.Raw, issuing.cert.Raw))}
			},
			func(l *x509.Certificate) certs { return certs{l, issuing.cert, middle.cert} }},
		{"a PKCS#7 bundle by openssl", false,
			func(l *x509.Certificate) []string {
				all := file(t, "all.pem", toPEM("CERTIFICATE", root.cert.Raw, issuing.cert.Raw, l.Raw, middle.cert.Raw))
				return []string{base64.StdEncoding.EncodeToString(openssl(t, nil, "crl2pkcs7", "-nocrl", "-certfile", all, "-outform", "DER"))}
			},
			func(l *x509.Certificate) certs { return certs{l, issuing.cert, middle.cert, root.cert} }},
		{"a PFX without a key by openssl", false,
			func(l *x509.Certificate) []string {
				all := toPEM("CERTIFICATE", l.Raw, issuing.cert.Raw, middle.cert.Raw)
				return []string{base64.StdEncoding.EncodeToString(openssl(t, all, "pkcs12", "-export", "-nokeys", "-passout", "pass:"))}
			},
			func(l *x509.Certificate) certs { return certs{l, issuing.cert, middle.cert} }},
	} {
		p := policyOf("Unknown")
		p.ContentType = ptr(issuance.PEM)
		op, err := w.create("web", certificate.CreateParams{Policy: p, PreserveOrder: c.preserve})
		w.must(err)
		leaf := issuing.certify(t, op.CSR)
		b, err := w.merge("web", certificate.MergeParams{X5C: c.x5c(leaf)})
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		if !bytes.Equal(b.Version.Leaf, leaf.Raw) || b.Version.PreserveOrder != c.preserve {
			t.Errorf("%s: another leaf", c.claim)
		}
		got := certificatesOf(t, []byte(w.secret("web")))
		want := c.want(leaf)
		same := len(got) == len(want)
		for i := 0; same && i < len(got); i++ {
			same = got[i].Equal(want[i])
		}
		if !same {
			t.Errorf("%s: %s; want %s", c.claim, names(got), names(want))
		}
	}
	w.check()
}

func names(certs []*x509.Certificate) string {
	var out []string
	for _, c := range certs {
		out = append(out, c.Subject.CommonName)
	}
	return strings.Join(out, ", ")
}

func TestMergeRefusals(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	op := w.begin("web", policyOf("Unknown"))
	good := root.certify(t, op.CSR)
	expired := root.certify(t, op.CSR, func(c *x509.Certificate) { c.NotAfter = beginning.Add(-time.Second) })
	before := w.dump("web")
	for _, c := range []struct {
		claim string
		p     certificate.MergeParams
		text  string
	}{
		{"nothing", certificate.MergeParams{}, "x5c"},
		{"not base64", certificate.MergeParams{X5C: []string{"§"}}, ""},
		{"not a certificate", certificate.MergeParams{X5C: []string{base64.StdEncoding.EncodeToString([]byte("hello"))}}, ""},
		{"a cut certificate", certificate.MergeParams{X5C: []string{base64.StdEncoding.EncodeToString(good.Raw[:len(good.Raw)-1])}}, ""},
		{"another key", certificate.MergeParams{X5C: x5c(newPair(t, root).cert, root.cert)}, "does not match the public part of the specified private key"},
		{"expired", certificate.MergeParams{X5C: x5c(expired)}, "X509 Certificate is already expired"},
		{"bad tags", certificate.MergeParams{X5C: x5c(good), Tags: object.Tags{strings.Repeat("x", 257): ""}}, "tags"},
		{"too many", certificate.MergeParams{X5C: x5c(append([]*x509.Certificate{good}, make101(root.cert)...)...)}, "too long"},
	} {
		_, err := w.merge("web", c.p)
		if !fault.Is(err, fault.Invalid) || !contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.claim, err)
		}
		if w.dump("web") != before {
			t.Errorf("%s: the refusal left something", c.claim)
		}
	}
	// The last second of its validity is one in which it is valid.
	last := root.certify(t, op.CSR, func(c *x509.Certificate) { c.NotAfter = beginning })
	if _, err := w.merge("web", certificate.MergeParams{X5C: x5c(last)}); err != nil {
		t.Error(err)
	}
	w.check()
}

func make101(c *x509.Certificate) (out []*x509.Certificate) {
	for range 101 {
		out = append(out, c)
	}
	return out
}

// A named issuer's operation can be merged only after the issuer has failed or
// the operation was cancelled.
func TestMergeAfterANamedIssuer(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	for name, end := range map[string]func(){
		"corp": func() {
			w.deliver(func(issuance.Order) (issuance.Answer, error) {
				return &issuance.OperationError{Code: issuance.IssuerError, Message: "no"}, nil
			})
		},
		"Self": func() { _, err := w.cancel("web", true); w.must(err) },
	} {
		w.setIssuer("corp", "Test", true)
		op := w.begin("web", policyOf(name))
		leaf := root.certify(t, op.CSR)
		_, err := w.merge("web", certificate.MergeParams{X5C: x5c(leaf)})
		w.refused(err, fault.Forbidden, "Merge is forbidden on pending object created with issuer : "+name+" while it is in progess.")
		end()
		w.must(w.work())
		if _, err := w.merge("web", certificate.MergeParams{X5C: x5c(leaf)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if op := w.operation("web"); op.Status != issuance.Completed || op.Error != nil {
			t.Errorf("%s: %+v", name, op)
		}
		w.check()
	}
}

// A deletion abandons what an issuer was asked for; what waits for a merge can
// be merged after the recovery.
func TestOperationAcrossDeletion(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	op := w.begin("manual", policyOf("Unknown"))
	w.begin("auto", selfPolicy())
	for _, name := range []string{"manual", "auto"} {
		if b := w.remove(name); b.Version.Completed || !b.Certificate.Pending {
			t.Errorf("%s: %+v", name, b.Certificate)
		}
		_, err := w.service.Operation(t.Context(), w.grant(access.CertificatePendingGet, name), "")
		w.refused(err, fault.NotFound, "Pending certificate not found")
		_, err = w.merge(name, certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR))})
		w.refused(err, fault.NotFound, "Pending certificate not found")
	}
	w.pass(time.Hour)
	w.must(w.work())
	w.check()
	for name, want := range map[string]issuance.Status{"manual": issuance.InProgress, "auto": issuance.Cancelled} {
		if b := w.recover(name); b.Version.Completed || !b.Certificate.Pending {
			t.Errorf("%s: %+v", name, b.Certificate)
		}
		if op := w.operation(name); op.Status != want {
			t.Errorf("%s: %+v", name, op)
		}
	}
	if _, err := w.merge("manual", certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR))}); err != nil {
		t.Error(err)
	}
	w.issued("auto", nil)
	w.check()
}
