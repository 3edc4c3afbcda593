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
	"coffer/internal/key"
	"coffer/internal/object"
)

// material is a key with certificates, all made by openssl.
type material struct {
	key, leaf string // files
	leafDER   []byte
}

// made is a self-signed certificate of a kind of key. Its validity begins with
// the real time, later than the time of the test's installation.
func made(t testing.TB, days string, algorithm ...string) material {
	t.Helper()
	m := material{key: file(t, "key.pem", openssl(t, nil, append([]string{"genpkey", "-out", "-"}, algorithm...)...))}
	m.leaf = file(t, "leaf.pem", openssl(t, nil, "req", "-x509", "-new", "-key", m.key, "-days", days,
		"-subj", "/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd", "-addext", "keyUsage=critical,digitalSignature",
		"-addext", "subjectAltName=DNS:example.net,email:a@b.c"))
	m.leafDER = openssl(t, nil, "x509", "-in", m.leaf, "-outform", "DER")
	return m
}

var (
	ofP256  = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}
	ofP256K = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"}
	ofRSA   = []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
)

func TestImportFormats(t *testing.T) {
	w := newInstallation(t)
	m := made(t, "365", ofP256...)
	key := string(openssl(t, nil, "pkey", "-in", m.key))
	sec1 := string(openssl(t, nil, "ec", "-in", m.key))
	locked := string(openssl(t, nil, "pkcs8", "-topk8", "-in", m.key, "-passout", "pass:s3cret"))
	leaf := string(openssl(t, nil, "x509", "-in", m.leaf))
	pfx := func(args ...string) string {
		args = append([]string{"pkcs12", "-export", "-inkey", m.key, "-in", m.leaf}, args...)
		return base64.StdEncoding.EncodeToString(openssl(t, nil, args...))
	}
	lines := pfx("-passout", "pass:")
	for i := 64; i < len(lines); i += 65 {
		lines = lines[:i] + "\n" + lines[i:]
	}
	for _, c := range []struct {
		claim, value, password, contentType string
	}{
		{"PEM, key first", key + leaf, "", issuance.PEM},
		{"PEM, key last, as Windows writes", strings.ReplaceAll(leaf+key, "\n", "\r\n"), "", issuance.PEM},
		{"PEM with a key of RFC 5915", sec1 + leaf, "", issuance.PEM},
		{"PEM with a locked key", locked + leaf, "s3cret", issuance.PEM},
		{"PEM in base64", base64.StdEncoding.EncodeToString([]byte(key + leaf)), "", issuance.PEM},
		{"PFX, empty password", pfx("-passout", "pass:"), "", issuance.PKCS12},
		{"PFX, modern", pfx("-passout", "pass:s3cret"), "s3cret", issuance.PKCS12},
		{"PFX, 3DES and SHA-1", pfx("-passout", "pass:s3cret", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"), "s3cret", issuance.PKCS12},
		{"PFX in lines, as the CLI sends it", lines + "\n", "", issuance.PKCS12},
	} {
		b, err := w.importing("web", certificate.ImportParams{Value: hidden(c.value), Password: hidden(c.password)})
		if err != nil {
			t.Errorf("%s: %v", c.claim, err)
			continue
		}
		p := b.Certificate.Policy
		if !bytes.Equal(b.Version.Leaf, m.leafDER) || p.ContentType != c.contentType || b.Certificate.Pending || !b.Version.Attributes.Enabled {
			t.Errorf("%s: %s, %+v", c.claim, p.ContentType, b.Version)
		}
		// The same again, as it is given out.
		again, err := w.importing("again", certificate.ImportParams{Value: hidden(w.secret("web"))})
		if err != nil || !bytes.Equal(again.Version.Leaf, m.leafDER) {
			t.Errorf("%s: the secret cannot be imported: %v", c.claim, err)
		}
	}
	w.check()
}

// A weak key is refused after the service's sentence, by the name of what is wrong.
func TestImportNamesWhatMakesAKeyWeak(t *testing.T) {
	w := newInstallation(t)
	roca := "../pki/testdata/roca.pem"
	three := file(t, "three.pem", openssl(t, nil, append([]string{"genpkey", "-out", "-", "-pkeyopt", "rsa_keygen_pubexp:3"}, ofRSA...)...))
	for path, want := range map[string]string{roca: "ROCA, CVE-2017-15361", three: "its public exponent e is smaller than 65537"} {
		leaf := openssl(t, nil, "req", "-x509", "-new", "-key", path, "-days", "30", "-subj", "/CN=x")
		value := string(openssl(t, nil, "pkey", "-in", path)) + string(leaf)
		_, err := w.importing("web", certificate.ImportParams{Value: hidden(value)})
		w.refused(err, fault.Invalid, "One or more X.509 properties are invalid. The private key is weak: ")
		w.refused(err, fault.Invalid, want)
	}
	w.check()
}

func TestPolicyFromImport(t *testing.T) {
	w := newInstallation(t)
	for _, c := range []struct {
		claim     string
		algorithm []string
		days      string
		key       issuance.KeyProps
		months    int
	}{
		{"P-256", ofP256, "265", issuance.KeyProps{Type: "EC", Size: 256, Curve: "P-256", Exportable: true}, 9},
		{"P-256K", ofP256K, "3650", issuance.KeyProps{Type: "EC", Size: 256, Curve: "P-256K", Exportable: true}, 120},
		{"RSA", ofRSA, "31", issuance.KeyProps{Type: "RSA", Size: 2048, Exportable: true}, 2},
	} {
		m := made(t, c.days, c.algorithm...)
		value := string(openssl(t, nil, "pkey", "-in", m.key)) + string(openssl(t, nil, "x509", "-in", m.leaf))
		b, err := w.importing("web", certificate.ImportParams{Value: hidden(value), Tags: object.Tags{"a": ""}, Enabled: ptr(false)})
		if err != nil {
			t.Errorf("%s: %v", c.claim, err)
			continue
		}
		p := b.Certificate.Policy
		months := p.X509.ValidityMonths
		if c.days == "31" { // a month or two, as the calendar has it
			months = max(months, 2)
		}
		if p.Key != c.key || months != c.months {
			t.Errorf("%s: key %+v, %d months", c.claim, p.Key, p.X509.ValidityMonths)
		}
		// DER C, ST, O renders in reverse, as recorded.
		if p.X509.Subject != "O=Internet Widgits Pty Ltd, S=Some-State, C=AU" {
			t.Errorf("%s: subject %q", c.claim, p.X509.Subject)
		}
		s := p.X509.SANs
		if s == nil || len(s.Emails) != 1 || len(s.DNSNames) != 1 || s.UPNs == nil || len(s.UPNs) != 0 {
			t.Errorf("%s: sans %+v", c.claim, s)
		}
		if p.X509.EKUs == nil || len(p.X509.EKUs) != 0 || len(p.X509.KeyUsage) != 1 || !p.X509.CA {
			t.Errorf("%s: %+v", c.claim, p.X509)
		}
		want := issuance.LifetimeAction{Percentage: 80, Action: issuance.EmailContacts}
		if len(p.Actions) != 1 || p.Actions[0] != want || p.Issuer.Name != "Unknown" || !p.Enabled {
			t.Errorf("%s: %+v %+v", c.claim, p.Actions, p.Issuer)
		}
		if b.Version.Attributes.Enabled || b.Version.Tags == nil || len(b.Version.Tags) != 1 {
			t.Errorf("%s: %+v", c.claim, b.Version)
		}
	}
	w.check()
}

func TestImportOverACertificate(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	created := w.issued("Web", selfPolicy())
	w.pass(time.Hour)
	p := newPair(t, root)
	b, err := w.importing("WEB", certificate.ImportParams{Value: hidden(p.pem)})
	w.must(err)
	if b.Version.Name.String() != "Web" || b.Certificate.Head.Name.String() != "Web" {
		t.Errorf("the answer names %s, %s", b.Version.Name, b.Certificate.Head.Name)
	}
	now := w.get("web")
	if now.Version.Version != b.Version.Version || now.Certificate.Pending || now.Certificate.Policy.X509.Subject != "CN=signed by a CA" ||
		!now.Certificate.Policy.Created.Equal(created.Certificate.Policy.Created) || !now.Certificate.Policy.Updated.Equal(w.now()) {
		t.Errorf("%+v of %+v", now.Version, now.Certificate)
	}
	_, err = w.service.Operation(t.Context(), w.grant(access.CertificatePendingGet, "web"), "")
	w.refused(err, fault.NotFound, "Pending certificate not found")
	if old, err := w.service.Get(t.Context(), w.grant(access.CertificateGet, "web"), created.Version.Version); err != nil || !old.Version.NextAction.IsZero() {
		t.Errorf("the old version: %v", err)
	}
	// Over the placeholder of an operation that has failed, too.
	w.setIssuer("corp", "none", true)
	w.begin("api", policyOf("corp"))
	w.must(w.work())
	if _, err := w.importing("api", certificate.ImportParams{Value: hidden(p.pem)}); err != nil {
		t.Error(err)
	}
	w.check()
}

func TestImportWithPolicy(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	p := newPair(t, root)
	b, err := w.importing("web", certificate.ImportParams{Value: hidden(p.pem), Policy: &issuance.Patch{
		Key:         issuance.KeyPatch{Type: ptr("EC"), Exportable: ptr(false), Reuse: ptr(true)},
		X509:        issuance.X509Patch{ValidityMonths: ptr(3)},
		ContentType: ptr("application/X-PEM-file"),
		Issuer:      issuance.IssuerPatch{Name: ptr("self")},
		Actions:     nil,
	}})
	w.must(err)
	got := b.Certificate.Policy
	if got.Key.Exportable || !got.Key.Reuse || got.X509.ValidityMonths != 3 || got.Issuer.Name != "self" || got.Actions[0].Action != issuance.AutoRenew ||
		got.X509.Subject != "CN=signed by a CA" {
		t.Errorf("policy %+v", got)
	}
	if contains(w.secret("web"), "PRIVATE KEY") {
		t.Error("the key of a locked import is in the secret")
	}
	// The imported certificate can be renewed by its policy.
	w.issued("web", nil)
	if b := w.get("web"); !b.Version.Completed || contains(w.secret("web"), "PRIVATE KEY") {
		t.Errorf("%+v", b.Version)
	}
	w.check()
}

func TestImportRefusals(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	p := newPair(t, root)
	other := newPair(t, root)
	expired := newPair(t, root, func(c *x509.Certificate) { c.NotAfter = beginning.Add(-time.Second) })
	keyOnly, certOnly, _ := strings.Cut(p.pem, "-----BEGIN CERTIFICATE-----")
	certOnly = "-----BEGIN CERTIFICATE-----" + certOnly
	_, otherCert, _ := strings.Cut(other.pem, "-----BEGIN CERTIFICATE-----")
	weak := made(t, "30", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
	edwards := made(t, "30", "-algorithm", "ED25519")
	brainpool := made(t, "30", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1")
	cut := []byte{0x30, 7, 2, 1, 0, 0x30, 0, 4, 0} // an algorithm without an OID
	text := func(m material) string {
		return string(openssl(t, nil, "pkey", "-in", m.key)) + string(openssl(t, nil, "x509", "-in", m.leaf))
	}
	pfx := base64.StdEncoding.EncodeToString(openssl(t, []byte(p.pem), "pkcs12", "-export", "-passout", "pass:right"))
	form := func(contentType string) *issuance.Patch {
		return &issuance.Patch{ContentType: &contentType}
	}
	for _, c := range []struct {
		claim string
		p     certificate.ImportParams
		text  string
	}{
		{"nothing", certificate.ImportParams{}, "value"},
		{"no key", certificate.ImportParams{Value: hidden(certOnly)}, "Private key is not specified in the specified X.509 PEM certificate content."},
		{"no certificate", certificate.ImportParams{Value: hidden(keyOnly)}, ""},
		{"another key", certificate.ImportParams{Value: hidden(keyOnly + "-----BEGIN CERTIFICATE-----" + otherCert)}, "does not match the public part"},
		{"expired", certificate.ImportParams{Value: hidden(expired.pem)}, "X509 Certificate is already expired"},
		{"RSA of 1024 bits", certificate.ImportParams{Value: hidden(text(weak))}, "The private key is RSA of 1024 bits, which is not supported"},
		{"Ed25519", certificate.ImportParams{Value: hidden(text(edwards))}, "The private key is Ed25519, which is not supported"},
		{"brainpool", certificate.ImportParams{Value: hidden(text(brainpool))}, "The private key is EC on brainpoolP256r1, which is not supported"},
		{"a key that is cut", certificate.ImportParams{Value: hidden(certOnly + string(toPEM("PRIVATE KEY", cut)))}, "Error: One or more X.509 properties are invalid. The private key: malformed PKCS#8"},
		{"a broken certificate", certificate.ImportParams{Value: hidden(p.pem + certOnly + "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")},
			"Error: One or more X.509 properties are invalid. Certificate 3: malformed certificate"},
		{"rubbish", certificate.ImportParams{Value: hidden("AAAA")}, "PKCS#12 X.509 certificate content can not be read"},
		{"rubbish, PEM wanted", certificate.ImportParams{Value: hidden("AAAA"), Policy: form(issuance.PEM)}, "PEM X.509 certificate content can not be read"},
		{"PEM, PFX wanted", certificate.ImportParams{Value: hidden(p.pem), Policy: form(issuance.PKCS12)}, "PKCS#12 X.509 certificate content can not be read"},
		{"PFX, PEM wanted", certificate.ImportParams{Value: hidden(pfx), Password: hidden("right"), Policy: form(issuance.PEM)}, "PEM X.509 certificate content can not be read"},
		{"unknown form", certificate.ImportParams{Value: hidden(p.pem), Policy: form("text/plain")}, "policy.secret_props"},
		{"wrong password", certificate.ImportParams{Value: hidden(pfx), Password: hidden("hunter2")},
			"in valid PKCS#12 format. The password does not open it, or it is damaged."},
		{"long password", certificate.ImportParams{Value: hidden(pfx), Password: hidden(strings.Repeat("ä", 201))}, "pwd"},
		{"too long", certificate.ImportParams{Value: hidden(p.pem + strings.Repeat("\n", 200<<10))}, "too long"},
		{"a secret too long", certificate.ImportParams{Value: hidden(p.pem + strings.Repeat(string(toPEM("CERTIFICATE", huge(t, root))), 90))}, "too long"},
		{"bad tags", certificate.ImportParams{Value: hidden(p.pem), Tags: object.Tags{"": strings.Repeat("x", 257)}}, "tags"},
		{"another type in the policy", certificate.ImportParams{Value: hidden(p.pem), Policy: &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("RSA")}}},
			"Property policy has invalid value\r\n"},
		{"another subject in the policy", certificate.ImportParams{Value: hidden(p.pem), Policy: &issuance.Patch{X509: issuance.X509Patch{Subject: ptr("CN=x")}}},
			"Property policy has invalid value\r\n"},
	} {
		_, err := w.importing("web", c.p)
		if !fault.Is(err, fault.Invalid) || !contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.claim, err)
		}
		if err != nil && (contains(err.Error(), "hunter2") || contains(err.Error(), "MIG")) {
			t.Errorf("%s: the error repeats what was sent: %v", c.claim, err)
		}
		if d := w.dump("web"); d != "" {
			t.Errorf("%s: left %s", c.claim, d)
		}
	}
	w.check()
}

// huge is a certificate of more than a kilobyte.
func huge(t testing.TB, root *authority) []byte {
	return newPair(t, root, func(c *x509.Certificate) { c.DNSNames = []string{strings.Repeat("a", 1100)} }).cert.Raw
}

func TestImportedChain(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	issuing := newAuthority(t, "issuing", root)
	p := newPair(t, issuing)
	keyText, certText, _ := strings.Cut(p.pem, "-----BEGIN CERTIFICATE-----")
	certText = "-----BEGIN CERTIFICATE-----" + certText
	value := string(toPEM("CERTIFICATE", root.cert.Raw)) + certText + keyText + string(toPEM("CERTIFICATE", issuing.cert.Raw))
	for preserve, want := range map[bool]string{false: "signed by a CA, issuing, root", true: "root, signed by a CA, issuing"} {
		b, err := w.importing("web", certificate.ImportParams{Value: hidden(value), PreserveOrder: preserve})
		w.must(err)
		if !bytes.Equal(b.Version.Leaf, p.cert.Raw) || b.Version.PreserveOrder != preserve {
			t.Errorf("preserve %v: %+v", preserve, b.Version)
		}
		if got := names(certificatesOf(t, []byte(w.secret("web")))); got != want {
			t.Errorf("preserve %v: %s; want %s", preserve, got, want)
		}
	}
	w.check()
}

// What an imported key may do follows from the certificate.
func TestKeyOperationsFromTheCertificate(t *testing.T) {
	w := newInstallation(t)
	p := newPair(t, newAuthority(t, "root", nil), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
	_, err := w.importing("web", certificate.ImportParams{Value: hidden(p.pem)})
	w.must(err)
	kv, _, err := w.key("web", "")
	if err != nil || len(kv.Ops) != 0 {
		t.Errorf("%v, %v", kv.Ops, err)
	}
	w.issued("own", selfPolicy())
	kv, _, err = w.key("own", "")
	if err != nil || len(kv.Ops) != 2 || kv.Ops[0] != key.Sign || kv.Ops[1] != key.Verify {
		t.Errorf("%v, %v", kv.Ops, err)
	}
}
