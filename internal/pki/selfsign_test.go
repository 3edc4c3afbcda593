package pki

import (
	"strings"
	"testing"
	"time"
)

// The last check before a certificate leaves cannot be made to fail from
// outside: here it is given certificates of other templates (OpenBao
// GHSA-g892-p242-8g86: what is issued is compared with what was allowed).
func TestIssuedCertificateIsComparedFieldByField(t *testing.T) {
	key, err := Generate(KeySpec{EC, 256, P256K})
	if err != nil {
		t.Fatal(err)
	}
	one, two := 1, 2
	asked := func() Template {
		return Template{
			Subject: "CN=a", EKUs: []string{"1.2.3"}, KeyUsage: []string{"keyCertSign"}, CA: true, PathLen: &one,
			SANs: &SANs{Emails: []string{"a@b"}, DNSNames: []string{"a"}, UPNs: []string{"a@b"}, URIs: []string{"urn:a"}, IPAddresses: []string{"192.0.2.1"}},
		}
	}
	for _, tc := range []struct {
		change func(*Template)
		want   string // "" for no difference
	}{
		{func(*Template) {}, ""},
		{func(t *Template) { t.Subject = "CN=b" }, "subject"},
		{func(t *Template) { t.EKUs = nil }, "extended key usage"},
		{func(t *Template) { t.EKUs = []string{"1.2.4"} }, "extended key usage"},
		{func(t *Template) { t.KeyUsage = nil }, "key usage"},
		{func(t *Template) { t.KeyUsage = append(t.KeyUsage, "cRLSign") }, "key usage"},
		{func(t *Template) { t.CA, t.PathLen = false, nil }, "basic constraints"},
		{func(t *Template) { t.PathLen = nil }, "basic constraints"},
		{func(t *Template) { t.PathLen = &two }, "basic constraints"},
		{func(t *Template) { t.SANs = nil }, "alternative names"},
		{func(t *Template) { t.SANs.Emails = []string{"a@c"} }, "alternative names"},
		{func(t *Template) { t.SANs.DNSNames = append(t.SANs.DNSNames, "b") }, "alternative names"},
		{func(t *Template) { t.SANs.UPNs = nil }, "alternative names"},
		{func(t *Template) { t.SANs.URIs = []string{"urn:b"} }, "alternative names"},
		{func(t *Template) { t.SANs.IPAddresses = append(t.SANs.IPAddresses, "192.0.2.2") }, "alternative names"},
	} {
		allowed, err := asked().profile(key)
		if err != nil {
			t.Fatal(err)
		}
		template := asked()
		tc.change(&template)
		der, err := SelfSign(template, key, time.Now(), time.Now().AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		issued, err := ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := allowed.matches(issued); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("difference %q; want %q", got, tc.want)
		}
	}

	other, err := Generate(KeySpec{EC, 256, P256K})
	if err != nil {
		t.Fatal(err)
	}
	der, err := SelfSign(asked(), other, time.Now(), time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := asked().profile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := allowed.matches(issued); err == nil || !strings.Contains(err.Error(), "public key") {
		t.Errorf("another key: %v", err)
	}
}

func TestSerialNumbersAreSixteenOctets(t *testing.T) {
	seen := make(map[string]bool)
	for range 2000 {
		n := newSerial()
		if n.Sign() <= 0 || len(n.Bytes()) != serialBytes || n.BitLen() == serialBytes*8 || seen[n.String()] {
			t.Fatalf("serial number %x", n)
		}
		seen[n.String()] = true
	}
}
