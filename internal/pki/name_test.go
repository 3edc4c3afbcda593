package pki_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"coffer/internal/pki"

	"github.com/google/go-cmp/cmp"
)

// ava is one attribute as encoding/asn1 writes it.
type ava struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

func attribute(oid string, tag int, value string) ava {
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(oid, ".") {
		n := 0
		for _, c := range arc {
			n = n*10 + int(c-'0')
		}
		id = append(id, n)
	}
	return ava{id, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
}

type rdnSET []ava // encoding/asn1 sorts what is named SET

func derName(t testing.TB, rdns ...rdnSET) []byte {
	t.Helper()
	if rdns == nil {
		rdns = []rdnSET{}
	}
	return marshal(t, rdns)
}

const (
	cn, ou, o, l, st, c = "2.5.4.3", "2.5.4.11", "2.5.4.10", "2.5.4.7", "2.5.4.8", "2.5.4.6"
	email, dc           = "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25"

	printable, utf8String, ia5 = asn1.TagPrintableString, asn1.TagUTF8String, asn1.TagIA5String
)

func one(oid string, tag int, value string) rdnSET { return rdnSET{attribute(oid, tag, value)} }

func TestParseNameEncodesInReverse(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []rdnSET
	}{
		{"", nil},
		{" \t", nil},
		{"CN=x", []rdnSET{one(cn, printable, "x")}},
		// Recorded, contract certificates.md, 10.3.
		{"C=US, ST=WA, L=Redmond, O=X, CN=x", []rdnSET{one(cn, printable, "x"), one(o, printable, "X"), one(l, printable, "Redmond"), one(st, printable, "WA"), one(c, printable, "US")}},
		{"CN=x, O=X, C=US", []rdnSET{one(c, printable, "US"), one(o, printable, "X"), one(cn, printable, "x")}},
		{"cn=MyCert", []rdnSET{one(cn, printable, "MyCert")}},
		{"CN=a;O=b ; L=c", []rdnSET{one(l, printable, "c"), one(o, printable, "b"), one(cn, printable, "a")}},
		{"  CN  =  a b  ,O=b", []rdnSET{one(o, printable, "b"), one(cn, printable, "a b")}},
		{"CN=a,", []rdnSET{one(cn, printable, "a")}},
		{"CN=a+OU=b, O=c", []rdnSET{one(o, printable, "c"), {attribute(cn, printable, "a"), attribute(ou, printable, "b")}}},
		{"OU=b + CN=a", []rdnSET{{attribute(cn, printable, "a"), attribute(ou, printable, "b")}}},
		{`CN="a, b + c; d"`, []rdnSET{one(cn, utf8String, "a, b + c; d")}},
		{`CN="a, b"`, []rdnSET{one(cn, printable, "a, b")}},
		{`CN=" a "`, []rdnSET{one(cn, printable, " a ")}},
		{`CN="say ""hi""" , O=b`, []rdnSET{one(o, printable, "b"), one(cn, utf8String, `say "hi"`)}},
		{`CN=""""`, []rdnSET{one(cn, utf8String, `"`)}},
		{`CN="a\,b"`, []rdnSET{one(cn, utf8String, `a\,b`)}},
		{`CN=a\,b`, []rdnSET{one(cn, printable, "a,b")}},
		{`CN=\ a\ ,O=b`, []rdnSET{one(o, printable, "b"), one(cn, printable, " a ")}},
		{`CN=\#1`, []rdnSET{one(cn, utf8String, "#1")}},
		{`CN="#1"`, []rdnSET{one(cn, utf8String, "#1")}},
		{`CN=a\C4\8D`, []rdnSET{one(cn, utf8String, "ač")}},
		{`CN=DOMAIN\user`, []rdnSET{one(cn, utf8String, `DOMAIN\user`)}},
		{`CN=a\`, []rdnSET{one(cn, utf8String, `a\`)}},
		{"CN=a=b", []rdnSET{one(cn, printable, "a=b")}},
		{"CN=*.example.net", []rdnSET{one(cn, utf8String, "*.example.net")}},
		{"CN=a@b", []rdnSET{one(cn, utf8String, "a@b")}},
		{"CN=Bücher", []rdnSET{one(cn, utf8String, "Bücher")}},
		{`CN="A0 '()+,-./:=?"`, []rdnSET{one(cn, printable, "A0 '()+,-./:=?")}},
		{"E=a@b.c", []rdnSET{one(email, ia5, "a@b.c")}},
		{"email=a@b.c", []rdnSET{one(email, ia5, "a@b.c")}},
		{"EmailAddress=a@b.c", []rdnSET{one(email, ia5, "a@b.c")}},
		{"DC=example, DC=net", []rdnSET{one(dc, ia5, "net"), one(dc, ia5, "example")}},
		{"S=WA", []rdnSET{one(st, printable, "WA")}},
		{"G=a, GIVENNAME=b", []rdnSET{one("2.5.4.42", printable, "b"), one("2.5.4.42", printable, "a")}},
		{"SN=a, I=b, T=c, TITLE=d", []rdnSET{one("2.5.4.12", printable, "d"), one("2.5.4.12", printable, "c"), one("2.5.4.43", printable, "b"), one("2.5.4.4", printable, "a")}},
		{"SURNAME=a, Initials=b", []rdnSET{one("2.5.4.43", printable, "b"), one("2.5.4.4", printable, "a")}},
		{`Description=a, POBox=b, Phone="+1", dnQualifier=d`, []rdnSET{one("2.5.4.46", printable, "d"), one("2.5.4.20", printable, "+1"), one("2.5.4.18", printable, "b"), one("2.5.4.13", printable, "a")}},
		{"SERIALNUMBER=1, POSTALCODE=2, STREET=3", []rdnSET{one("2.5.4.9", printable, "3"), one("2.5.4.17", printable, "2"), one("2.5.4.5", printable, "1")}},
		{"UID=u", []rdnSET{one("0.9.2342.19200300.100.1.1", printable, "u")}},
		{"OID.2.5.4.3=a", []rdnSET{one(cn, printable, "a")}},
		{"oid.2.5.4.6=DE", []rdnSET{one(c, printable, "DE")}},
		{"1.3.6.1.4.1.311.60.2.1.3=DE", []rdnSET{one("1.3.6.1.4.1.311.60.2.1.3", printable, "DE")}},
		{"CN=" + strings.Repeat("ä", 64), []rdnSET{one(cn, utf8String, strings.Repeat("ä", 64))}},
	} {
		t.Run(tc.text, func(t *testing.T) {
			got, err := pki.ParseName(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if want := derName(t, tc.want...); !bytes.Equal(got, want) {
				t.Errorf("ParseName(%q)\n got %x\nwant %x", tc.text, got, want)
			}
		})
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, text := range []string{
		"x", ",", "CN", "=x", "CN=", "CN=,O=x", `CN=""`, "CN=a,,O=b", ",CN=a", "CN=a+", "+CN=a", "CN=a+b", "CN=a+O=b+",
		`CN="a`, `CN="a"b`, `CN=a"b"`, `CN="a"""b`, "CN=#04024869", "CN=#", "XY=a", "OID.=a", "OID.1=a", "OID.3.1=a",
		"OID.2.5.4.03=a", "OID.1.2.x=a", "C=USA", "C=U", "C=U1", "C=ÄÖ", "E=ä@b", "DC=ä", "SERIALNUMBER=a_b", "CN=a\x00b",
		"CN=a\nb", `CN=a\0Ab`, `CN=a\FF`, "CN=\xff", "CN=a+CN=b", "CN=" + strings.Repeat("a", 65), "O=" + strings.Repeat("a", 65),
		"L=" + strings.Repeat("a", 129), "E=" + strings.Repeat("a", 256), "2.5.4.6=USA", "This is not an X.500 name",
		"1.2." + strings.Repeat("9", 1<<20) + "=a", strings.Repeat("CN=a+", 1000), strings.Repeat(",", 1<<16),
	} {
		der, err := pki.ParseName(text)
		if !errors.Is(err, pki.ErrName) || der != nil {
			t.Errorf("ParseName(%.40q) = %x, %v; want ErrName", text, der, err)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("ParseName(%.40q): the error repeats the text", text)
		}
	}
}

func TestParseNameTakesAnyLength(t *testing.T) {
	const n = 100_000
	der, err := pki.ParseName(strings.Repeat("DC=example,", n))
	if err != nil {
		t.Fatal(err)
	}
	text, err := pki.FormatName(der)
	if err != nil || strings.Count(text, "DC=example") != n {
		t.Errorf("%d of %d attributes are left: %v", strings.Count(text, "DC=example"), n, err)
	}
}

func TestFormatNameAsWindowsDoes(t *testing.T) {
	for _, tc := range []struct {
		rdns []rdnSET
		want string
	}{
		{nil, ""},
		// Recorded, contract certificates.md, 10.3.
		{[]rdnSET{one(c, printable, "AU"), one(st, utf8String, "Some-State"), one(o, utf8String, "Internet Widgits Pty Ltd")}, "O=Internet Widgits Pty Ltd, S=Some-State, C=AU"},
		{[]rdnSET{one(o, utf8String, "A, Inc."), one(cn, utf8String, `"x"`)}, `CN="""x""", O="A, Inc."`},
		{[]rdnSET{one(cn, utf8String, "a=b"), one(cn, utf8String, "#a"), one(cn, utf8String, "a;b")}, `CN="a;b", CN="#a", CN="a=b"`},
		{[]rdnSET{one(cn, utf8String, " a"), one(cn, utf8String, "a "), one(cn, utf8String, "")}, `CN="", CN="a ", CN=" a"`},
		{[]rdnSET{one(cn, utf8String, `D\u`)}, `CN="D\u"`},
		{[]rdnSET{{attribute(cn, utf8String, "a"), attribute(ou, utf8String, "b")}}, "CN=a + OU=b"},
		{[]rdnSET{one(email, ia5, "a@b.c"), one(dc, ia5, "net")}, "DC=net, E=a@b.c"},
		{[]rdnSET{one("2.5.4.46", printable, "q"), one("2.5.4.15", utf8String, "Private Organization")}, "OID.2.5.4.15=Private Organization, OID.2.5.4.46=q"},
		{[]rdnSET{one("2.5.4.17", utf8String, "1"), one("0.9.2342.19200300.100.1.1", utf8String, "u")}, "UID=u, POSTALCODE=1"},
		{[]rdnSET{one(cn, asn1.TagT61String, "caf\xe9")}, "CN=café"},
		{[]rdnSET{one(cn, asn1.TagBMPString, "\x01\x0d\x00e\xd8\x3d\xde\x00")}, "CN=če😀"},
		{[]rdnSET{one(cn, 28, "\x00\x00\x01\x0d\x00\x01\xf6\x00")}, "CN=č😀"},
		{[]rdnSET{one(cn, asn1.TagNumericString, "12")}, "CN=12"},
		{[]rdnSET{one(cn, printable, "a_b@c")}, "CN=a_b@c"},
		// No text: shown, and refused by ParseName.
		{[]rdnSET{one("2.5.4.45", asn1.TagBitString, "\x00\x05")}, "OID.2.5.4.45=#03020005"},
		{[]rdnSET{one(cn, asn1.TagOctetString, "a")}, "OID.2.5.4.3=#040161"},
		{[]rdnSET{one(cn, utf8String, "a\xff")}, "OID.2.5.4.3=#0C0261FF"},
		{[]rdnSET{one(cn, utf8String, "good\x00evil")}, "OID.2.5.4.3=#0C09676F6F64006576696C"},
		{[]rdnSET{one(cn, asn1.TagBMPString, "\x00")}, "OID.2.5.4.3=#1E0100"},
		{[]rdnSET{one(cn, asn1.TagBMPString, "\xd8\x3d")}, "OID.2.5.4.3=#1E02D83D"},
		{[]rdnSET{one(cn, 28, "\x00\x11\x00\x00")}, "OID.2.5.4.3=#1C0400110000"},
		{[]rdnSET{one(cn, printable, "\xe9")}, "OID.2.5.4.3=#1301E9"},
	} {
		der := derName(t, tc.rdns...)
		got, err := pki.FormatName(der)
		if err != nil || got != tc.want {
			t.Errorf("FormatName(%x) = %q, %v; want %q", der, got, err, tc.want)
		}
		if strings.Contains(got, "=#") {
			if _, err := pki.ParseName(got); !errors.Is(err, pki.ErrName) {
				t.Errorf("ParseName(%q): %v; want ErrName", got, err)
			}
		}
	}
}

func TestFormatNameRefusesMalformedNames(t *testing.T) {
	for _, text := range []string{
		"", "30", "3100", "300000", "3004310230 00", "3009310730050603550403", "30023000",
		"300d310b300906035504030c026161ff", "30073105300306010 0",
	} {
		der, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := pki.FormatName(der); err == nil {
			t.Errorf("FormatName(%s) = %q", text, got)
		}
	}
}

// An empty RDN says nothing, and does not hide the others.
func TestFormatNamePassesOverEmptyRDNs(t *testing.T) {
	named := derName(t, one(o, printable, "Y"), one(cn, printable, "x"))
	for _, at := range []int{2, 2 + 12, len(named)} { // before, between and after
		der := slices.Concat(named[:at], []byte{0x31, 0}, named[at:])
		der[1] += 2
		if got, err := pki.FormatName(der); err != nil || got != "CN=x, O=Y" {
			t.Errorf("%x: %q, %v", der, got, err)
		}
	}
	if got, err := pki.FormatName([]byte{0x30, 2, 0x31, 0}); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

// The text of names that openssl writes, its own string types included.
func TestFormatNameOfOpenSSLNames(t *testing.T) {
	key, err := pki.MarshalPKCS8(keyFor(t, p256))
	if err != nil {
		t.Fatal(err)
	}
	keyFile := write(t, "key.pem", toPEM("PRIVATE KEY", key))
	for _, tc := range []struct{ subject, mask, want string }{
		{"/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd", "utf8only", "O=Internet Widgits Pty Ltd, S=Some-State, C=AU"},
		{"/O=Ärzte, Inc./CN=x", "utf8only", `CN=x, O="Ärzte, Inc."`},
		{"/O=Ärzte/CN=x", "nombstr", "CN=x, O=Ärzte"},
		{"/O=Žižka/CN=x", "MASK:0x800", "CN=x, O=Žižka"}, // BMPString
		{"/DC=net/DC=example/CN=a+UID=u", "utf8only", "CN=a + UID=u, DC=example, DC=net"},
		{"/CN=a/emailAddress=a@b.c/serialNumber=7", "default", "SERIALNUMBER=7, E=a@b.c, CN=a"},
		{"/businessCategory=b/GN=g/SN=s/initials=i/title=t/street=r/postalCode=p", "utf8only", "POSTALCODE=p, STREET=r, T=t, I=i, SN=s, G=g, OID.2.5.4.15=b"},
	} {
		t.Run(tc.subject, func(t *testing.T) {
			conf := write(t, "openssl.cnf", fmt.Appendf(nil, "[req]\ndistinguished_name=dn\nstring_mask=%s\nutf8=yes\n[dn]\n", tc.mask))
			out := openssl(t, nil, "req", "-x509", "-new", "-key", keyFile, "-config", conf, "-subj", tc.subject, "-utf8", "-multivalue-rdn")
			block, _ := pem.Decode(out)
			cert, err := pki.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, cert.Subject()); diff != "" {
				t.Error(diff)
			}
			der, err := pki.ParseName(cert.Subject())
			if err != nil {
				t.Fatal(err)
			}
			if text, err := pki.FormatName(der); err != nil || text != tc.want {
				t.Errorf("and again: %q, %v", text, err)
			}
		})
	}
}

func FuzzParseName(f *testing.F) {
	for _, text := range []string{
		"", "CN=x", "C=US, ST=WA, L=Redmond, O=X, CN=x", `CN="a ""b"" c", O=\ x\,\C4\8D`, "CN=a+OU=b;DC=c", "OID.1.2.3=ä",
		`CN=DOMAIN\user`, "E=a@b, UID=u,", "CN=\u00a0a\u2028", `CN=\\, O=\"`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		der, err := pki.ParseName(text)
		if err != nil {
			if !errors.Is(err, pki.ErrName) {
				t.Fatalf("not an ErrName: %v", err)
			}
			return
		}
		formatted, err := pki.FormatName(der)
		if err != nil || !utf8.ValidString(formatted) {
			t.Fatalf("FormatName(%x) = %q, %v", der, formatted, err)
		}
		again, err := pki.ParseName(formatted)
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("%q gives %x; its form %q gives %x, %v", text, der, formatted, again, err)
		}
		var rdns []rdnSET
		if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 {
			t.Fatalf("encoding/asn1 refuses %x: %v", der, err)
		}
	})
}

func TestCommonNames(t *testing.T) {
	for text, want := range map[string][]string{
		"CN=a": {"a"}, "O=x": nil, "": nil, `CN="a, b" + OU=c, O=d, CN=e`: {"e", "a, b"}, "OID.2.5.4.3=é": {"é"},
	} {
		der, err := pki.ParseName(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := pki.CommonNames(der); !slices.Equal(got, want) {
			t.Errorf("%s: %q", text, got)
		}
		spoilt := append(der, 5, 0) // NULL, where a name has a SET
		spoilt[1] += 2
		if got := pki.CommonNames(spoilt); got != nil {
			t.Errorf("%s and more: %q", text, got)
		}
	}
}
