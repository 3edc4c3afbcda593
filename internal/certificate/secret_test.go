package certificate_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
)

// shape is one kind of policy.
type shape struct {
	kty, curve, contentType string
	exportable              bool
}

func shapes() (all []shape) {
	for _, k := range [][2]string{{"EC", "P-256"}, {"EC", "P-384"}, {"EC", "P-521"}, {"EC", "P-256K"}, {"RSA", ""}} {
		for _, contentType := range []string{issuance.PKCS12, issuance.PEM} {
			for _, exportable := range []bool{true, false} {
				all = append(all, shape{k[0], k[1], contentType, exportable})
			}
		}
	}
	return all
}

func (s shape) policy() *issuance.Patch {
	p := selfPolicy()
	p.Key = issuance.KeyPatch{Type: &s.kty, Exportable: &s.exportable}
	if s.curve != "" {
		p.Key.Curve = &s.curve
	}
	p.ContentType = &s.contentType
	return p
}

// The secret of each kind of certificate, as openssl reads it: the certificate
// once, with its own key if the policy lets it out.
func TestSecretForms(t *testing.T) {
	for _, modern := range []bool{false, true} {
		w := newInstallation(t, func(c *certificate.Config) { c.ModernPKCS12 = modern })
		for _, s := range shapes() {
			if modern && s.contentType == issuance.PEM {
				continue
			}
			name := fmt.Sprintf("%+v, modern %v", s, modern)
			b := w.issued("web", s.policy())
			value := w.secret("web")
			text := []byte(value)
			if s.contentType == issuance.PKCS12 {
				pfx, err := base64.StdEncoding.Strict().DecodeString(value)
				if err != nil || strings.ContainsAny(value, "\r\n") {
					t.Fatalf("%s: not one line of base64: %v", name, err)
				}
				text = openssl(t, pfx, "pkcs12", "-passin", "pass:", "-nodes")
			}
			if got := strings.Count(string(text), "BEGIN CERTIFICATE"); got != 1 {
				t.Errorf("%s: %d certificates", name, got)
			}
			if got := strings.Count(string(text), "PRIVATE KEY-----"); got != 2 && s.exportable || got != 0 && !s.exportable {
				t.Errorf("%s: %d lines of keys", name, got)
			}
			if der := openssl(t, text, "x509", "-outform", "DER"); !bytes.Equal(der, b.Version.Leaf) {
				t.Errorf("%s: another certificate", name)
			}
			if s.exportable {
				if a, b := openssl(t, text, "pkey", "-pubout"), openssl(t, text, "x509", "-noout", "-pubkey"); !bytes.Equal(a, b) {
					t.Errorf("%s: the key is not the certificate's", name)
				}
			}
			if s.contentType == issuance.PEM && s.exportable && !pemLayout.MatchString(value) {
				t.Errorf("%s: layout\n%s", name, value)
			}
		}
		w.check()
	}
}

// pemLayout is the recorded form: LF, the key first, nothing else.
var pemLayout = regexp.MustCompile(`^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PRIVATE KEY-----\n` +
	`-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n$`)

// exportable is the policy's when the version is made; a later change does not
// reach it.
func TestExportableCountsWhenTheVersionIsMade(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", shape{"EC", "P-256", issuance.PEM, false}.policy())
	_, err := w.service.UpdatePolicy(t.Context(), w.grant(access.CertificatePolicyUpdate, "web"),
		&issuance.Patch{Key: issuance.KeyPatch{Exportable: ptr(true)}})
	w.must(err)
	if contains(w.secret("web"), "PRIVATE") {
		t.Error("the key came out by a change of the policy")
	}
	w.issued("web", nil)
	if !contains(w.secret("web"), "PRIVATE") {
		t.Error("the next version keeps the key")
	}
}

// The certificate that the whole service makes, judged by openssl, crypto/x509
// and zlint.
func TestIssuedCertificateHoldsWhatThePolicyAsks(t *testing.T) {
	w := newInstallation(t)
	rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813}})
	if err != nil || len(rules.Names()) < 100 {
		t.Fatalf("%d rules, %v", len(rules.Names()), err)
	}
	for _, s := range shapes() {
		if s.contentType == issuance.PEM || !s.exportable {
			continue
		}
		p := s.policy()
		p.X509 = issuance.X509Patch{
			Subject: ptr("CN=www.example.net, O=Example, C=DE"), ValidityMonths: ptr(13),
			SANs: &issuance.SANs{DNSNames: []string{"www.example.net"}, Emails: []string{"a@b.c"}, UPNs: []string{"u@d"},
				URIs: []string{"https://example.net"}, IPAddresses: []string{"192.0.2.1"}},
			EKUs: []string{"1.3.6.1.5.5.7.3.1"}, KeyUsage: []string{"digitalSignature", "crlSign", "keyCertSign"},
			CA: ptr(true), PathLen: ptr(0),
		}
		b := w.issued("web", p)
		leaf := toPEM("CERTIFICATE", b.Version.Leaf)
		text := string(openssl(t, leaf, "x509", "-noout", "-text", "-nameopt", "RFC2253"))
		for _, line := range []string{
			"Subject: CN=www.example.net,O=Example,C=DE\n", "Issuer: CN=www.example.net,O=Example,C=DE\n",
			"Not Before: Jan 31 13:55:06 2026 GMT\n", "Not After : Feb 28 14:05:06 2027 GMT\n",
			"email:a@b.c, othername: UPN::u@d", "DNS:www.example.net, URI:https://example.net/, IP Address:192.0.2.1\n",
			"TLS Web Server Authentication\n", "Digital Signature, Certificate Sign, CRL Sign\n", "CA:TRUE, pathlen:0\n",
		} {
			if !strings.Contains(strings.ReplaceAll(text, "<unsupported>, ", ""), line) {
				t.Errorf("%s: no %q in\n%s", s.curve, line, text)
			}
		}
		path := file(t, "cert.pem", leaf)
		openssl(t, nil, "verify", "-x509_strict", "-check_ss_sig", "-attime", fmt.Sprint(beginning.Unix()), "-CAfile", path, path)
		if csr := openssl(t, toPEM("CERTIFICATE REQUEST", w.operation("web").CSR), "req", "-verify", "-noout", "-text"); !bytes.Contains(csr, []byte("www.example.net")) {
			t.Errorf("%s: the request asks for something else", s.curve)
		}
		if s.curve == "P-256K" {
			continue // neither crypto/x509 nor zlint knows the curve
		}
		parsed, err := x509.ParseCertificate(b.Version.Leaf)
		if err != nil || !parsed.NotBefore.Equal(beginning.Add(-10*time.Minute)) {
			t.Errorf("%s: %v", s.curve, err)
		}
		linted, err := zx509.ParseCertificate(b.Version.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		for rule, result := range zlint.LintCertificateEx(linted, rules).Results {
			if result.Status >= lint.Warn {
				t.Errorf("%s: %s: %s %s", s.curve, rule, result.Status, result.Details)
			}
		}
	}
	w.check()
}
