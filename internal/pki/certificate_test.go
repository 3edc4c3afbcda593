package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/pki"

	"github.com/google/go-cmp/cmp"
)

func TestParsedCertificateSaysWhatTheTemplateSaid(t *testing.T) {
	notBefore := time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC) // UTCTime
	notAfter := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)       // GeneralizedTime
	for _, spec := range allSpecs {
		t.Run(specName(spec), func(t *testing.T) {
			key := keyFor(t, spec)
			der, err := pki.SelfSign(pki.Template{
				Subject: `CN=x + OU=y, O="A, B", C=DE`,
				SANs:    &pki.SANs{DNSNames: []string{"b", "a"}, UPNs: []string{"ü@d"}, URIs: []string{"https://h"}, IPAddresses: []string{"2001:0DB8::1"}},
				// An arc beyond what encoding/asn1 can hold.
				EKUs:     []string{"2.25.340282366920938463463374607431768211455", clientAuth},
				KeyUsage: []string{"keyCertSign", "CRLSIGN", "decipherOnly", "dataEncipherment", "digitalSignature"},
				CA:       true, PathLen: ptr(3),
			}, key, notBefore, notAfter)
			if err != nil {
				t.Fatal(err)
			}
			c, err := pki.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if !pki.PublicEqual(c.PublicKey, key.Public()) || c.PublicKeyErr != nil {
				t.Errorf("public key %v, %v", c.PublicKey, c.PublicKeyErr)
			}
			if !c.NotBefore.Equal(notBefore) || !c.NotAfter.Equal(notAfter) || c.NotBefore.Location() != time.UTC {
				t.Errorf("from %v to %v", c.NotBefore, c.NotAfter)
			}
			if want := `CN=x + OU=y, O="A, B", C=DE`; c.Subject() != want || c.Issuer() != c.Subject() {
				t.Errorf("subject %s, issuer %s", c.Subject(), c.Issuer())
			}
			if !c.HasKeyUsage || !c.HasEKUs || !c.HasSANs || !c.HasBasicConstraints || !c.CA || c.PathLen == nil || *c.PathLen != 3 {
				t.Errorf("%+v", c)
			}
			for _, diff := range []string{
				cmp.Diff([]string{"cRLSign", "dataEncipherment", "decipherOnly", "digitalSignature", "keyCertSign"}, c.KeyUsage),
				cmp.Diff([]string{"2.25.340282366920938463463374607431768211455", clientAuth}, c.EKUs),
				cmp.Diff(pki.SANs{Emails: []string{}, DNSNames: []string{"b", "a"}, UPNs: []string{"ü@d"}, URIs: []string{"https://h/"}, IPAddresses: []string{"2001:db8::1"}}, c.SANs),
			} {
				if diff != "" {
					t.Error(diff)
				}
			}
			if c.Thumbprint() != sha1.Sum(der) || len(c.SerialHex()) != 32 || c.SerialHex() != fmt.Sprintf("%032X", c.Serial) {
				t.Errorf("thumbprint %x, serial number %s", c.Thumbprint(), c.SerialHex())
			}
			if err := c.CheckSignatureBy(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// compareWithStd compares what crypto/x509 and we both read.
func compareWithStd(t *testing.T, std *x509.Certificate, c *pki.Certificate) {
	t.Helper()
	if std.SerialNumber.Cmp(c.Serial) != 0 {
		t.Errorf("serial number %v and %v", std.SerialNumber, c.Serial)
	}
	if !std.NotBefore.Equal(c.NotBefore) || !std.NotAfter.Equal(c.NotAfter) {
		t.Errorf("dates %v %v and %v %v", std.NotBefore, std.NotAfter, c.NotBefore, c.NotAfter)
	}
	for name, pair := range map[string][2][]byte{
		"subject": {std.RawSubject, c.RawSubject}, "issuer": {std.RawIssuer, c.RawIssuer},
		"public key":     {std.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo},
		"subject key id": {std.SubjectKeyId, c.SubjectKeyID}, "authority key id": {std.AuthorityKeyId, c.AuthorityKeyID},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("%s %x and %x", name, pair[0], pair[1])
		}
	}
	if std.IsCA != c.CA || std.BasicConstraintsValid != c.HasBasicConstraints {
		t.Errorf("basic constraints %v %v and %v %v", std.BasicConstraintsValid, std.IsCA, c.HasBasicConstraints, c.CA)
	}
	if !slices.Equal(std.DNSNames, c.SANs.DNSNames) || !slices.Equal(std.EmailAddresses, c.SANs.Emails) || len(std.URIs) != len(c.SANs.URIs) || len(std.IPAddresses) != len(c.SANs.IPAddresses) {
		t.Errorf("alternative names %q %q %q %q and %q", std.DNSNames, std.EmailAddresses, std.URIs, std.IPAddresses, c.SANs)
	}
	var usage x509.KeyUsage
	for _, word := range c.KeyUsage {
		usage |= 1 << slices.Index(pki.KeyUsages, word)
	}
	if usage != std.KeyUsage {
		t.Errorf("key usage %b and %b", std.KeyUsage, usage)
	}
	if pub, ok := std.PublicKey.(*ecdsa.PublicKey); ok && c.PublicKey != nil && !pub.Equal(c.PublicKey) {
		t.Error("another EC key")
	}
}

// opensslCert makes a certificate with an extensions section and further
// arguments of "openssl req -x509".
func opensslCert(t testing.TB, keyPEM []byte, extensions string, args ...string) []byte {
	t.Helper()
	conf := write(t, "openssl.cnf", []byte("[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n"+extensions+"\n[dir]\nCN=dir\n"))
	out := openssl(t, nil, append([]string{"req", "-x509", "-new", "-key", write(t, "key.pem", keyPEM), "-config", conf, "-subj", "/CN=x"}, args...)...)
	block, _ := pem.Decode(out)
	return block.Bytes
}

func TestCertificatesMadeByOpenSSL(t *testing.T) {
	private, err := pki.MarshalPKCS8(keyFor(t, p256))
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := toPEM("PRIVATE KEY", private)
	for _, tc := range []struct {
		name, extensions string
		args             []string
		check            func(t *testing.T, c *pki.Certificate)
	}{
		{"none", "", []string{"-set_serial", "0x80"}, func(t *testing.T, c *pki.Certificate) {
			if c.HasBasicConstraints || c.HasKeyUsage || c.HasEKUs || c.HasSANs || c.SANs.Emails != nil || c.SubjectKeyID != nil || c.AuthorityKeyID != nil {
				t.Errorf("%+v", c)
			}
			if c.SerialHex() != "0080" { // two digits an octet of the DER
				t.Errorf("serial number %s", c.SerialHex())
			}
		}},
		{"negative serial", "", []string{"-set_serial", "-2"}, func(t *testing.T, c *pki.Certificate) {
			if c.SerialHex() != "FE" || c.Serial.Cmp(big.NewInt(-2)) != 0 {
				t.Errorf("serial number %s, %v", c.SerialHex(), c.Serial)
			}
		}},
		{"zero serial", "", []string{"-set_serial", "0"}, func(t *testing.T, c *pki.Certificate) {
			if c.SerialHex() != "00" || c.Serial.Sign() != 0 {
				t.Errorf("serial number %s, %v", c.SerialHex(), c.Serial)
			}
		}},
		{"every name", "subjectAltName=email:a@b.c,DNS:d,URI:https://h,IP:192.0.2.1,IP:2001:db8::1,otherName:msUPN;UTF8:u@d,otherName:1.2.3;UTF8:o,RID:1.2.3,dirName:dir", nil, func(t *testing.T, c *pki.Certificate) {
			want := pki.SANs{Emails: []string{"a@b.c"}, DNSNames: []string{"d"}, UPNs: []string{"u@d"}, URIs: []string{"https://h"}, IPAddresses: []string{"192.0.2.1", "2001:db8::1"}}
			if diff := cmp.Diff(want, c.SANs); diff != "" {
				t.Error(diff)
			}
		}},
		{"one name", "subjectAltName=RID:1.2.3", nil, func(t *testing.T, c *pki.Certificate) {
			if diff := cmp.Diff(pki.SANs{Emails: []string{}, DNSNames: []string{}, UPNs: []string{}}, c.SANs); diff != "" || !c.HasSANs {
				t.Error(diff)
			}
		}},
		{"false written out", "basicConstraints=DER:3003010100", nil, func(t *testing.T, c *pki.Certificate) {
			if !c.HasBasicConstraints || c.CA || c.PathLen != nil {
				t.Errorf("%+v", c)
			}
		}},
		{"path length", "basicConstraints=critical,CA:true,pathlen:2\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always", nil, func(t *testing.T, c *pki.Certificate) {
			if !c.CA || c.PathLen == nil || *c.PathLen != 2 || len(c.SubjectKeyID) != 20 {
				t.Errorf("%+v", c)
			}
		}},
		{"key usage", "keyUsage=keyCertSign,cRLSign,decipherOnly,keyAgreement\nextendedKeyUsage=serverAuth,1.2.3.4", nil, func(t *testing.T, c *pki.Certificate) {
			if !slices.Equal(c.KeyUsage, []string{"cRLSign", "decipherOnly", "keyAgreement", "keyCertSign"}) || !slices.Equal(c.EKUs, []string{serverAuth, "1.2.3.4"}) {
				t.Errorf("%q %q", c.KeyUsage, c.EKUs)
			}
		}},
		{"unknown critical extension", "1.2.3.4=critical,DER:0500", nil, func(t *testing.T, c *pki.Certificate) {}},
		{"long validity", "", []string{"-days", "36500"}, func(t *testing.T, c *pki.Certificate) {
			if c.NotAfter.Year() < 2100 {
				t.Errorf("%v", c.NotAfter)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			der := opensslCert(t, keyPEM, tc.extensions, tc.args...)
			c, err := pki.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if std, err := x509.ParseCertificate(der); err == nil {
				compareWithStd(t, std, c)
			}
			tc.check(t, c)
		})
	}
}

func TestVersion1Certificate(t *testing.T) {
	private, err := pki.MarshalPKCS8(keyFor(t, p256k))
	if err != nil {
		t.Fatal(err)
	}
	key := write(t, "key.pem", toPEM("PRIVATE KEY", private))
	request, err := pki.CreateCSR(pki.Template{Subject: "CN=old"}, keyFor(t, p256k))
	if err != nil {
		t.Fatal(err)
	}
	der := openssl(t, toPEM("CERTIFICATE REQUEST", request), "x509", "-req", "-signkey", key, "-outform", "DER")
	c, err := pki.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignatureBy(c); err != nil || c.Subject() != "CN=old" {
		t.Errorf("%s: %v", c.Subject(), err)
	}
}

func TestUnsupportedKeysAreKeptAside(t *testing.T) {
	for name, args := range map[string][]string{
		"RSA 1024":        {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"},
		"Ed25519":         {"-algorithm", "ED25519"},
		"brainpool":       {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"},
		"explicit curve":  {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"},
		"RSA, exponent 3": {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"},
	} {
		t.Run(name, func(t *testing.T) {
			der := opensslCert(t, openssl(t, nil, append([]string{"genpkey"}, args...)...), "")
			c, err := pki.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if name == "RSA, exponent 3" { // unusual, and supported
				if err := c.CheckSignatureBy(c); err != nil {
					t.Error(err)
				}
				return
			}
			if c.PublicKey != nil || !errors.Is(c.PublicKeyErr, pki.ErrKeyType) || c.Subject() != "CN=x" {
				t.Errorf("%v, %v", c.PublicKey, c.PublicKeyErr)
			}
			if err := c.CheckSignatureBy(c); !errors.Is(err, pki.ErrKeyType) {
				t.Errorf("CheckSignatureBy: %v", err)
			}
		})
	}
}

// rawCertificate lets a test change any part. The signature stays what it was.
type rawCertificate struct {
	TBS       rawTBS
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

type rawTBS struct {
	Version    int `asn1:"explicit,tag:0"`
	Serial     asn1.RawValue
	Algorithm  asn1.RawValue
	Issuer     asn1.RawValue
	Validity   validity
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Extensions []extension `asn1:"explicit,tag:3"`
}

type validity struct{ NotBefore, NotAfter asn1.RawValue }

type extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool `asn1:"optional"`
	Value    []byte
}

func TestParseCertificateRefusesMalformedOnes(t *testing.T) {
	good, err := pki.SelfSign(kinds[1].template, keyFor(t, p256), time.Now(), time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	raw := func(tag int, text string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(text)} }
	sequence := func(content string) asn1.RawValue {
		der, err := hex.DecodeString(content)
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: der}
	}
	replace := func(id int, value string) func(*rawCertificate) {
		der, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *rawCertificate) {
			c.TBS.Extensions = []extension{{ID: asn1.ObjectIdentifier{2, 5, 29, id}, Value: der}}
		}
	}
	for name, spoil := range map[string]func(*rawCertificate){
		"":                         func(*rawCertificate) {},
		"version 4":                func(c *rawCertificate) { c.TBS.Version = 3 },
		"negative version":         func(c *rawCertificate) { c.TBS.Version = -1 },
		"version 1 and extensions": func(c *rawCertificate) { c.TBS.Version = 0 },
		"empty serial":             func(c *rawCertificate) { c.TBS.Serial = raw(asn1.TagInteger, "") },
		"padded serial":            func(c *rawCertificate) { c.TBS.Serial = raw(asn1.TagInteger, "\x00\x01") },
		"another algorithm inside": func(c *rawCertificate) { c.TBS.Algorithm = sequence("06032a0304") },
		"malformed issuer":         func(c *rawCertificate) { c.TBS.Issuer = sequence("0500") },
		"malformed subject":        func(c *rawCertificate) { c.TBS.Subject = sequence("31020500") },
		"malformed key":            func(c *rawCertificate) { c.TBS.PublicKey = sequence("0500") },
		"date is text":             func(c *rawCertificate) { c.TBS.Validity.NotBefore = raw(asn1.TagUTF8String, "260101000000Z") },
		"no such date":             func(c *rawCertificate) { c.TBS.Validity.NotBefore = raw(asn1.TagUTCTime, "260230000000Z") },
		"fractions":                func(c *rawCertificate) { c.TBS.Validity.NotAfter = raw(asn1.TagGeneralizedTime, "20260101000000.5Z") },
		"extension twice":          func(c *rawCertificate) { c.TBS.Extensions = append(c.TBS.Extensions, c.TBS.Extensions[0]) },
		"key usage, empty":         replace(15, "0300"),
		"key usage, bits":          replace(15, "03020880"),
		"key usage, no octets":     replace(15, "030101"),
		"key usage, trailing":      replace(15, "030205a000"),
		"key usage, no bits":       replace(15, "0500"),
		"constraints, negative":    replace(19, "30060101ff0201ff"),
		"constraints, huge":        replace(19, "300e0101ff020900ffffffffffffffff"),
		"constraints, bool":        replace(19, "3003010101"),
		"constraints, trailing":    replace(19, "30000500"),
		"key id":                   replace(14, "0500"),
		"key id, trailing":         replace(14, "0401000500"),
		"authority":                replace(35, "0400"),
		"authority, truncated":     replace(35, "30028005"),
		"eku":                      replace(37, "30020500"),
		"eku, empty oid":           replace(37, "30020600"),
		"eku, cut oid":             replace(37, "3003060180"),
		"san, no sequence":         replace(17, "0500"),
		"san, trailing":            replace(17, "30000500"),
		"san, DNS not ASCII":       replace(17, "30038201ff"),
		"san, mail not ASCII":      replace(17, "30038101c3"),
		"san, URI not ASCII":       replace(17, "30038601c3"),
		"san, IP of three":         replace(17, "30058703010203"),
		"san, UPN bad UTF-8":       replace(17, "3013a011060a2b060104018237140203a0030c01ff"),
		"san, UPN null":            replace(17, "3012a010060a2b060104018237140203a0020500"),
		"san, truncated":           replace(17, "30028205"),
	} {
		var c rawCertificate
		if rest, err := asn1.Unmarshal(good, &c); err != nil || len(rest) > 0 {
			t.Fatal(err)
		}
		spoil(&c)
		der := marshal(t, c)
		if name == "" {
			if !bytes.Equal(der, good) {
				t.Fatal("the test's own encoding is not faithful")
			}
			continue
		}
		if _, err := pki.ParseCertificate(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range good {
		if _, err := pki.ParseCertificate(good[:i]); err == nil {
			t.Errorf("%d of %d octets are accepted", i, len(good))
		}
	}
	if _, err := pki.ParseCertificate(append(bytes.Clone(good), 0)); err == nil {
		t.Error("trailing data is accepted")
	}
	if _, err := pki.ParseCertificate(toPEM("CERTIFICATE", good)); err == nil {
		t.Error("PEM is accepted")
	}
}

func TestParseCertificateIsBounded(t *testing.T) {
	grow := func(n int) error {
		var c rawCertificate
		good, err := pki.SelfSign(pki.Template{Subject: "CN=a"}, keyFor(t, p256), time.Now(), time.Now().AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := asn1.Unmarshal(good, &c); err != nil {
			t.Fatal(err)
		}
		c.TBS.Extensions = append(c.TBS.Extensions, extension{ID: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, n)})
		_, err = pki.ParseCertificate(marshal(t, c))
		return err
	}
	if err := grow(60 << 10); err != nil {
		t.Errorf("60 KiB: %v", err)
	}
	if err := grow(64 << 10); err == nil {
		t.Error("more than 64 KiB are accepted")
	}
}

func TestParseCertificateCopiesItsInput(t *testing.T) {
	der, err := pki.SelfSign(pki.Template{Subject: "CN=a"}, keyFor(t, p256), time.Now(), time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	clear(der)
	if err := c.CheckSignatureBy(c); err != nil || strings.Contains(hex.EncodeToString(c.RawSubject), strings.Repeat("00", 4)) {
		t.Errorf("the certificate changed with the caller's buffer: %v", err)
	}
}

func FuzzParseCertificate(f *testing.F) {
	for _, spec := range []pki.KeySpec{p256, p256k} {
		for _, k := range kinds {
			der, err := pki.SelfSign(k.template, keyFor(f, spec), time.Unix(1767225600, 0), time.Unix(2767225600, 0))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return
		}
		for _, name := range [][]byte{c.RawSubject, c.RawIssuer} {
			if _, err := pki.FormatName(name); err != nil {
				t.Fatalf("FormatName of an accepted name: %v", err)
			}
		}
		_ = c.CheckSignatureBy(c)
		if (c.PublicKey == nil) != (c.PublicKeyErr != nil) {
			t.Fatal("neither a key nor an error")
		}
		if len(pki.SortChain(c, []*pki.Certificate{c, c})) != 1 {
			t.Fatal("copies of the leaf stay in the chain")
		}
		if std, err := x509.ParseCertificate(der); err == nil {
			compareWithStd(t, std, c)
		}
	})
}
