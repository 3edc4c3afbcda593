package bundle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12"
)

func TestReadMerge(t *testing.T) {
	leafDER, caDER := der(t, "ec.pem"), der(t, "ca.pem")
	leaf, ca := b64(string(leafDER)), b64(string(caDER))
	bundle := output(t, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem", "-certfile", "ca.pem")
	bundleDER := output(t, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem", "-certfile", "ca.pem", "-outform", "DER")
	both := [][]byte{leafDER, caDER}
	write(t, "message", "hello")
	// A signed message in BER, which carries its signer and the CA.
	signed := output(t, "cms", "-sign", "-stream", "-nodetach", "-binary", "-in", "message", "-signer", "ec.pem", "-inkey", "ec.key",
		"-certfile", "ca.pem", "-outform", "DER")
	if !strings.HasPrefix(signed, "\x30\x80") {
		t.Fatal("openssl wrote no BER")
	}
	degenerate, err := pkcs7.DegenerateCertificate(append(bytes.Clone(leafDER), caDER...))
	if err != nil {
		t.Fatal(err)
	}
	// Another choice of CertificateChoices before the leaf (RFC 5652, section 10.2.2).
	var other cryptobyte.Builder
	other.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddBytes([]byte{0x31, 0, 0x30, 0})
				b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
					b.AddBytes([]byte{0xa1, 2, 5, 0})
					b.AddBytes(leafDER)
				})
				b.AddBytes([]byte{0x31, 0})
			})
		})
	})
	withOther, err := other.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		x5c  []string
		want [][]byte
	}{
		{"leaf", []string{leaf}, both[:1]},
		{"leaf and chain", []string{leaf, ca}, both},
		{"chain and leaf", []string{ca, leaf}, [][]byte{caDER, leafDER}},
		{"URL alphabet, no padding", []string{base64.RawURLEncoding.EncodeToString(leafDER), ca}, both},
		{"folded", []string{fold(leaf, "\r\n") + "\n", ca}, both},
		{"PEM", []string{text(t, "ec.pem"), text(t, "ca.pem")}, both},
		{"PEM, both in one", []string{text(t, "ec.pem") + text(t, "ca.pem")}, both},
		{"PEM in base64", []string{b64(crlf(text(t, "ec.pem") + text(t, "ca.pem")))}, both},
		{"PEM, TRUSTED", []string{output(t, "x509", "-in", "ec.pem", "-trustout"), ca}, both},
		{"PEM, with a CSR", []string{output(t, "req", "-new", "-key", "ec.key", "-subj", "/CN=x") + text(t, "ec.pem"), ca}, both},
		{"PEM, PKCS#7 under CERTIFICATE", []string{strings.ReplaceAll(bundle, "PKCS7", "CERTIFICATE")}, both},
		{"base64 of base64", []string{b64(leaf), b64(ca)}, both},
		{"base64 of base64, folded", []string{b64(fold(leaf, "\r\n") + "\r\n"), fold(b64(fold(ca, "\n")), "\n")}, both},
		{"base64 of base64, with the END line", []string{b64(fold(leaf, "\n") + "\n-----END CERTIFICATE-----\n"), ca}, both},
		{"base64 of base64, joined", []string{b64(leaf + "-----END CERTIFICATE-----"), b64(strings.ReplaceAll(text(t, "ca.pem"), "\n", ""))}, both},
		{"base64 with the END line", []string{leaf + "-----END CERTIFICATE-----", ca}, both},
		{"base64 of the base64 of PKCS#7", []string{b64(b64(bundleDER))}, both},
		{"PKCS#7 of openssl", []string{b64(bundleDER)}, both},
		{"PKCS#7 of smallstep", []string{b64(string(degenerate))}, both},
		{"PKCS#7 in PEM", []string{bundle}, both},
		{"PKCS#7 in PEM, as CMS", []string{strings.ReplaceAll(bundle, "PKCS7", "CMS")}, both},
		{"PKCS#7 in PEM with remarks", []string{output(t, "pkcs7", "-in", pkcs7File(t, bundle), "-print_certs") + bundle}, append(append([][]byte{}, both...), both...)},
		{"PKCS#7 in BER, with a signature", []string{b64(signed)}, both},
		{"PKCS#7, then the rest", []string{leaf, b64(output(t, "crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-outform", "DER"))}, both},
		{"PKCS#7, secp256k1", []string{b64(output(t, "crl2pkcs7", "-nocrl", "-certfile", "k1.pem", "-outform", "DER"))}, [][]byte{der(t, "k1.pem")}},
		{"PKCS#7 with an attribute certificate", []string{b64(string(withOther))}, both[:1]},
		{"PFX with key", []string{pfx(t, "ec", "")}, both},
		{"PFX, legacy", []string{pfx(t, "ec", "", "-legacy")}, both},
		{"PFX without key", []string{b64(output(t, "pkcs12", "-export", "-nokeys", "-in", "ec.pem", "-certfile", "ca.pem", "-passout", "pass:"))}, both},
	}
	for _, tt := range tests {
		got, err := ReadMerge(tt.x5c)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d certificates", tt.name, len(got))
			continue
		}
		for i := range got {
			// openssl sorts neither, but PKCS#7 is a SET: any order will do there.
			if !bytes.Equal(got[i], tt.want[i]) && !(strings.HasPrefix(tt.name, "PKCS#7 in BER") && bytes.Equal(got[i], tt.want[1-i])) {
				t.Errorf("%s: certificate %d differs", tt.name, i)
			}
		}
	}
}

func pkcs7File(t *testing.T, content string) string {
	write(t, "bundle.p7b", content)
	return "bundle.p7b"
}

func TestReadMergeRefuses(t *testing.T) {
	leaf := b64(string(der(t, "ec.pem")))
	enveloped := output(t, "cms", "-data_create", "-in", "ec.pem", "-outform", "DER")
	noCerts := "MCcGCSqGSIb3DQEHAqAaMBgCAQExADALBgkqhkiG9w0BBwGgADEAMQA="
	tests := []struct {
		name  string
		x5c   []string
		msg   string
		cause error
	}{
		{"nil", nil, msgNoElements, nil},
		{"empty", []string{}, msgNoElements, nil},
		{"empty element", []string{leaf, ""}, msgInvalid, nil},
		{"no base64", []string{"%%%"}, msgInvalid, nil},
		{"certificate cut", []string{leaf[:100]}, msgInvalid, nil},
		{"certificate with more", []string{b64(string(der(t, "ec.pem")) + "x")}, msgInvalid, nil},
		{"certificate in BER", []string{b64("\x30\x80" + string(der(t, "ec.pem"))[4:] + "\x00\x00")}, msgInvalid, errBER},
		{"an INTEGER", []string{"AgEB"}, msgInvalid, errElement},
		{"an empty SEQUENCE", []string{"MAA="}, msgInvalid, errElement},
		{"a NULL in a SEQUENCE", []string{"MAIFAA=="}, msgInvalid, errElement},
		{"PKCS#7 of another type", []string{b64(enveloped)}, msgInvalid, errPKCS7},
		{"PKCS#7 without certificates", []string{noCerts}, msgInvalid, nil},
		{"PEM of a key", []string{text(t, "ec.pem") + text(t, "ec.key")}, msgPEMUnexpected, errKeyBlock},
		{"PEM of nothing", []string{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, msgPEMUnreadable, errCertificate},
		{"PEM of no PKCS#7", []string{strings.ReplaceAll(text(t, "ec.pem"), "CERTIFICATE", "PKCS7")}, msgPEMUnreadable, errPKCS7},
		{"PEM in one line", []string{strings.ReplaceAll(text(t, "ec.pem"), "\n", "")}, msgPEMUnexpected, errNoLineBreaks},
		{"PFX with password", []string{pfx(t, "ec", "secret")}, msgPKCS12Unreadable, pkcs12.ErrPassword},
		{"PFX, costly", []string{pfx(t, "ec", "", "-iter", "1000001")}, msgCostly, pkcs12.ErrTooCostly},
		{"PFX without certificate", []string{b64(output(t, "pkcs12", "-export", "-nocerts", "-inkey", "ec.key", "-passout", "pass:"))}, msgInvalid, errNoCertificate},
		{"base64 three times", []string{b64(b64(leaf))}, msgInvalid, errElement},
		{"too many elements", make([]string, maxCertificates+1), msgTooLong, nil},
		{"too many certificates", []string{leaf, strings.Repeat(text(t, "ec.pem"), maxCertificates)}, msgTooLong, nil},
		{"too long", []string{leaf, strings.Repeat("A", maxText)}, msgTooLong, nil},
	}
	for _, tt := range tests {
		got, err := ReadMerge(tt.x5c)
		refusal, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: %d certificates, %v", tt.name, len(got), err)
			continue
		}
		if len(tt.x5c) > 0 && tt.msg != msgTooLong && !strings.Contains(refusal.Text(), fmt.Sprintf("Element %d of x5c: ", max(slices.IndexFunc(tt.x5c, func(e string) bool { return e != leaf }), 0)+1)) {
			t.Errorf("%s: %s", tt.name, refusal.Text())
		}
		if refusal.Msg != tt.msg || tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func FuzzReadMerge(f *testing.F) {
	for _, seed := range []string{
		b64(string(der(f, "ec.pem"))),
		text(f, "ec.pem") + text(f, "ca.pem"),
		output(f, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem"),
		b64(output(f, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem", "-outform", "DER")),
		b64(b64(string(der(f, "ec.pem"))) + "-----END CERTIFICATE-----"),
		b64(strings.ReplaceAll(text(f, "ec.pem"), "\n", "")),
		pfx(f, "ec", ""),
	} {
		f.Add(seed, "MAA=")
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		certs, err := ReadMerge([]string{a, b})
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("not an *Error: %v", err)
			}
			return
		}
		if len(certs) == 0 || len(certs) > maxCertificates {
			t.Errorf("%d certificates", len(certs))
		}
		for _, c := range certs {
			if !isSequence(c) {
				t.Errorf("a certificate that is no SEQUENCE: % x", c)
			}
		}
	})
}
