package issuance_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	stdx509 "crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/issuance"
	"coffer/internal/pki"
)

var delivered = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

// ca is a certificate authority of crypto/x509, which knows nothing of the vault.
type ca struct {
	cert *stdx509.Certificate
	key  crypto.Signer
}

var serialNumber int64

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ecKey() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// newCA makes a CA of a key under parent; nil: under itself.
func newCA(name string, key crypto.Signer, parent *ca, change ...func(*stdx509.Certificate)) *ca {
	template := &stdx509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: stdx509.KeyUsageCertSign | stdx509.KeyUsageCRLSign, NotBefore: delivered.AddDate(-1, 0, 0), NotAfter: delivered.AddDate(9, 0, 0)}
	c := &ca{key: key}
	if parent == nil {
		parent = &ca{template, key}
	}
	c.cert = parent.sign(key.Public(), template, change...)
	return c
}

func (c *ca) sign(public crypto.PublicKey, template *stdx509.Certificate, change ...func(*stdx509.Certificate)) *stdx509.Certificate {
	serialNumber++
	template.SerialNumber = big.NewInt(serialNumber)
	for _, f := range change {
		f(template)
	}
	return must(stdx509.ParseCertificate(must(stdx509.CreateCertificate(rand.Reader, template, c.cert, public, c.key))))
}

// answer is what an authority gives for the order of orderOf.
func answer() *stdx509.Certificate {
	return &stdx509.Certificate{Subject: pkix.Name{CommonName: "www.example.net"}, DNSNames: []string{"www.example.net", "api.example.net"},
		IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}, EmailAddresses: []string{"ann@example.net"}, URIs: []*url.URL{{Scheme: "https", Host: "example.net", Path: "/"}},
		KeyUsage: stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageKeyEncipherment, ExtKeyUsage: []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageServerAuth, stdx509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, NotBefore: delivered.Add(-time.Hour), NotAfter: delivered.AddDate(0, 12, 0)}
}

func orderOf(change ...func(*issuance.Policy)) *issuance.Policy {
	p := &issuance.Policy{X509: issuance.X509Props{Subject: "CN=www.example.net", ValidityMonths: 12,
		SANs: &issuance.SANs{DNSNames: []string{"WWW.example.net", "api.example.net"}, IPAddresses: []string{"2001:DB8:0::1"},
			Emails: []string{"ann@example.net"}, URIs: []string{"https://example.net"}},
		EKUs: []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}, KeyUsage: []string{"digitalSignature", "keyEncipherment"}}}
	for _, f := range change {
		f(p)
	}
	return p
}

func parsed(certs ...*stdx509.Certificate) (out []*pki.Certificate) {
	for _, c := range certs {
		out = append(out, must(pki.ParseCertificate(c.Raw)))
	}
	return out
}

// verdict is what a case of the corpus is to be judged: each text must stand in the
// list of its kind, and each list must hold no more.
type verdict struct{ refused, wider, narrower []string }

func refusedFor(texts ...string) verdict { return verdict{refused: texts} }
func widerBy(texts ...string) verdict    { return verdict{wider: texts} }
func narrowerBy(texts ...string) verdict { return verdict{narrower: texts} }
func (v verdict) and(more verdict) verdict {
	return verdict{append(v.refused, more.refused...), append(v.wider, more.wider...), append(v.narrower, more.narrower...)}
}

func (v verdict) check(t *testing.T, claim string, d issuance.Differences, refusal *issuance.OperationError) {
	t.Helper()
	for _, l := range []struct {
		kind      string
		got, want []string
	}{{"refused", d.Refused, v.refused}, {"wider", d.Wider, v.wider}, {"narrower", d.Narrower, v.narrower}} {
		if len(l.got) != len(l.want) {
			t.Errorf("%s: %s %q, want %q", claim, l.kind, l.got, l.want)
			continue
		}
		for i, text := range l.want {
			if len(l.got[i]) > 800 {
				t.Errorf("%s: a text of %d octets", claim, len(l.got[i]))
			}
			if !strings.Contains(l.got[i], text) {
				t.Errorf("%s: %s %q, want %q", claim, l.kind, l.got, l.want)
			}
		}
	}
	if (refusal != nil) != (len(v.refused) > 0) {
		t.Errorf("%s: the refusal is %v", claim, refusal)
	}
	if refusal == nil {
		return
	}
	if refusal.Code != issuance.IssuerError || !strings.Contains(refusal.Message, "serial number") {
		t.Errorf("%s: %+v", claim, refusal)
	}
	for _, text := range v.refused {
		if !strings.Contains(refusal.Message, text) {
			t.Errorf("%s: the reason is %q, want %q", claim, refusal.Message, text)
		}
	}
}

// basic is a BasicConstraints extension that crypto/x509 would not write.
func basic(isCA bool, pathLen int) func(*stdx509.Certificate) {
	return func(c *stdx509.Certificate) {
		value := must(asn1.Marshal(struct {
			CA      bool `asn1:"optional"`
			PathLen int
		}{isCA, pathLen}))
		c.BasicConstraintsValid = false
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: value})
	}
}

func isCA(c *stdx509.Certificate) { c.IsCA = true }

// What an authority may answer, one thing changed in each, and what is said of it.
func TestAnswersAreJudged(t *testing.T) {
	root := newCA("root", ecKey(), nil)
	key := ecKey()
	type change = func(*stdx509.Certificate)
	type order = func(*issuance.Policy)
	asOrdered := order(func(*issuance.Policy) {})
	orderedCA := order(func(p *issuance.Policy) {
		p.X509.CA, p.X509.KeyUsage = true, []string{"cRLSign", "digitalSignature", "keyCertSign"}
	})
	signing := stdx509.KeyUsageCertSign | stdx509.KeyUsageCRLSign | stdx509.KeyUsageDigitalSignature
	pathLen := func(n int) order {
		return func(p *issuance.Policy) { orderedCA(p); p.X509.PathLen = &n }
	}
	issuedCA := func(n int) change {
		return func(c *stdx509.Certificate) {
			c.IsCA, c.KeyUsage, c.MaxPathLen, c.MaxPathLenZero = true, signing, n, n == 0
		}
	}
	for _, c := range []struct {
		claim  string
		order  order
		answer change
		want   verdict
	}{
		{"as ordered", asOrdered, func(*stdx509.Certificate) {}, verdict{}},
		{"names in another case and order", asOrdered, func(c *stdx509.Certificate) { c.DNSNames = []string{"API.example.net", "www.Example.net"} }, verdict{}},

		// Names.
		{"a DNS name is missing", asOrdered, func(c *stdx509.Certificate) { c.DNSNames = c.DNSNames[:1] }, refusedFor(`dns_names without "api.example.net"`)},
		{"all alternative names are missing", asOrdered, func(c *stdx509.Certificate) {
			c.DNSNames, c.IPAddresses, c.EmailAddresses, c.URIs = nil, nil, nil, nil
		}, refusedFor("emails without", "dns_names without", "uris without", "ipAddresses without")},
		{"a wildcard in place of a name", asOrdered, func(c *stdx509.Certificate) { c.DNSNames[1] = "*.example.net" },
			refusedFor("dns_names without").and(widerBy(`dns_names with "*.example.net"`))},
		{"an address is missing", asOrdered, func(c *stdx509.Certificate) { c.IPAddresses = nil }, refusedFor(`ipAddresses without "2001:db8::1"`)},
		{"another address", asOrdered, func(c *stdx509.Certificate) { c.IPAddresses[0] = net.ParseIP("2001:db8::2") },
			refusedFor("ipAddresses without").and(widerBy(`ipAddresses with "2001:db8::2"`))},
		{"an e-mail address is missing", asOrdered, func(c *stdx509.Certificate) { c.EmailAddresses = nil }, refusedFor("emails without")},
		{"a URI is missing", asOrdered, func(c *stdx509.Certificate) { c.URIs = nil }, refusedFor("uris without")},
		{"a principal name is missing", func(p *issuance.Policy) { p.X509.SANs.UPNs = []string{"ann@example.net"} }, func(*stdx509.Certificate) {}, refusedFor("upns without")},
		{"a DNS name more", asOrdered, func(c *stdx509.Certificate) { c.DNSNames = append(c.DNSNames, "example.net") }, widerBy(`dns_names with "example.net"`)},
		{"many names more, and long ones", asOrdered, func(c *stdx509.Certificate) {
			for i := range 20 {
				c.DNSNames = append(c.DNSNames, fmt.Sprint(strings.Repeat("x", 200), i, ".example.net"))
			}
		}, widerBy("and 15 more")},
		{"a name that would pass for text", asOrdered, func(c *stdx509.Certificate) { c.DNSNames = append(c.DNSNames, "a\"; all is well\n") }, widerBy(`\"; all is well\n`)},
		{"the common name moved to the alternative names", func(p *issuance.Policy) { p.X509.SANs.DNSNames = []string{"api.example.net"} },
			func(c *stdx509.Certificate) { c.Subject = pkix.Name{} }, narrowerBy("no subject")},
		{"the common name among the ordered names only", func(p *issuance.Policy) { p.X509.SANs = nil },
			func(c *stdx509.Certificate) {
				c.DNSNames, c.IPAddresses, c.EmailAddresses, c.URIs = nil, nil, nil, nil
			}, verdict{}},
		{"the common name is missing", func(p *issuance.Policy) { p.X509.SANs.DNSNames = []string{"api.example.net"} },
			func(c *stdx509.Certificate) {
				c.Subject, c.DNSNames = pkix.Name{CommonName: "api.example.net"}, c.DNSNames[1:]
			},
			refusedFor(`the common name "www.example.net" is missing`).and(widerBy("the subject"))},
		{"a common name as a host may be written", func(p *issuance.Policy) { p.X509.Subject = "CN=WWW.Example.net." },
			func(c *stdx509.Certificate) { c.Subject = pkix.Name{} }, narrowerBy("no subject")},
		{"such a common name is missing", func(p *issuance.Policy) { p.X509.Subject = "CN=Shop.Example.net." },
			func(c *stdx509.Certificate) { c.Subject = pkix.Name{} }, refusedFor(`"shop.example.net" is missing`).and(narrowerBy("no subject"))},
		{"a common name that is no host", func(p *issuance.Policy) { p.X509.Subject = "CN=web" },
			func(c *stdx509.Certificate) { c.Subject = pkix.Name{} }, narrowerBy("no subject")},
		{"a common name that is an address", func(p *issuance.Policy) { p.X509.Subject = "CN=192.0.2.1" }, func(c *stdx509.Certificate) { c.Subject = pkix.Name{} },
			refusedFor(`the common name "192.0.2.1" is missing`).and(narrowerBy("no subject"))},
		{"the host of another as common name", asOrdered, func(c *stdx509.Certificate) { c.Subject.CommonName = "bank.example.org" },
			widerBy("the subject", `the common name "bank.example.org"`)},
		{"an organization that was vouched for", asOrdered, func(c *stdx509.Certificate) { c.Subject.Organization = []string{"Example"} },
			widerBy(`the subject "CN=www.example.net, O=Example" instead of "CN=www.example.net"`)},
		{"a subject where none was ordered", func(p *issuance.Policy) { p.X509.Subject = "" }, func(*stdx509.Certificate) {}, verdict{}},

		// Authority.
		{"a CA", asOrdered, isCA, refusedFor("it is a CA")},
		{"a path length without a CA", asOrdered, basic(false, 0), refusedFor("a path length, and is no CA")},
		{"no basic constraints", asOrdered, func(c *stdx509.Certificate) { c.BasicConstraintsValid = false }, verdict{}},
		{"keyCertSign", asOrdered, func(c *stdx509.Certificate) { c.KeyUsage |= stdx509.KeyUsageCertSign }, refusedFor("keyCertSign")},
		{"cRLSign", asOrdered, func(c *stdx509.Certificate) { c.KeyUsage |= stdx509.KeyUsageCRLSign }, refusedFor("cRLSign")},
		{"a CA that signs", asOrdered, issuedCA(-1), refusedFor("it is a CA", "cRLSign", "keyCertSign").and(narrowerBy("keyEncipherment"))},
		{"a CA as ordered", orderedCA, issuedCA(-1), verdict{}},
		{"a CA as ordered, whose signing was not spelled out", func(p *issuance.Policy) { orderedCA(p); p.X509.KeyUsage = []string{"digitalSignature"} }, issuedCA(-1), verdict{}},
		{"no CA where one was ordered", orderedCA, func(c *stdx509.Certificate) { c.KeyUsage = stdx509.KeyUsageDigitalSignature },
			narrowerBy("no CA", "cRLSign")},
		{"no CA that signs, where one was ordered", func(p *issuance.Policy) { orderedCA(p); p.X509.KeyUsage = []string{"digitalSignature"} },
			func(c *stdx509.Certificate) { c.KeyUsage = signing }, refusedFor("cRLSign", "keyCertSign").and(narrowerBy("no CA"))},
		{"signing that the policy orders of no CA", func(p *issuance.Policy) { orderedCA(p); p.X509.CA = false }, func(c *stdx509.Certificate) { c.KeyUsage = signing }, verdict{}},
		{"the path length ordered", pathLen(1), issuedCA(1), verdict{}},
		{"a shorter path", pathLen(1), issuedCA(0), narrowerBy("a path length of 0")},
		{"a longer path", pathLen(1), issuedCA(2), refusedFor("a path length of 2 instead of 1")},
		{"an endless path", pathLen(0), issuedCA(-1), refusedFor("no path length instead of 0")},
		{"a limit of a path that had none", orderedCA, issuedCA(3), narrowerBy("a path length of 3")},

		// Key usages.
		{"fewer key usages", asOrdered, func(c *stdx509.Certificate) { c.KeyUsage = stdx509.KeyUsageDigitalSignature }, narrowerBy("key usages without \"keyEncipherment\"")},
		{"a key usage more", asOrdered, func(c *stdx509.Certificate) { c.KeyUsage |= stdx509.KeyUsageKeyAgreement }, widerBy(`key usages with "keyAgreement"`)},
		{"no key usage extension", asOrdered, func(c *stdx509.Certificate) { c.KeyUsage = 0 }, refusedFor("no limit of key usages")},
		{"a limit of key usages that had none", func(p *issuance.Policy) { p.X509.KeyUsage = nil }, func(*stdx509.Certificate) {}, narrowerBy("key usages of")},
		{"no key usages, as ordered", func(p *issuance.Policy) { p.X509.KeyUsage = nil }, func(c *stdx509.Certificate) { c.KeyUsage = 0 }, verdict{}},
		{"keyCertSign where nothing was ordered", func(p *issuance.Policy) { p.X509.KeyUsage = nil }, func(c *stdx509.Certificate) { c.KeyUsage = stdx509.KeyUsageCertSign },
			refusedFor("keyCertSign").and(narrowerBy("key usages of"))},

		// Extended key usages.
		{"fewer extended key usages", asOrdered, func(c *stdx509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }, narrowerBy(`extended key usages without "1.3.6.1.5.5.7.3.2"`)},
		{"one that nobody ordered", asOrdered, func(c *stdx509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, stdx509.ExtKeyUsageCodeSigning) },
			refusedFor(`extended key usages with "1.3.6.1.5.5.7.3.3"`)},
		{"one instead of another", func(p *issuance.Policy) { p.X509.EKUs = p.X509.EKUs[:1] }, func(c *stdx509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] },
			refusedFor("extended key usages with").and(narrowerBy("extended key usages without"))},
		{"any", asOrdered, func(c *stdx509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, stdx509.ExtKeyUsageAny) }, refusedFor("2.5.29.37.0")},
		{"any, as ordered", func(p *issuance.Policy) { p.X509.EKUs = []string{"2.5.29.37.0"} }, func(c *stdx509.Certificate) { c.ExtKeyUsage = []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageAny} }, verdict{}},
		{"one of the authority's own", asOrdered, func(c *stdx509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 99}} }, refusedFor("1.3.6.1.4.1.99")},
		{"no extension of them", asOrdered, func(c *stdx509.Certificate) { c.ExtKeyUsage = nil }, refusedFor("no limit of extended key usages")},
		{"none, as ordered", func(p *issuance.Policy) { p.X509.EKUs = []string{} }, func(c *stdx509.Certificate) { c.ExtKeyUsage = nil }, verdict{}},
		{"those of a server where none were ordered", func(p *issuance.Policy) { p.X509.EKUs = nil }, func(*stdx509.Certificate) {}, narrowerBy("extended key usages of")},
		{"OCSP signing where none were ordered", func(p *issuance.Policy) { p.X509.EKUs = nil }, func(c *stdx509.Certificate) { c.ExtKeyUsage = []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageOCSPSigning} },
			refusedFor("1.3.6.1.5.5.7.3.9").and(narrowerBy("extended key usages of"))},
		{"any where none were ordered", func(p *issuance.Policy) { p.X509.EKUs = nil }, func(c *stdx509.Certificate) { c.ExtKeyUsage = []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageAny} },
			refusedFor("2.5.29.37.0").and(narrowerBy("extended key usages of"))},

		// Validity.
		{"a shorter life", asOrdered, func(c *stdx509.Certificate) { c.NotAfter = delivered.AddDate(0, 0, 90) }, narrowerBy("valid until 2027-03-01 instead of 2027-12-01")},
		{"a longer life", asOrdered, func(c *stdx509.Certificate) { c.NotAfter = delivered.AddDate(2, 0, 0) }, widerBy("valid until 2028-12-01")},
		{"a day less, as rounded", asOrdered, func(c *stdx509.Certificate) { c.NotAfter = delivered.AddDate(0, 12, -1) }, verdict{}},
		{"a life of six days", asOrdered, func(c *stdx509.Certificate) { c.NotAfter = delivered.AddDate(0, 0, 6) }, narrowerBy("valid until")},
		{"expired", asOrdered, func(c *stdx509.Certificate) { c.NotAfter = delivered.Add(-time.Second) }, refusedFor("it expired").and(narrowerBy("valid until"))},
		{"at its last instant", asOrdered, func(c *stdx509.Certificate) { c.NotAfter = delivered }, refusedFor("it expired").and(narrowerBy("valid until"))},
		{"a clock that is five minutes ahead", asOrdered, func(c *stdx509.Certificate) { c.NotBefore = delivered.Add(5 * time.Minute) }, verdict{}},
		{"a clock that is further ahead", asOrdered, func(c *stdx509.Certificate) { c.NotBefore = delivered.Add(5*time.Minute + time.Second) }, refusedFor("not valid before")},
		{"the end before the beginning", asOrdered, func(c *stdx509.Certificate) {
			c.NotBefore, c.NotAfter = delivered.Add(2*time.Minute), delivered.Add(time.Minute)
		},
			refusedFor("ends before it begins").and(narrowerBy("valid until"))},

		{"several things at once", asOrdered, func(c *stdx509.Certificate) { c.IsCA, c.DNSNames = true, c.DNSNames[:1] }, refusedFor("dns_names without", "it is a CA")},
	} {
		leaf := root.sign(key.Public(), answer(), c.answer)
		_, d, refusal := issuance.Accept(orderOf(c.order), key.Public(), parsed(leaf)[0], parsed(root.cert), delivered)
		c.want.check(t, c.claim, d, refusal)
	}
}

// Another key is refused whatever else is right, also one of a kind that the vault
// does not hold.
func TestAnotherKeyIsRefused(t *testing.T) {
	root, key := newCA("root", ecKey(), nil), ecKey()
	for _, other := range []crypto.Signer{ecKey(), must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), must(rsa.GenerateKey(rand.Reader, 2048)),
		must(rsa.GenerateKey(rand.Reader, 1024)), edKey()} {
		chain, _, refusal := issuance.Accept(orderOf(), key.Public(), parsed(root.sign(other.Public(), answer()))[0], parsed(root.cert), delivered)
		if refusal == nil || chain != nil || !strings.Contains(refusal.Message, "not for the requested key") || refusal.Code != issuance.IssuerError {
			t.Errorf("%T: %+v", other.Public(), refusal)
		}
	}
}

func edKey() crypto.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	return must(k, err)
}

// What comes along must lead upwards from the certificate.
func TestChainsAreJudged(t *testing.T) {
	key := ecKey()
	root := newCA("root", ecKey(), nil)
	middle := newCA("middle", ecKey(), root)
	issuing := newCA("issuing", ecKey(), middle)
	by := func(c *ca) *stdx509.Certificate { return c.sign(key.Public(), answer()) }
	leaf := by(issuing)
	unrelated := newCA("unrelated", ecKey(), nil)
	namesake := newCA("issuing", ecKey(), middle)
	forged := newCA("issuing", ecKey(), middle, func(c *stdx509.Certificate) { c.SubjectKeyId = issuing.cert.SubjectKeyId })
	noCA := newCA("clerk", ecKey(), middle, func(c *stdx509.Certificate) { c.IsCA = false })
	noBasic := newCA("clerk", ecKey(), middle, func(c *stdx509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false })
	noSigner := newCA("clerk", ecKey(), middle, func(c *stdx509.Certificate) { c.KeyUsage = stdx509.KeyUsageCRLSign })
	noUsage := newCA("plain", ecKey(), middle, func(c *stdx509.Certificate) { c.KeyUsage = 0 })
	old := newCA("old", ecKey(), middle, func(c *stdx509.Certificate) { c.NotAfter = delivered })
	early := newCA("early", ecKey(), middle, func(c *stdx509.Certificate) { c.NotBefore = delivered.Add(time.Hour) })
	short := newCA("short", ecKey(), root, func(c *stdx509.Certificate) { c.MaxPathLenZero = true })
	below := newCA("below", ecKey(), short)
	fits := newCA("fits", ecKey(), root, func(c *stdx509.Certificate) { c.MaxPathLen = 1 })
	under := newCA("under", ecKey(), fits)
	aged := newCA("aged", ecKey(), nil, func(c *stdx509.Certificate) { c.NotAfter = delivered.Add(-time.Hour) })
	ofAged := newCA("of aged", ecKey(), aged)
	cross := &ca{root.sign(aged.key.Public(), &stdx509.Certificate{Subject: aged.cert.Subject, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: stdx509.KeyUsageCertSign, NotBefore: aged.cert.NotBefore, NotAfter: delivered.AddDate(1, 0, 0)}), aged.key}
	first := newCA("first version", ecKey(), nil, func(c *stdx509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.KeyUsage = false, false, 0 })
	edwards := newCA("edwards", edKey(), nil)
	ofEdwards := newCA("of edwards", ecKey(), edwards)
	odd := newCA("odd", must(rsa.GenerateKey(rand.Reader, 2056)), nil)
	weak := newCA("weak", must(rsa.GenerateKey(rand.Reader, 1024)), nil)
	named := newCA("www.example.net", ecKey(), root)
	renamed := newCA("renamed", issuing.key, middle, func(c *stdx509.Certificate) { c.SubjectKeyId = issuing.cert.SubjectKeyId })
	noRoot := newCA("no root", ecKey(), nil, func(c *stdx509.Certificate) { c.IsCA = false })
	spoilt := *leaf
	spoilt.Raw = slices.Clone(leaf.Raw)
	spoilt.Raw[len(spoilt.Raw)-1] ^= 1
	type certs = []*stdx509.Certificate
	for _, c := range []struct {
		claim       string
		leaf        *stdx509.Certificate
		others, all certs // what came along, and what is kept of it
		want        verdict
	}{
		{"with its root", leaf, certs{issuing.cert, middle.cert, root.cert}, certs{issuing.cert, middle.cert, root.cert}, verdict{}},
		{"without it", leaf, certs{issuing.cert, middle.cert}, certs{issuing.cert, middle.cert}, verdict{}},
		{"in disorder, with copies and the certificate again", leaf, certs{root.cert, leaf, issuing.cert, root.cert, middle.cert, issuing.cert},
			certs{root.cert, issuing.cert, middle.cert}, verdict{}},
		{"none", leaf, nil, nil, narrowerBy("no chain")},
		{"a gap below the root", leaf, certs{issuing.cert, root.cert}, nil, refusedFor("has a gap")},
		{"its first is missing", leaf, certs{middle.cert, root.cert}, nil, refusedFor("of another certificate")},
		{"of somebody else", leaf, certs{unrelated.cert}, nil, refusedFor("of another certificate")},
		{"of a namesake", leaf, certs{namesake.cert, middle.cert, root.cert}, nil, refusedFor("of another certificate")},
		{"of a namesake that takes its key identifier", leaf, certs{forged.cert, middle.cert, root.cert}, nil, refusedFor(`"CN=issuing" did not sign: the signature does not verify`)},
		{"such a namesake beside the right one", leaf, certs{forged.cert, issuing.cert, middle.cert, root.cert}, certs{issuing.cert, middle.cert, root.cert},
			widerBy("1 certificates that do not belong")},
		{"a spoilt signature", &spoilt, certs{issuing.cert, middle.cert, root.cert}, nil, refusedFor("did not sign")},
		{"what does not belong to it, up to the root", leaf, certs{unrelated.cert, issuing.cert, middle.cert, root.cert}, certs{issuing.cert, middle.cert, root.cert},
			widerBy("1 certificates that do not belong")},
		{"what does not belong to it, without a root", leaf, certs{issuing.cert, middle.cert, unrelated.cert}, nil, refusedFor("or what does not belong to it")},
		{"an issuer that is no CA", by(noCA), certs{noCA.cert, middle.cert}, nil, refusedFor(`"CN=clerk" is no CA`)},
		{"an issuer that does not say so", by(noBasic), certs{noBasic.cert, middle.cert}, nil, refusedFor(`"CN=clerk" is no CA`)},
		{"an issuer that signs CRLs only", by(noSigner), certs{noSigner.cert, middle.cert}, nil, refusedFor("may not sign certificates")},
		{"an issuer without key usages", by(noUsage), certs{noUsage.cert}, certs{noUsage.cert}, verdict{}},
		{"an issuer that expired", by(old), certs{old.cert, middle.cert, root.cert}, nil, refusedFor(`"CN=old" is not valid now`)},
		{"an issuer that is not valid yet", by(early), certs{early.cert, middle.cert, root.cert}, nil, refusedFor(`"CN=early" is not valid now`)},
		{"more CAs than a path length allows", by(below), certs{below.cert, short.cert, root.cert}, nil, refusedFor("may not have so many CAs")},
		{"as many CAs as it allows", by(short), certs{short.cert, root.cert}, certs{short.cert, root.cert}, verdict{}},
		{"as many CAs as it allows: one", by(under), certs{under.cert, fits.cert, root.cert}, certs{under.cert, fits.cert, root.cert}, verdict{}},
		{"a root that expired", by(ofAged), certs{ofAged.cert, aged.cert}, nil, refusedFor(`"CN=aged" is not valid now`)},
		{"a root that expired, crossed by another", by(ofAged), certs{ofAged.cert, aged.cert, cross.cert, root.cert}, certs{ofAged.cert, cross.cert, root.cert},
			widerBy("1 certificates that do not belong")},
		{"a root of version 1", by(first), certs{first.cert}, certs{first.cert}, verdict{}},
		{"a root that says that it is no CA", by(noRoot), certs{noRoot.cert}, nil, refusedFor(`"CN=no root" is no CA`)},
		{"another name of the issuer's key", leaf, certs{renamed.cert, middle.cert, root.cert}, nil, refusedFor("of another certificate")},
		{"such a name beside the right one", leaf, certs{renamed.cert, issuing.cert, middle.cert, root.cert}, certs{issuing.cert, middle.cert, root.cert},
			widerBy("1 certificates that do not belong")},
		{"an issuer of the certificate's own name, and another", by(named), certs{named.cert, unrelated.cert}, nil, refusedFor("or what does not belong to it")},
		{"a root on Ed25519", by(ofEdwards), certs{ofEdwards.cert, edwards.cert}, certs{ofEdwards.cert, edwards.cert}, verdict{}},
		{"signed on Ed25519", by(edwards), certs{edwards.cert}, certs{edwards.cert}, verdict{}},
		{"a root of 2056 bits", by(odd), certs{odd.cert}, certs{odd.cert}, verdict{}},
		{"a root of 1024 bits", by(weak), certs{weak.cert}, nil, refusedFor("did not sign")},
		{"self-signed", (&ca{&stdx509.Certificate{Subject: answer().Subject}, key}).sign(key.Public(), answer()), nil, nil, verdict{}},
		{"self-issued, and signed by another", (&ca{&stdx509.Certificate{Subject: answer().Subject, PublicKey: root.key.Public()}, root.key}).sign(key.Public(), answer()), nil, nil,
			refusedFor("its own signature does not verify")},
	} {
		chain, d, refusal := issuance.Accept(orderOf(), key.Public(), parsed(c.leaf)[0], parsed(c.others...), delivered)
		c.want.check(t, c.claim, d, refusal)
		same := func(p *pki.Certificate, x *stdx509.Certificate) bool { return string(p.Raw) == string(x.Raw) }
		if !slices.EqualFunc(chain, c.all, same) {
			t.Errorf("%s: %d certificates are kept, want %d", c.claim, len(chain), len(c.all))
		}
		// An independent judge of what is kept, but for root certificates that it does not take.
		if refusal == nil && len(c.all) > 0 && c.claim != "a root of version 1" {
			checkChain(t, c.claim, c.leaf, c.all)
		}
	}
}

// checkChain asks crypto/x509 whether the last of a chain, and then the rest, vouch for
// the certificate.
func checkChain(t *testing.T, claim string, leaf *stdx509.Certificate, chain []*stdx509.Certificate) {
	t.Helper()
	options := stdx509.VerifyOptions{Roots: stdx509.NewCertPool(), Intermediates: stdx509.NewCertPool(), CurrentTime: delivered}
	for _, c := range chain {
		options.Intermediates.AddCert(c)
		if c.Subject.String() == c.Issuer.String() || len(chain) < 3 {
			options.Roots.AddCert(c)
		}
	}
	if _, err := leaf.Verify(options); err != nil {
		t.Errorf("%s: %v", claim, err)
	}
}

// Nothing that the vault signs itself differs from its policy.
func TestSelfSignedIsAsOrdered(t *testing.T) {
	for name, change := range map[string]func(*issuance.Policy){
		"server": func(*issuance.Policy) {},
		"a CA": func(p *issuance.Policy) {
			p.X509.CA, p.X509.PathLen, p.X509.KeyUsage = true, new(int), []string{"cRLSign", "keyCertSign"}
		},
		"no extensions":    func(p *issuance.Policy) { p.X509.EKUs, p.X509.KeyUsage, p.X509.SANs = nil, nil, nil },
		"no subject":       func(p *issuance.Policy) { p.X509.Subject = "" },
		"a long subject":   func(p *issuance.Policy) { p.X509.Subject = `cn="www.example.net", O="A, B", C=US` },
		"a principal name": func(p *issuance.Policy) { p.X509.SANs.UPNs = []string{"Ann@Example.NET"} },
		"any purpose":      func(p *issuance.Policy) { p.X509.EKUs = []string{"2.5.29.37.0"} },
		"a hundred years":  func(p *issuance.Policy) { p.X509.ValidityMonths = 1200 },
		"all key usages":   func(p *issuance.Policy) { p.X509.KeyUsage = pki.KeyUsages },
	} {
		p := orderOf(change)
		for _, spec := range []pki.KeySpec{{Algorithm: pki.EC, Size: 256, Curve: pki.P256K}, {Algorithm: pki.EC, Size: 384, Curve: pki.P384}} {
			key := must(pki.Generate(spec))
			notBefore, notAfter := p.Validity(delivered)
			leaf := must(pki.ParseCertificate(must(pki.SelfSign(p.X509.Template(), key, notBefore, notAfter))))
			_, d, refusal := issuance.Accept(p, key.Public(), leaf, nil, delivered)
			verdict{}.check(t, name, d, refusal)
		}
	}
}
