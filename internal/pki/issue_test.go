package pki_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/pki"

	"github.com/google/go-cmp/cmp"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

const (
	serverAuth = "1.3.6.1.5.5.7.3.1"
	clientAuth = "1.3.6.1.5.5.7.3.2"
)

// kind is a template and what openssl prints of its extensions, in the order of
// a certificate. Identifiers of keys are masked.
type kind struct {
	name       string
	template   pki.Template
	subject    string // openssl, RFC 2253 without escapes of UTF-8
	named      string // the subject of a certificate where the template has none
	extensions []string
}

var kinds = []kind{
	{
		name: "server",
		template: pki.Template{
			Subject:  "CN=www.example.net, O=Example, C=DE",
			SANs:     &pki.SANs{DNSNames: []string{"www.example.net", "*.example.net"}},
			EKUs:     []string{serverAuth, clientAuth},
			KeyUsage: []string{"nonRepudiation", "digitalSignature"},
		},
		subject: "CN=www.example.net,O=Example,C=DE",
		extensions: []string{
			"X509v3 Key Usage: critical", "Digital Signature, Non Repudiation",
			"X509v3 Basic Constraints:", "CA:FALSE",
			"X509v3 Extended Key Usage:", "TLS Web Server Authentication, TLS Web Client Authentication",
			"X509v3 Subject Alternative Name:", "DNS:www.example.net, DNS:*.example.net",
			"X509v3 Authority Key Identifier:", "ID",
			"X509v3 Subject Key Identifier:", "ID",
		},
	},
	{
		name: "every alternative name",
		template: pki.Template{
			Subject: "CN=all + OU=kinds, O=Bücher",
			SANs: &pki.SANs{
				Emails: []string{"a@b.c"}, DNSNames: []string{"a_b.example.net"}, UPNs: []string{"jürgen@example.net"},
				URIs:        []string{"https://example.com", "http://example.com?q", "HTTPS://example.com#f", "https://example.com/p", "spiffe://example.net", "urn:a:b"},
				IPAddresses: []string{"192.0.2.1", "2001:0db8::1", "::ffff:192.0.2.1"},
			},
			EKUs:     []string{"1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.311.20.2.2"},
			KeyUsage: []string{"KEYAGREEMENT", "decipherOnly", "digitalSignature"},
		},
		subject: "OU=kinds+CN=all,O=Bücher",
		extensions: []string{
			"X509v3 Key Usage: critical", "Digital Signature, Key Agreement, Decipher Only",
			"X509v3 Basic Constraints:", "CA:FALSE",
			"X509v3 Extended Key Usage:", "E-mail Protection, Microsoft Smartcard Login",
			"X509v3 Subject Alternative Name:", "email:a@b.c, othername: UPN::jürgen@example.net, DNS:a_b.example.net, URI:https://example.com/, " +
				"URI:http://example.com/?q, URI:HTTPS://example.com/#f, URI:https://example.com/p, URI:spiffe://example.net, URI:urn:a:b, " +
				"IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:C000:201",
			"X509v3 Authority Key Identifier:", "ID",
			"X509v3 Subject Key Identifier:", "ID",
		},
	},
	{
		name: "authority",
		template: pki.Template{
			Subject:  "CN=Root, O=Example",
			KeyUsage: []string{"keyCertSign", "crlSign"},
			CA:       true, PathLen: ptr(0),
		},
		subject: "CN=Root,O=Example",
		extensions: []string{
			"X509v3 Key Usage: critical", "Certificate Sign, CRL Sign",
			"X509v3 Basic Constraints: critical", "CA:TRUE, pathlen:0",
			"X509v3 Authority Key Identifier:", "ID",
			"X509v3 Subject Key Identifier:", "ID",
		},
	},
	{
		name:     "no subject",
		template: pki.Template{SANs: &pki.SANs{DNSNames: []string{"example.net"}}, KeyUsage: []string{"digitalSignature"}},
		named:    "CN=example.net",
		extensions: []string{
			"X509v3 Key Usage: critical", "Digital Signature",
			"X509v3 Basic Constraints:", "CA:FALSE",
			"X509v3 Subject Alternative Name: critical", "DNS:example.net",
			"X509v3 Authority Key Identifier:", "ID",
			"X509v3 Subject Key Identifier:", "ID",
		},
	},
	{
		name:     "bare",
		template: pki.Template{Subject: "CN=bare", SANs: &pki.SANs{DNSNames: []string{}}},
		subject:  "CN=bare",
		extensions: []string{
			"X509v3 Basic Constraints:", "CA:FALSE",
			"X509v3 Authority Key Identifier:", "ID",
			"X509v3 Subject Key Identifier:", "ID",
		},
	},
}

var algorithms = map[pki.KeySpec]string{
	rsa2048: "sha256WithRSAEncryption", p256: "ecdsa-with-SHA256", p384: "ecdsa-with-SHA384", p521: "ecdsa-with-SHA512", p256k: "ecdsa-with-SHA256",
}

var keyIDPattern = regexp.MustCompile(`^([0-9A-F]{2}:){19}[0-9A-F]{2}$`)

// extensionLines takes the block of extensions out of openssl's text.
func extensionLines(t *testing.T, text, from string) []string {
	t.Helper()
	_, rest, found := strings.Cut(text, from)
	block, _, end := strings.Cut(rest, "    Signature Algorithm:")
	if !found || !end {
		t.Fatalf("no extensions in\n%s", text)
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
		line = strings.TrimSpace(line)
		if keyIDPattern.MatchString(line) {
			line = "ID"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSelfSignedCertificates(t *testing.T) {
	notBefore := time.Date(2026, 3, 1, 11, 50, 0, 999, time.UTC)
	notAfter := time.Date(2051, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, spec := range allSpecs {
		for _, k := range kinds {
			t.Run(specName(spec)+"/"+k.name, func(t *testing.T) {
				key := keyFor(t, spec)
				der, err := pki.SelfSign(k.template, key, notBefore, notAfter)
				if err != nil {
					t.Fatal(err)
				}
				certificate := toPEM("CERTIFICATE", der)
				text := string(openssl(t, certificate, "x509", "-noout", "-text", "-nameopt", "RFC2253,-esc_msb", "-certopt", "no_sigdump"))
				text = strings.ReplaceAll(text, ":<unsupported>", "")
				want, subject := k.extensions, k.subject
				if k.named != "" { // then the alternative name need not be critical
					subject = k.named
					want = slices.Clone(want)
					want[slices.Index(want, "X509v3 Subject Alternative Name: critical")] = "X509v3 Subject Alternative Name:"
				}
				text += "    Signature Algorithm:"
				if diff := cmp.Diff(want, extensionLines(t, text, "X509v3 extensions:\n")); diff != "" {
					t.Errorf("extensions (-want +got)\n%s", diff)
				}
				for _, line := range []string{
					"Version: 3 (0x2)\n", "Signature Algorithm: " + algorithms[spec] + "\n",
					"Issuer: " + subject + "\n", "Subject: " + subject + "\n",
					"Not Before: Mar  1 11:50:00 2026 GMT\n", "Not After : Mar  1 12:00:00 2051 GMT\n",
				} {
					if !strings.Contains(text, line) {
						t.Errorf("no %q in\n%s", line, text)
					}
				}
				file := write(t, "cert.pem", certificate)
				openssl(t, nil, "verify", "-x509_strict", "-check_ss_sig", "-attime", fmt.Sprint(notBefore.Unix()+1), "-CAfile", file, file)
			})
		}
	}
}

func TestSelfSignedCertificatesInCryptoX509(t *testing.T) {
	now := time.Now()
	for _, spec := range allSpecs {
		if spec == p256k {
			continue // crypto/x509 does not know the curve
		}
		for _, k := range kinds {
			t.Run(specName(spec)+"/"+k.name, func(t *testing.T) {
				key := keyFor(t, spec)
				der, err := pki.SelfSign(k.template, key, now, now.AddDate(1, 0, 0))
				if err != nil {
					t.Fatal(err)
				}
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
					t.Error(err)
				}
				if len(cert.SerialNumber.Bytes()) != 16 || cert.SerialNumber.Sign() <= 0 {
					t.Errorf("serial number %x", cert.SerialNumber)
				}
				var spki struct {
					Algorithm asn1.RawValue
					Bits      asn1.BitString
				}
				if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &spki); err != nil {
					t.Fatal(err)
				}
				if id := sha1.Sum(spki.Bits.Bytes); !bytes.Equal(cert.SubjectKeyId, id[:]) || !bytes.Equal(cert.AuthorityKeyId, id[:]) {
					t.Errorf("key identifiers %x and %x; want %x", cert.SubjectKeyId, cert.AuthorityKeyId, id)
				}
				if cert.IsCA != k.template.CA || !cert.BasicConstraintsValid || k.template.PathLen != nil && cert.MaxPathLen != *k.template.PathLen {
					t.Errorf("basic constraints %v %d", cert.IsCA, cert.MaxPathLen)
				}
				if sans := k.template.SANs; sans != nil && !slices.Equal(cert.DNSNames, sans.DNSNames) && len(cert.DNSNames)+len(sans.DNSNames) > 0 {
					t.Errorf("DNS names %q", cert.DNSNames)
				}
			})
		}
	}
}

// Java reads all of them: it refuses certificates that others take, and one that it
// refuses hides all others of a vault from Microsoft's provider for Java.
func TestJavaReadsSelfSignedCertificates(t *testing.T) {
	var all []byte
	n := 0
	for _, spec := range allSpecs {
		for _, k := range kinds {
			der, err := pki.SelfSign(k.template, keyFor(t, spec), time.Now(), time.Now().AddDate(100, 0, 0))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, toPEM("CERTIFICATE", der)...)
			n++
		}
	}
	out, err := exec.Command("keytool", "-J-Xshare:auto", "-J-XX:TieredStopAtLevel=1", "-J-Duser.language=en", "-printcert",
		"-file", write(t, "all.pem", all)).CombinedOutput()
	if err != nil || strings.Count(string(out), "Serial number: ") != n {
		t.Errorf("%d certificates of %d: %v\n%s", strings.Count(string(out), "Serial number: "), n, err, out)
	}
}

// A certificate without a subject is named by its first alternative name that fits a CN
// (contract certificates.md, question 44), and never has an empty issuer.
func TestCertificatesWithoutSubjectAreNamed(t *testing.T) {
	key := keyFor(t, p256)
	long := strings.Repeat("a", 50) + ".example.net"
	for _, tc := range []struct {
		sans pki.SANs
		want string // "": the key identifier
	}{
		{pki.SANs{DNSNames: []string{"*.a.net", "b.net"}, IPAddresses: []string{"192.0.2.1"}}, "CN=*.a.net"},
		{pki.SANs{DNSNames: []string{long + ".long", "b.net"}}, "CN=b.net"},
		{pki.SANs{Emails: []string{"a@b.net"}, UPNs: []string{"u@b"}, IPAddresses: []string{"2001:DB8::1"}}, "CN=2001:db8::1"},
		{pki.SANs{Emails: []string{"a@b.net"}, UPNs: []string{"u@b"}}, "CN=a@b.net"},
		{pki.SANs{UPNs: []string{"ü,\"@b"}, URIs: []string{"urn:a:b"}}, `CN="ü,""@b"`},
		{pki.SANs{URIs: []string{"https://a.net"}}, "CN=https://a.net/"},
		{pki.SANs{URIs: []string{"https://" + long + "/x"}}, ""},
	} {
		der, err := pki.SelfSign(pki.Template{SANs: &tc.sans}, key, time.Now(), time.Now().AddDate(1, 0, 0))
		if err != nil {
			t.Errorf("%+v: %v", tc.sans, err)
			continue
		}
		c, err := pki.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		want := tc.want
		if want == "" {
			want = fmt.Sprintf("CN=%x", c.SubjectKeyID)
		}
		if c.Subject() != want || c.Issuer() != want {
			t.Errorf("%+v: subject %s, issuer %s; want %s", tc.sans, c.Subject(), c.Issuer(), want)
		}
		csr, err := pki.CreateCSR(pki.Template{SANs: &tc.sans}, key)
		if err != nil {
			t.Fatal(err)
		}
		if request, err := x509.ParseCertificateRequest(csr); err != nil || len(request.RawSubject) != 2 {
			t.Errorf("%+v: the request has a subject, or %v", tc.sans, err)
		}
	}
}

// Every certificate but those of P-256K, whose curve zlint cannot read, passes
// all rules that zlint draws from RFC 5280 and its companions on keys and names.
func TestSelfSignedCertificatesPassZLint(t *testing.T) {
	rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813}})
	if err != nil {
		t.Fatal(err)
	}
	if len(rules.Names()) < 100 {
		t.Fatalf("only %d rules", len(rules.Names()))
	}
	now := time.Now()
	passed := make(map[string]bool)
	for _, spec := range allSpecs {
		if spec == p256k {
			continue
		}
		for _, k := range kinds {
			der, err := pki.SelfSign(k.template, keyFor(t, spec), now, now.AddDate(1, 0, 0))
			if err != nil {
				t.Fatal(err)
			}
			cert, err := zx509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			for name, result := range zlint.LintCertificateEx(cert, rules).Results {
				if result.Status == lint.Pass {
					passed[name] = true
				}
				if result.Status >= lint.Warn {
					t.Errorf("%s %s: %s: %s %s", specName(spec), k.name, name, result.Status, result.Details)
				}
			}
		}
	}
	if len(passed) < 40 {
		t.Errorf("only %d rules found anything to judge", len(passed))
	}
}

func TestRequests(t *testing.T) {
	for _, spec := range allSpecs {
		for _, k := range kinds {
			t.Run(specName(spec)+"/"+k.name, func(t *testing.T) {
				der, err := pki.CreateCSR(k.template, keyFor(t, spec))
				if err != nil {
					t.Fatal(err)
				}
				request := toPEM("CERTIFICATE REQUEST", der)
				text := string(openssl(t, request, "req", "-verify", "-noout", "-text", "-nameopt", "RFC2253,-esc_msb", "-reqopt", "no_sigdump"))
				text = strings.ReplaceAll(text, ":<unsupported>", "")
				for _, line := range []string{"Version: 1 (0x0)\n", "Subject: " + k.subject + "\n"} {
					if !strings.Contains(text, line) {
						t.Errorf("no %q in\n%s", line, text)
					}
				}
				// The recorded order of a request: BasicConstraints comes last.
				want, basic := []string{}, []string{}
				for i := 0; i < len(k.extensions); i += 2 {
					pair := k.extensions[i : i+2]
					switch {
					case strings.Contains(pair[0], "Key Identifier"):
					case strings.Contains(pair[0], "Basic Constraints"):
						basic = pair
					default:
						want = append(want, pair...)
					}
				}
				want = append(want, basic...)
				if diff := cmp.Diff(want, extensionLines(t, text+"    Signature Algorithm:", "Requested Extensions:\n")); diff != "" {
					t.Errorf("extensions (-want +got)\n%s", diff)
				}
				public := openssl(t, request, "req", "-noout", "-pubkey")
				spki, err := pki.MarshalPublic(keyFor(t, spec).Public())
				if err != nil || !bytes.Equal(public, toPEM("PUBLIC KEY", spki)) {
					t.Errorf("another public key: %v", err)
				}
			})
		}
	}
}

func TestRequestInCryptoX509(t *testing.T) {
	der, err := pki.CreateCSR(kinds[1].template, keyFor(t, p384))
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.CheckSignature(); err != nil || request.SignatureAlgorithm != x509.ECDSAWithSHA384 {
		t.Errorf("%v: %v", request.SignatureAlgorithm, err)
	}
	//lint:ignore SA1019 the test counts the attributes themselves: extensionRequest must be the only one
	if len(request.Attributes) != 1 || len(request.IPAddresses) != 3 || len(request.URIs) != 6 || len(request.DNSNames) != 1 {
		t.Errorf("%v, %v, %v", request.IPAddresses, request.URIs, request.DNSNames)
	}
}

func TestSelfSignRefusesImpossibleDates(t *testing.T) {
	day := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	for _, tc := range []struct {
		from, to time.Time
		ok       bool
	}{
		{day(2026), day(2027), true}, {day(1950), day(9999), true}, {day(2026), day(2026), false}, {day(2027), day(2026), false},
		{day(1949), day(2026), false}, {day(2026), day(10000), false}, {day(2026), day(2026).Add(time.Second / 2), false},
	} {
		_, err := pki.SelfSign(pki.Template{Subject: "CN=a"}, keyFor(t, p256), tc.from, tc.to)
		if (err == nil) != tc.ok {
			t.Errorf("%v to %v: %v", tc.from, tc.to, err)
		}
	}
}

// faulty is a signer that signs with another key than it shows, or not at all.
type faulty struct {
	public crypto.PublicKey
	sign   func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (f faulty) Public() crypto.PublicKey { return f.public }
func (f faulty) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return f.sign(digest, opts)
}

func TestNothingLeavesWithAWrongSignature(t *testing.T) {
	for _, spec := range allSpecs {
		key := keyFor(t, spec)
		now := time.Now()
		broken := errors.New("device is gone")
		for name, sign := range map[string]func([]byte, crypto.SignerOpts) ([]byte, error){
			"another message": func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
				other := bytes.Clone(digest)
				other[0] ^= 1
				return key.Sign(rand.Reader, other, opts)
			},
			"flipped bit": func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
				sig, err := key.Sign(rand.Reader, digest, opts)
				sig[len(sig)-1] ^= 1
				return sig, err
			},
			"failure": func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, broken },
		} {
			signer := faulty{key.Public(), sign}
			if der, err := pki.SelfSign(pki.Template{Subject: "CN=a"}, signer, now, now.AddDate(1, 0, 0)); err == nil || der != nil {
				t.Errorf("%s, %s: a certificate leaves", specName(spec), name)
			} else if name == "failure" && !errors.Is(err, broken) {
				t.Errorf("the cause is lost: %v", err)
			}
			if der, err := pki.CreateCSR(pki.Template{Subject: "CN=a"}, signer); err == nil || der != nil {
				t.Errorf("%s, %s: a request leaves", specName(spec), name)
			}
		}
	}
}

func TestSigningRefusesOtherKeys(t *testing.T) {
	now := time.Now()
	for _, key := range []crypto.Signer{nil, faulty{}} {
		if _, err := pki.SelfSign(pki.Template{Subject: "CN=a"}, key, now, now.AddDate(1, 0, 0)); !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("SelfSign: %v", err)
		}
		if _, err := pki.CreateCSR(pki.Template{Subject: "CN=a"}, key); !errors.Is(err, pki.ErrKeyType) {
			t.Errorf("CreateCSR: %v", err)
		}
	}
}
