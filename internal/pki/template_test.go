package pki_test

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/pki"
)

func TestTemplateErrorsNameTheField(t *testing.T) {
	many := slices.Repeat([]string{serverAuth}, 101)
	for _, tc := range []struct {
		field    string
		template pki.Template
	}{
		{"subject: ", pki.Template{}},
		{"subject: ", pki.Template{SANs: &pki.SANs{}}},
		{"subject: invalid X.500", pki.Template{Subject: "x"}},
		{"sans.dns_names: ", pki.Template{SANs: &pki.SANs{DNSNames: []string{"a b"}}}},
		{"sans.ipAddresses: ", pki.Template{SANs: &pki.SANs{IPAddresses: []string{"x"}}}},
		{"sans: ", pki.Template{SANs: &pki.SANs{UPNs: slices.Repeat([]string{"u@d"}, 251)}}},
		{"ekus 1: ", pki.Template{Subject: "CN=a", EKUs: []string{"serverAuth"}}},
		{"ekus: ", pki.Template{Subject: "CN=a", EKUs: many}},
		{"key_usage 2: ", pki.Template{Subject: "CN=a", KeyUsage: []string{"cRLSign", "sign"}}},
		{"path_len_constraint: ", pki.Template{Subject: "CN=a", PathLen: ptr(0)}},
		{"path_len_constraint: ", pki.Template{Subject: "CN=a", CA: true, PathLen: ptr(-1)}},
		{"path_len_constraint: ", pki.Template{Subject: "CN=a", CA: true, PathLen: ptr(256)}},
	} {
		key := keyFor(t, p256)
		now := time.Now()
		if _, err := pki.CreateCSR(tc.template, key); err == nil || !strings.HasPrefix(err.Error(), tc.field) {
			t.Errorf("CreateCSR: %v; want %q", err, tc.field)
		}
		if _, err := pki.SelfSign(tc.template, key, now, now.AddDate(1, 0, 0)); err == nil || !strings.HasPrefix(err.Error(), tc.field) {
			t.Errorf("SelfSign: %v; want %q", err, tc.field)
		}
	}
}

func TestKeyUsageWords(t *testing.T) {
	if len(pki.KeyUsages) != 9 {
		t.Fatalf("%d words", len(pki.KeyUsages))
	}
	for i, word := range pki.KeyUsages {
		for _, form := range []string{word, strings.ToUpper(word), strings.ToLower(word)} {
			if got, ok := pki.CanonicalKeyUsage(form); !ok || got != word {
				t.Errorf("CanonicalKeyUsage(%q) = %q, %v", form, got, ok)
			}
		}
		// crypto/x509 numbers the bits too.
		der, err := pki.SelfSign(pki.Template{Subject: "CN=a", KeyUsage: []string{word}}, keyFor(t, p256), time.Now(), time.Now().AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil || cert.KeyUsage != 1<<i {
			t.Errorf("%s gives bits %b: %v", word, cert.KeyUsage, err)
		}
	}
	for _, word := range []string{"", "sign", "contentCommitment", "keyUsage"} {
		if got, ok := pki.CanonicalKeyUsage(word); ok {
			t.Errorf("CanonicalKeyUsage(%q) = %q", word, got)
		}
	}
}

func TestCheckOID(t *testing.T) {
	for _, s := range []string{"1.3.6.1.5.5.7.3.1", "2.5.29.37.0", "0.0", "1.39", "2.999.1", "2.25.340282366920938463463374607431768211455"} {
		if err := pki.CheckOID(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"", "1", "1.", ".1", "1..2", "3.1", "1.40", "0.40", "1.02.3", "1.-2", "1.+2", "1.a", "1.2 ", " 1.2", "serverAuth",
		"1.2." + strings.Repeat("9", 1<<20), "1.2" + strings.Repeat(".999999", 50)} {
		if err := pki.CheckOID(s); err == nil {
			t.Errorf("%.40s is accepted", s)
		}
	}
}
