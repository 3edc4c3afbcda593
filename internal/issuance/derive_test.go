package issuance_test

import (
	"crypto/rand"
	stdx509 "crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/pki"
)

// material is a certificate by crypto/x509, as the vault reads it.
func material(t testing.TB, change func(*stdx509.Certificate), spec pki.KeySpec) *pki.Certificate {
	t.Helper()
	k, err := pki.Generate(spec)
	if err != nil {
		t.Fatal(err)
	}
	template := &stdx509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x", Organization: []string{"Y"}},
		NotBefore: now, NotAfter: now.AddDate(0, 0, 265)}
	change(template)
	der, err := stdx509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var p384 = pki.KeySpec{Algorithm: pki.EC, Size: 384, Curve: pki.P384}

func full(t testing.TB) *pki.Certificate {
	return material(t, func(c *stdx509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"a.b", "c.d"}, []string{"a@b.c"}
		c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")}
		c.URIs = []*url.URL{{Scheme: "https", Host: "x.y", Path: "/"}}
		c.KeyUsage = stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageCertSign
		c.ExtKeyUsage = []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth}
		c.BasicConstraintsValid, c.IsCA, c.MaxPathLen = true, true, 2
	}, p384)
}

func TestDerivedPolicy(t *testing.T) {
	got, err := issuance.Derive(full(t), issuance.PEM, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	want := &issuance.Policy{
		Key: issuance.KeyProps{Type: "EC", Size: 384, Curve: "P-384", Exportable: true}, ContentType: issuance.PEM,
		X509: issuance.X509Props{Subject: "CN=x, O=Y", EKUs: []string{"1.3.6.1.5.5.7.3.1"}, KeyUsage: []string{"digitalSignature", "keyCertSign"},
			ValidityMonths: 9, CA: true, PathLen: ptr(2),
			SANs: &issuance.SANs{Emails: []string{"a@b.c"}, DNSNames: []string{"a.b", "c.d"}, UPNs: []string{}, URIs: []string{"https://x.y/"}, IPAddresses: []string{"2001:db8::1"}}},
		Actions: []issuance.LifetimeAction{{Percentage: 80, Action: issuance.EmailContacts}},
		Issuer:  issuance.IssuerRef{Name: "Unknown"}, Enabled: true, Created: now, Updated: now,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	// Without extensions the lists are there and empty, and no names at all.
	got, err = issuance.Derive(material(t, func(*stdx509.Certificate) {}, p384), issuance.PKCS12, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if x := got.X509; x.SANs != nil || x.EKUs == nil || len(x.EKUs) != 0 || x.KeyUsage == nil || len(x.KeyUsage) != 0 || x.CA || x.PathLen != nil {
		t.Errorf("%+v", x)
	}
}

func TestDerivedMonths(t *testing.T) {
	for _, c := range []struct {
		to   time.Time
		want int
	}{
		{now.AddDate(0, 0, 3650), 120}, {now.AddDate(0, 0, 265), 9}, {now.AddDate(1, 0, 0).Add(10 * time.Minute), 13}, {now.AddDate(1, 0, 0), 12}, {now.Add(time.Hour), 1},
		{pki.AddMonths(now, 1200).Add(10 * time.Minute), 1200}, {time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), 1200},
	} {
		p, err := issuance.Derive(material(t, func(x *stdx509.Certificate) { x.NotAfter = c.to }, p384), issuance.PEM, nil, now)
		if err != nil || p.X509.ValidityMonths != c.want {
			t.Errorf("until %v: %+v, %v; want %d", c.to, p, err, c.want)
		}
	}
}

// beyond has what no create asks for: a subject of over 200 characters, of types that
// have no text form, more names than 250, more ekus than 100, and a path length
// without a CA.
func beyond(t testing.TB) *pki.Certificate {
	return material(t, func(c *stdx509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 45}, Value: asn1.BitString{Bytes: []byte{1}, BitLength: 8}}}
		c.Subject.OrganizationalUnit = []string{strings.Repeat("long ", 41) + "."}
		for i := range 300 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("h%d.example", i))
		}
		c.DNSNames = append(c.DNSNames, "bad..name")
		for i := range 101 {
			c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, asn1.ObjectIdentifier{1, 2, 3, i})
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 3, 2, 1, 0}}}
	}, p384)
}

// A policy that an import derived can be changed in every part that a create accepts,
// also by a caller who sends all of it back; what cannot be issued is named at the
// create.
func TestDerivedPoliciesAreNotLocked(t *testing.T) {
	p, err := issuance.Derive(beyond(t), issuance.PEM, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, "a create", p.Check(), "policy.x509_props", "Property policy.x509_props has invalid value. The subject has at most 200 characters.\r\n")
	p.X509.Subject = "CN=short"
	checkRefusal(t, "a create", p.Check(), "policy.x509_props.sans", "Property policy.x509_props.sans has invalid value. More than 250 names.\r\n")

	if p, err = issuance.Derive(beyond(t), issuance.PEM, nil, now); err != nil {
		t.Fatal(err)
	}
	same := issuance.X509Patch{Subject: &p.X509.Subject, SANs: p.X509.SANs, EKUs: p.X509.EKUs, KeyUsage: p.X509.KeyUsage,
		ValidityMonths: &p.X509.ValidityMonths, CA: &p.X509.CA}
	for claim, patch := range map[string]*issuance.Patch{
		"lifetime_actions": {Actions: []issuance.ActionPatch{{ActionType: ptr("AutoRenew"), Days: ptr(20)}}},
		"reuse_key":        {Key: issuance.KeyPatch{Reuse: ptr(true)}},
		"issuer":           {Issuer: issuance.IssuerPatch{Name: ptr("Self")}},
		"validity_months":  {X509: issuance.X509Patch{ValidityMonths: ptr(12)}},
		"all of it":        {X509: same, Issuer: issuance.IssuerPatch{Name: ptr("corp")}},
		"nothing":          nil,
		"a subject":        {X509: issuance.X509Patch{Subject: ptr("CN=y")}},
		"other names":      {X509: issuance.X509Patch{SANs: &issuance.SANs{Emails: []string{"a@b.c"}}}},
	} {
		if _, err := p.Merge(patch, now); err != nil {
			t.Errorf("%s: %v", claim, err)
		}
	}
	// What is sent anew is judged as ever.
	for claim, x := range map[string]issuance.X509Patch{
		"a long subject": {Subject: ptr("CN=x, OU=" + strings.Repeat("o", 64) + ", OU=" + strings.Repeat("o", 64) + ", OU=" + strings.Repeat("o", 64))},
		"many names":     {SANs: &issuance.SANs{DNSNames: append([]string{"one.more"}, p.X509.SANs.DNSNames...)}},
		"a bad name":     {SANs: &issuance.SANs{Emails: []string{"a"}}},
		"many months":    {ValidityMonths: ptr(1201)},
		"no name at all": {Subject: ptr(""), SANs: &issuance.SANs{DNSNames: []string{}}},
		"a path length":  {PathLen: ptr(1)},
		"more ekus":      {EKUs: append([]string{"1.2.4"}, p.X509.EKUs...)},
	} {
		if _, err := p.Merge(&issuance.Patch{X509: x}, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", claim, err)
		}
	}
	eternal := material(t, func(c *stdx509.Certificate) { c.NotAfter = pki.AddMonths(now, 95_000) }, p384)
	if again, err := issuance.Derive(eternal, issuance.PEM, &issuance.Patch{X509: issuance.X509Patch{ValidityMonths: ptr(95_000)}}, now); err != nil ||
		again.X509.ValidityMonths != 1200 {
		t.Errorf("the months of the certificate: %v", err)
	}
	// The policy of the answer imports the same certificate again.
	if again, err := issuance.Derive(beyond(t), issuance.PEM, &issuance.Patch{X509: same}, now); err != nil || again.X509.ValidityMonths != p.X509.ValidityMonths {
		t.Errorf("%v", err)
	}
}

// Given values that steer the future replace the derived ones.
func TestDeriveTakesWhatSteers(t *testing.T) {
	got, err := issuance.Derive(full(t), issuance.PEM, &issuance.Patch{
		Key:         issuance.KeyPatch{Exportable: ptr(false), Reuse: ptr(true), Type: ptr("EC"), Size: ptr(384), Curve: ptr("P-384")},
		ContentType: ptr(issuance.PEM),
		X509:        issuance.X509Patch{ValidityMonths: ptr(1)},
		Issuer:      issuance.IssuerPatch{Name: ptr("Self")},
		Enabled:     ptr(false),
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Key.Exportable || !got.Key.Reuse || got.X509.ValidityMonths != 1 || got.Issuer.Name != "Self" || got.Enabled ||
		got.Actions[0] != (issuance.LifetimeAction{Percentage: 80, Action: issuance.AutoRenew}) || got.X509.Subject != "CN=x, O=Y" {
		t.Errorf("%+v", got)
	}
}

// What says the same as the certificate, in whatever words and order, does not
// contradict it; what says something else does.
func TestDeriveContradictions(t *testing.T) {
	leaf := full(t)
	for _, c := range []struct {
		claim  string
		member string // that contradicts; "": none does
		patch  *issuance.Patch
	}{
		{"the subject", "", &issuance.Patch{X509: issuance.X509Patch{Subject: ptr("cn = x,O=Y")}}},
		{"no subject", "", &issuance.Patch{X509: issuance.X509Patch{Subject: ptr("")}}},
		{"another subject", "x509_props.subject", &issuance.Patch{X509: issuance.X509Patch{Subject: ptr("CN=y")}}},
		{"names in another order", "", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{DNSNames: []string{"C.D", "a.b"}}}}},
		{"the same address", "", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{IPAddresses: []string{"2001:0DB8:0::1"}}}}},
		{"a URI without its slash", "", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{URIs: []string{"https://x.y"}}}}},
		{"one name of two", "x509_props.sans.dns_names", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{DNSNames: []string{"a.b"}}}}},
		{"another name", "x509_props.sans.upns", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{UPNs: []string{"a@b"}}}}},
		{"empty lists", "", &issuance.Patch{X509: issuance.X509Patch{SANs: &issuance.SANs{UPNs: []string{}}, EKUs: []string{}, KeyUsage: []string{}}}},
		{"the usages", "", &issuance.Patch{X509: issuance.X509Patch{KeyUsage: []string{"KEYCERTSIGN", "digitalSignature"}}}},
		{"another usage", "x509_props.key_usage", &issuance.Patch{X509: issuance.X509Patch{KeyUsage: []string{"digitalSignature"}}}},
		{"no usage word", "x509_props.key_usage", &issuance.Patch{X509: issuance.X509Patch{KeyUsage: []string{"digitalSignature", "x"}}}},
		{"another eku", "x509_props.ekus", &issuance.Patch{X509: issuance.X509Patch{EKUs: []string{"1.2.3"}}}},
		{"ca", "", &issuance.Patch{X509: issuance.X509Patch{CA: ptr(true), PathLen: ptr(2)}}},
		{"no ca", "x509_props.basic_constraints.ca", &issuance.Patch{X509: issuance.X509Patch{CA: ptr(false)}}},
		{"another path length", "x509_props.basic_constraints.path_len_constraint", &issuance.Patch{X509: issuance.X509Patch{PathLen: ptr(3)}}},
		{"RSA", "key_props.kty", &issuance.Patch{Key: issuance.KeyPatch{Type: ptr("RSA")}}},
		{"another curve", "key_props.crv", &issuance.Patch{Key: issuance.KeyPatch{Curve: ptr("P-256")}}},
		{"another size", "key_props.key_size", &issuance.Patch{Key: issuance.KeyPatch{Size: ptr(256)}}},
		{"PFX", "secret_props.contentType", &issuance.Patch{ContentType: ptr(issuance.PKCS12)}},
	} {
		_, err := issuance.Derive(leaf, issuance.PEM, c.patch, now)
		if c.member == "" && err != nil {
			t.Errorf("%s: %v", c.claim, err)
		}
		if c.member != "" {
			checkRefusal(t, c.claim, err, "policy", "Property policy has invalid value\r\npolicy."+c.member+" contradicts the certificate.\r\n")
		}
	}
	for _, c := range []struct {
		claim string
		patch *issuance.Patch
		field string
	}{
		{"0 months", &issuance.Patch{X509: issuance.X509Patch{ValidityMonths: ptr(0)}}, "policy.x509_props"},
		{"too many days", &issuance.Patch{Actions: trigger(nil, ptr(9*27+1)).Actions}, "policy.lifetime_actions"},
		{"two actions", &issuance.Patch{Actions: make([]issuance.ActionPatch, 2)}, "policy.lifetime_actions"},
		{"no distinguished name", &issuance.Patch{X509: issuance.X509Patch{Subject: ptr("x")}}, "policy.x509_props"},
	} {
		_, err := issuance.Derive(leaf, issuance.PEM, c.patch, now)
		checkRefusal(t, c.claim, err, c.field, "")
	}
}

// A hundred draws, rapid's default, may well hold next to nothing that is accepted.
func init() {
	if err := flag.Set("rapid.checks", "1000"); err != nil {
		panic(err)
	}
}

// A policy that a create accepts can be carried out: the request and the
// certificate can be made, and they hold what the policy says.
func TestAcceptedPoliciesCanBeCarriedOut(t *testing.T) {
	k, err := pki.Generate(pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256})
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) *string {
			return rapid.Ptr(rapid.OneOf(
				rapid.SampledFrom([]string{"", " ", "CN=a", "CN=a, O=b", "C=DE, CN=\"a,b\"", "E=ä@b.c", "CN=a+OU=b", "CN=*.example.net", "OID.1.2.3=x"}),
				rapid.StringMatching(`(CN|O|OU|C|DC)=[a-zA-Z0-9 .ä"+;-]{0,12}`)), true).Draw(t, label)
		}
		list := func(label string, of ...string) []string {
			if rapid.Bool().Draw(t, label+" given") {
				return rapid.SliceOfN(rapid.SampledFrom(of), 0, 3).Draw(t, label)
			}
			return nil
		}
		x := issuance.X509Patch{
			Subject: text("subject"), EKUs: list("ekus", "1.3.6.1.5.5.7.3.1", "2.999", "1.2", "2.5.29.37.0", "1.2.3", "1.3.6.1.5.5.7.3.2"),
			KeyUsage:       list("usage", "digitalSignature", "cRLSign", "decipherOnly", "encipheronly", "keyAgreement"),
			ValidityMonths: rapid.Ptr(rapid.SampledFrom([]int{0, 1, 2, 12, 24, 120, 1200, 1201}), true).Draw(t, "months"),
			CA:             rapid.Ptr(rapid.Bool(), true).Draw(t, "ca"), PathLen: rapid.Ptr(rapid.SampledFrom([]int{0, 1, 255, 256}), true).Draw(t, "length"),
		}
		if rapid.Bool().Draw(t, "sans") {
			x.SANs = &issuance.SANs{
				Emails: list("emails", "a@b.c", "a.b@c.example", "ä@b.c"), DNSNames: list("dns", "a.b", "*.a.b", "a_b.c", "example.net", "A.B."),
				UPNs: list("upns", "a@b", "ä@b"), URIs: list("uris", "https://a", "urn:a:b", "spiffe://x/y", "mailto:a@b"),
				IPAddresses: list("ips", "1.2.3.4", "::1", "::ffff:1.2.3.4", "fe80::1%eth0"),
			}
		}
		p, err := issuance.NewPolicy(&issuance.Patch{X509: x}, now)
		if err != nil {
			return
		}
		accepted++
		if err := p.Check(); err != nil {
			t.Fatalf("accepted, but Check says %v", err)
		}
		csr, err := pki.CreateCSR(p.X509.Template(), k)
		if err != nil {
			t.Fatalf("no request: %v", err)
		}
		if parsed, err := stdx509.ParseCertificateRequest(csr); err == nil && parsed.CheckSignature() != nil {
			t.Fatal("the request's signature does not hold")
		}
		der, err := pki.SelfSign(p.X509.Template(), k, now.Add(-10*time.Minute), pki.AddMonths(now, p.X509.ValidityMonths))
		if err != nil {
			t.Fatalf("no certificate: %v", err)
		}
		c, err := pki.ParseCertificate(der)
		if err != nil {
			t.Fatalf("the vault cannot read its own certificate: %v", err)
		}
		// OpenBao GHSA-g892-p242-8g86: nothing in it but what was asked for.
		if c.CA != p.X509.CA || c.HasSANs != (p.X509.SANs != nil && len(p.X509.SANs.Emails)+len(p.X509.SANs.DNSNames)+len(p.X509.SANs.UPNs)+len(p.X509.SANs.URIs)+len(p.X509.SANs.IPAddresses) > 0) {
			t.Fatalf("ca %v, names %+v; asked for %+v", c.CA, c.SANs, p.X509)
		}
	})
	if accepted < 10 {
		t.Errorf("only %d policies were accepted", accepted)
	}
}

// GHSA-8w8f-r2xv-4q4j: an odd option is refused, and does not end the process.
func FuzzNewPolicy(f *testing.F) {
	k, err := pki.Generate(pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("RSA", 2048, "", "CN=x", "a.b", "1.2.3", "digitalSignature", 12, 80, 0, 0)
	f.Add("EC", 0, "P-256K", "", "*.a", "", "", 1200, 0, 27, 255)
	f.Add("oct", -1, "\x00", "CN=\"", "..", "9.9", "x", -1<<31, 100, 1<<31-1, -1)
	f.Fuzz(func(t *testing.T, kty string, size int, crv, subject, dns, eku, usage string, months, percentage, days, length int) {
		p, err := issuance.NewPolicy(&issuance.Patch{
			Key: issuance.KeyPatch{Type: &kty, Size: &size, Curve: &crv},
			X509: issuance.X509Patch{Subject: &subject, SANs: &issuance.SANs{DNSNames: []string{dns}}, EKUs: []string{eku}, KeyUsage: []string{usage},
				ValidityMonths: &months, CA: ptr(true), PathLen: &length},
			Actions: []issuance.ActionPatch{{ActionType: ptr("AutoRenew"), Days: &days}},
		}, now)
		if err != nil {
			return
		}
		if _, err := pki.CreateCSR(p.X509.Template(), k); err != nil {
			t.Errorf("accepted, but: %v", err)
		}
		p.NextAction(now, pki.AddMonths(now, p.X509.ValidityMonths))
	})
}
