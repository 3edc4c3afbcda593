package pki_test

import (
	"strings"
	"testing"

	"coffer/internal/pki"
)

func TestSANSyntax(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tc := range []struct {
		field     string
		good, bad []string
	}{
		{"dns_names",
			[]string{"example.net", "*.example.net", "a_b.example.net", "localhost", "xn--bcher-kva.example", "1.example", "A.B",
				long + ".net", strings.Join([]string{long, long, long, strings.Repeat("a", 61)}, ".")},
			[]string{"", ".", "a.", ".a", "a..b", "*", "*.", "a.*.b", "*a.b", "a.*", "-a.b", "a-.b", "a b", "bücher.de", "a\x00b", "192.0.2.1",
				"2001:db8::1", "[::1]", "1.2", "a/b", "a@b", "a:443", long + "a.net", strings.Join([]string{long, long, long, strings.Repeat("a", 62)}, ".")}},
		{"emails",
			[]string{"a@b.c", "first.last+tag@example.net", "o'hara@localhost", "x_y@a_b.c"},
			[]string{"", "a", "@b", "a@", "a@b@c", "a b@c", ".a@b", "a.@b", "a..b@c", "ä@b.c", "a@ä.c", "A <a@b.c>", "a@[192.0.2.1]", "a@*.b",
				strings.Repeat("a", 65) + "@b.c", "a@b.c\n"}},
		{"upns",
			[]string{"u@d", "jürgen@example.net", "host/x@REALM", "用户@例子"},
			[]string{"", "u", "@d", "u@", "u v@d", "u@d\n", "u\x00@d", "\xff@d"}},
		{"uris",
			[]string{"https://example.net", "https://example.net/a?b#c", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "spiffe://example.net/ns/x",
				"ldap://[2001:db8::7]/c=GB", "http://192.0.2.1:8080/", "mailto:a@b.c", "file:///etc/x", "tag:a,b:%41"},
			[]string{"", "example.net", "/a", "//example.net/a", "https:", "https://", "https://a b/", "https://ä.example/", "https://a/\x00",
				"https://a..b/", "1https://a", "https://a/%zz", "https://a:port/", "https://a/<b>", "https://a\\b"}},
		{"ipAddresses",
			[]string{"192.0.2.1", "2001:0db8::1", "::", "::ffff:192.0.2.1"},
			[]string{"", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.0/24", "fe80::1%eth0", "[::1]", "example.net", "::1 "}},
	} {
		sans := func(name string) *pki.SANs {
			names := []string{name}
			switch tc.field {
			case "dns_names":
				return &pki.SANs{DNSNames: names}
			case "emails":
				return &pki.SANs{Emails: names}
			case "upns":
				return &pki.SANs{UPNs: names}
			case "uris":
				return &pki.SANs{URIs: names}
			default:
				return &pki.SANs{IPAddresses: names}
			}
		}
		for _, name := range tc.good {
			if field, err := sans(name).Check(); err != nil || field != "" {
				t.Errorf("%s %q: %s %v", tc.field, name, field, err)
			}
		}
		for _, name := range append(tc.bad, "a@a."+strings.Repeat("a", 2050)) {
			field, err := sans(name).Check()
			if err == nil || field != tc.field {
				t.Errorf("%s %.40q: field %q, %v", tc.field, name, field, err)
			}
			if err != nil && len(name) > 3 && strings.Contains(err.Error(), name) {
				t.Errorf("%s %.40q: the error repeats the name", tc.field, name)
			}
		}
	}
}

func TestSANBounds(t *testing.T) {
	many := make([]string, 125)
	for i := range many {
		many[i] = "u@d"
	}
	sans := &pki.SANs{Emails: many, UPNs: many}
	if field, err := sans.Check(); err != nil {
		t.Errorf("250 names: %s %v", field, err)
	}
	sans.DNSNames = []string{"a"}
	if field, err := sans.Check(); err == nil || field != "" {
		t.Errorf("251 names: field %q, %v", field, err)
	}
	exact := "u@" + strings.Repeat("d", 2046)
	if _, err := (&pki.SANs{UPNs: []string{exact}}).Check(); err != nil {
		t.Errorf("2048 octets: %v", err)
	}
	if _, err := (&pki.SANs{UPNs: []string{exact + "d"}}).Check(); err == nil {
		t.Error("2049 octets are accepted")
	}
	if field, err := (*pki.SANs)(nil).Check(); err != nil || field != "" {
		t.Errorf("nil: %q %v", field, err)
	}
}
