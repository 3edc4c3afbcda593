package bundle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"coffer/internal/pkcs12"
)

// crlf gives text the line ends of Windows.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// fold breaks s every 64 characters.
func fold(s, end string) string {
	var b strings.Builder
	for len(s) > 64 {
		b.WriteString(s[:64] + end)
		s = s[64:]
	}
	return b.String() + s
}

func TestReadImport(t *testing.T) {
	key, leaf, ca := text(t, "ec.key"), text(t, "ec.pem"), text(t, "ca.pem")
	encrypted := output(t, "pkcs8", "-topk8", "-in", "ec.key", "-passout", "pass:gehäim")
	scrypt := output(t, "pkcs8", "-topk8", "-in", "ec.key", "-scrypt", "-passout", "pass:gehäim")
	sec1 := output(t, "ec", "-in", "ec.key")
	parameters := output(t, "ecparam", "-name", "prime256v1")
	described := output(t, "pkcs12", "-in", writePFX(t, "ec"), "-passin", "pass:", "-nodes")
	plain := pfx(t, "ec", "")
	raw, _ := base64.StdEncoding.DecodeString(plain)
	secret := pfx(t, "ec", "gehäim")
	write(t, "index", "")
	write(t, "ca.cnf", "[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=1\n")
	crl := output(t, "ca", "-gencrl", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem")
	// As HAProxy wants them beside the key; the group is too small for use.
	const dhParameters = "-----BEGIN DH PARAMETERS-----\nMAYCASMCAQI=\n-----END DH PARAMETERS-----\n"

	tests := []struct {
		name     string
		value    string
		password string
		leaf     string // whose key and certificate; "" is "ec"
		reversed bool   // the CA comes first
		format   Format
		hint     int
	}{
		{name: "PEM", value: key + leaf + ca, format: PEM, hint: -1},
		{name: "PEM, key last", value: leaf + ca + key, format: PEM, hint: -1},
		{name: "PEM, CA first", value: key + ca + leaf, format: PEM, hint: -1, reversed: true},
		{name: "PEM, password not needed", value: key + leaf + ca, password: "x", format: PEM, hint: -1},
		{name: "PEM, CRLF", value: crlf(key + leaf + ca), format: PEM, hint: -1},
		{name: "PEM, no final line end", value: strings.TrimSpace(key + leaf + ca), format: PEM, hint: -1},
		{name: "PEM, blanks around it", value: "\r\n  " + key + "\n\n" + leaf + ca + " \n", format: PEM, hint: -1},
		{name: "PEM, byte order mark", value: "\ufeff" + key + leaf + ca, format: PEM, hint: -1},
		{name: "PEM, byte order mark and certificate first", value: "\ufeff" + leaf + key + ca, format: PEM, hint: -1},
		{name: "PEM, as openssl pkcs12 prints it", value: described, format: PEM, hint: -1},
		{name: "PEM, as openssl x509 -text prints it", value: output(t, "x509", "-in", "ec.pem", "-text") + key + ca, format: PEM, hint: -1},
		{name: "PEM in base64", value: b64(key + leaf + ca), format: PEM, hint: -1},
		{name: "PEM in base64, CRLF in and around", value: fold(b64(crlf(key+leaf+ca)), "\r\n") + "\r\n", format: PEM, hint: -1},
		{name: "PEM with remarks in base64", value: b64(described), format: PEM, hint: -1},
		{name: "encrypted PKCS#8", value: encrypted + leaf + ca, password: "gehäim", format: PEM, hint: -1},
		{name: "encrypted PKCS#8, scrypt", value: leaf + scrypt + ca, password: "gehäim", format: PEM, hint: -1},
		{name: "SEC1", value: sec1 + leaf + ca, format: PEM, hint: -1},
		{name: "SEC1 after its parameters", value: parameters + sec1 + leaf + ca, format: PEM, hint: -1},
		{name: "SEC1, other parameters after it", value: sec1 + leaf + ca + output(t, "ecparam", "-name", "secp384r1"), format: PEM, hint: -1},
		{name: "SEC1, secp256k1", value: output(t, "ec", "-in", "k1.key") + text(t, "k1.pem") + ca, leaf: "k1", format: PEM, hint: -1},
		{name: "PKCS#8, secp256k1", value: text(t, "k1.key") + text(t, "k1.pem") + ca, leaf: "k1", format: PEM, hint: -1},
		{name: "PKCS#1", value: output(t, "rsa", "-in", "rsa.key", "-traditional") + text(t, "rsa.pem") + ca, leaf: "rsa", format: PEM, hint: -1},
		{name: "TRUSTED CERTIFICATE", value: key + output(t, "x509", "-in", "ec.pem", "-trustout", "-addtrust", "serverAuth") +
			output(t, "x509", "-in", "ca.pem", "-trustout"), format: PEM, hint: -1},
		{name: "X509 CERTIFICATE", value: key + strings.ReplaceAll(leaf+ca, "CERTIFICATE", "X509 CERTIFICATE"), format: PEM, hint: -1},
		{name: "PKCS#7", value: key + output(t, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem", "-certfile", "ca.pem"), format: PEM, hint: -1},
		{name: "PKCS#7 under CERTIFICATE", value: key + strings.ReplaceAll(
			output(t, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem", "-certfile", "ca.pem"), "PKCS7", "CERTIFICATE"), format: PEM, hint: -1},
		{name: "what is neither key nor certificate", value: output(t, "req", "-new", "-key", "ec.key", "-subj", "/CN=x") + key +
			output(t, "pkey", "-in", "ec.key", "-pubout") + leaf + crl + ca + dhParameters, format: PEM, hint: -1},
		{name: "PKCS#8, RSA", value: text(t, "rsa.key") + text(t, "rsa.pem") + ca, leaf: "rsa", format: PEM, hint: -1},

		{name: "PFX", value: plain},
		{name: "PFX, password", value: secret, password: "gehäim"},
		{name: "PFX, legacy", value: pfx(t, "ec", "gehäim", "-legacy"), password: "gehäim"},
		{name: "PFX, RSA", value: pfx(t, "rsa", ""), leaf: "rsa"},
		{name: "PFX, secp256k1", value: pfx(t, "k1", ""), leaf: "k1"},
		{name: "PFX, folded", value: fold(plain, "\n") + "\n"},
		{name: "PFX, folded with CRLF", value: fold(plain, "\r\n") + "\r\n"},
		{name: "PFX, blanks", value: " \t" + fold(plain, " ")},
		{name: "PFX, no padding", value: strings.TrimRight(plain, "=")},
		{name: "PFX, URL alphabet", value: base64.URLEncoding.EncodeToString(raw)},
		{name: "PFX, URL alphabet without padding", value: base64.RawURLEncoding.EncodeToString(raw)},
	}
	for _, tt := range tests {
		for _, want := range []*Format{nil, &tt.format} {
			m, err := ReadImport(tt.value, tt.password, want)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			name := tt.leaf
			if name == "" {
				name = "ec"
			}
			certs := [][]byte{der(t, name+".pem"), der(t, "ca.pem")}
			if tt.reversed {
				certs[0], certs[1] = certs[1], certs[0]
			}
			if m.Format != tt.format || m.LeafHint != tt.hint {
				t.Errorf("%s: %v, leaf %d", tt.name, m.Format, m.LeafHint)
			}
			if !bytes.Equal(m.KeyPKCS8, der(t, name+".key")) {
				t.Errorf("%s: key differs", tt.name)
			}
			if len(m.Certificates) != 2 || !bytes.Equal(m.Certificates[0], certs[0]) || !bytes.Equal(m.Certificates[1], certs[1]) {
				t.Errorf("%s: certificates differ", tt.name)
			}
		}
	}
}

// writePFX writes a PFX without password into a file and returns its name.
func writePFX(t testing.TB, leaf string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(pfx(t, leaf, ""))
	if err != nil {
		t.Fatal(err)
	}
	write(t, leaf+".pfx", string(raw))
	return leaf + ".pfx"
}

// TestReadImportFindsTheLeaf changes a file in clear: first the CA comes before the
// leaf, then there is no localKeyId, then the leaf's is another's.
func TestReadImportFindsTheLeaf(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(pfx(t, "ec", "", "-certpbe", "NONE", "-keypbe", "NONE", "-nomac"))
	if err != nil {
		t.Fatal(err)
	}
	certBag := []byte("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03") // its OID
	const header = 4                                                          // of a SEQUENCE of 256 bytes and more
	leaf := bytes.Index(raw, certBag) - header
	ca := bytes.LastIndex(raw, certBag) - header
	end := ca + header + int(raw[ca+2])<<8 + int(raw[ca+3])
	if leaf < 0 || leaf == ca || raw[leaf+1] != 0x82 || raw[ca+1] != 0x82 {
		t.Fatal("openssl writes the bags otherwise")
	}
	swapped := bytes.Join([][]byte{raw[:leaf], raw[ca:end], raw[leaf:ca], raw[end:]}, nil)
	m, err := ReadImport(b64(string(swapped)), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.LeafHint != 1 || !bytes.Equal(m.Certificates[1], der(t, "ec.pem")) {
		t.Errorf("swapped: leaf %d", m.LeafHint)
	}

	localKeyID := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15\x31\x16\x04\x14") // with a SHA-1 to follow
	none := bytes.ReplaceAll(raw, localKeyID[:11], []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x63"))
	if m, err = ReadImport(b64(string(none)), "", nil); err != nil {
		t.Fatal(err)
	}
	if m.LeafHint != -1 {
		t.Errorf("without any: leaf %d", m.LeafHint)
	}
	at := leaf + bytes.Index(raw[leaf:ca], localKeyID) + len(localKeyID)
	raw[at] ^= 1
	if m, err = ReadImport(b64(string(raw)), "", nil); err != nil {
		t.Fatal(err)
	}
	if m.LeafHint != -1 {
		t.Errorf("without a match: leaf %d", m.LeafHint)
	}
}

func TestReadImportRefuses(t *testing.T) {
	key, leaf := text(t, "ec.key"), text(t, "ec.pem")
	pemFormat, pfxFormat := PEM, PKCS12
	oldEncryption := output(t, "ec", "-in", "ec.key", "-aes256", "-passout", "pass:x")
	oneLine := strings.ReplaceAll(key+leaf, "\n", "")
	broken := strings.Replace(key, "\nM", "\n!", 1) + leaf
	explicit := output(t, "ec", "-in", "ec.key", "-param_enc", "explicit")
	noKeys := b64(output(t, "pkcs12", "-export", "-nokeys", "-in", "ec.pem", "-passout", "pass:"))
	noCerts := b64(output(t, "pkcs12", "-export", "-nocerts", "-inkey", "ec.key", "-passout", "pass:"))
	tests := []struct {
		name     string
		value    string
		password string
		want     *Format
		msg      string
		cause    error // nil: any
	}{
		{name: "nothing", msg: msgPKCS12Unreadable},
		{name: "nothing, PEM wanted", want: &pemFormat, msg: msgPEMUnreadable},
		{name: "no base64", value: "%%%", msg: msgPKCS12Unreadable},
		{name: "no base64, PEM wanted", value: "%%%", want: &pemFormat, msg: msgPEMUnreadable},
		{name: "a certificate alone", value: b64(string(der(t, "ec.pem"))), msg: msgPKCS12Unreadable},
		{name: "PEM instead of PFX", value: key + leaf, want: &pfxFormat, msg: msgPKCS12Unreadable},
		{name: "PFX instead of PEM", value: pfx(t, "ec", ""), want: &pemFormat, msg: msgPEMUnreadable},
		{name: "too long", value: strings.Repeat("A", maxText+1), msg: msgTooLong},
		{name: "PEM, too long", value: key + leaf + strings.Repeat("\n", maxText), msg: msgTooLong},
		{name: "PEM, too many", value: key + strings.Repeat(leaf, maxCertificates+1), msg: msgTooLong},
		{name: "PEM, far too many", value: strings.Repeat(marker, maxBlocks+1), msg: msgTooLong},

		{name: "PFX, wrong password", value: pfx(t, "ec", "right"), password: "wrong", msg: msgPKCS12Unreadable, cause: pkcs12.ErrPassword},
		{name: "PFX, no password", value: pfx(t, "ec", "right"), msg: msgPKCS12Unreadable, cause: pkcs12.ErrPassword},
		{name: "PFX, costly", value: pfx(t, "ec", "x", "-iter", "1000001"), password: "x", msg: msgCostly, cause: pkcs12.ErrTooCostly},
		{name: "PFX, cut", value: pfx(t, "ec", "")[:400], msg: msgPKCS12Unreadable, cause: pkcs12.ErrFormat},
		{name: "PFX without key", value: noKeys, msg: msgNoKey},
		{name: "PFX without certificate", value: noCerts, msg: msgNoKey},

		{name: "PEM without key", value: leaf, msg: msgPEMNoKey},
		{name: "PEM without certificate", value: key, msg: msgPEMUnreadable, cause: errNoCertificate},
		{name: "two keys", value: key + leaf + text(t, "ca.key"), msg: msgPEMUnexpected, cause: errTwoKeys},
		{name: "the same key twice", value: key + key + leaf, msg: msgPEMUnexpected, cause: errTwoKeys},
		{name: "old encryption", value: oldEncryption + leaf, password: "x", msg: msgPEMUnexpected, cause: errTraditional},
		{name: "headers", value: strings.Replace(key, "\n", "\nA: b\n\n", 1) + leaf, msg: msgPEMUnexpected, cause: errHeaders},
		{name: "neither key nor certificate", value: output(t, "pkey", "-in", "ec.key", "-pubout"), msg: msgPEMUnexpected, cause: errBlockType},
		{name: "one line", value: oneLine, msg: msgPEMUnexpected, cause: errNoLineBreaks},
		{name: "broken base64 in the key", value: broken, msg: msgPEMUnreadable, cause: errBlock},
		{name: "no end", value: key + leaf[:len(leaf)-30], msg: msgPEMUnreadable, cause: errBlock},
		{name: "certificate that is none", value: key + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", msg: msgPEMUnreadable, cause: errCertificate},
		{name: "key that is a certificate", value: strings.ReplaceAll(leaf, "CERTIFICATE", "PRIVATE KEY") + leaf, msg: msgPEMUnreadable, cause: errKey},
		{name: "key that is SEC1", value: strings.ReplaceAll(output(t, "ec", "-in", "ec.key"), "EC PRIVATE KEY", "PRIVATE KEY") + leaf, msg: msgPEMUnreadable, cause: errKey},
		{name: "SEC1 that is PKCS#8", value: strings.ReplaceAll(key, "PRIVATE KEY", "EC PRIVATE KEY") + leaf, msg: msgPEMUnreadable, cause: errSEC1},
		{name: "PKCS#1 that is nothing", value: "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n" + leaf, msg: msgPEMUnreadable, cause: errPKCS1},
		{name: "SEC1, curve spelled out", value: explicit + leaf, msg: msgPEMUnreadable, cause: errExplicitCurve},
		{name: "SEC1, two curves", value: output(t, "ecparam", "-name", "secp384r1") + output(t, "ec", "-in", "ec.key") + leaf, msg: msgPEMUnreadable, cause: errTwoCurves},
		{name: "encrypted PKCS#8, wrong password", value: output(t, "pkcs8", "-topk8", "-in", "ec.key", "-passout", "pass:right") + leaf, password: "wrong", msg: msgPEMUnreadable, cause: pkcs12.ErrPassword},
		{name: "encrypted PKCS#8, costly", value: output(t, "pkcs8", "-topk8", "-in", "ec.key", "-iter", "1000001", "-passout", "pass:x") + leaf, password: "x", msg: msgCostly, cause: pkcs12.ErrTooCostly},
	}
	for _, tt := range tests {
		m, err := ReadImport(tt.value, tt.password, tt.want)
		refusal, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: %v, %v", tt.name, m, err)
			continue
		}
		if refusal.Msg != tt.msg || tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.password != "" && strings.Contains(err.Error()+refusal.Text(), "wrong") {
			t.Errorf("%s: the password in %v", tt.name, err)
		}
		if !strings.HasPrefix(refusal.Text(), tt.msg) {
			t.Errorf("%s: %s", tt.name, refusal.Text())
		}
	}
}

// TestRefusalsTellTheWayOut asks what stands after the contract's sentence.
func TestRefusalsTellTheWayOut(t *testing.T) {
	key, leaf := text(t, "ec.key"), text(t, "ec.pem")
	utf16 := func(s string, first, second string) string {
		return strings.Join(strings.Split(s, ""), first) + second
	}
	for _, tt := range []struct{ name, value, password, way string }{
		{"wrong password", pfx(t, "ec", "right"), "other", "The password does not open it"},
		{"PEM, two keys", key + text(t, "rsa.key") + leaf, "", "only one certificate with a private key"},
		{"RC4", pfx(t, "ec", "", "-legacy", "-certpbe", "PBE-SHA1-RC4-128"), "", "The encryption PBE-SHA1-RC4-128 (1.2.840.113549.1.12.1.1) is not supported. Export it again with AES."},
		{"Camellia", pfx(t, "ec", "", "-keypbe", "camellia-256-cbc"), "", "Camellia-256-CBC"},
		{"costly", pfx(t, "ec", "", "-iter", "1000001"), "", "At most 1000000 iterations a derivation and 4800000 in all are accepted. Write the file anew with fewer."},
		{"traditional encryption", output(t, "rsa", "-in", "rsa.key", "-traditional", "-aes256", "-passout", "pass:x") + text(t, "rsa.pem"), "x",
			"openssl pkcs8 -topk8"},
		{"PFX in armour", "-----BEGIN PKCS12-----\n" + fold(pfx(t, "ec", ""), "\n") + "\n-----END PKCS12-----\n", "", "PFX in PEM armour"},
		{"PFX as a certificate", "-----BEGIN CERTIFICATE-----\n" + fold(pfx(t, "ec", ""), "\n") + "\n-----END CERTIFICATE-----\n", "", "PFX in PEM armour"},
		{"UTF-16, little endian", b64("\xff\xfe" + utf16(key+leaf, "\x00", "\x00")), "", "UTF-16"},
		{"UTF-16, big endian", b64("\xfe\xff\x00" + utf16(key+leaf, "\x00", "")), "", "UTF-16"},
		{"UTF-16 without a mark", b64(utf16(key+leaf, "\x00", "\x00")), "", "UTF-16"},
		{"UTF-16 as text", utf16(key+leaf, "\x00", "\x00"), "", "UTF-16"},
		{"base64 twice", b64(pfx(t, "ec", "")), "", "base64 twice"},
		{"base64 of PEM twice", b64(b64(key + leaf)), "", "base64 twice"},
		{"key store of Java", b64("\xfe\xed\xfe\xed\x00\x00\x00\x02"), "", "keytool -importkeystore"},
		{"certificate in DER", b64(string(der(t, "ec.pem"))), "", "a certificate without a private key"},
		{"key in DER", b64(string(der(t, "ec.key"))), "", "a private key without a certificate"},
		{"PKCS#7", b64(output(t, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem", "-outform", "DER")), "", "holds no private key"},
		{"cut", pfx(t, "ec", "")[:400], "", "It is not PKCS#12: "},
		{"neither", "%%%", "", "neither PEM nor base64"},
		{"key of OpenSSH", strings.ReplaceAll(key, "PRIVATE KEY", "OPENSSH PRIVATE KEY") + leaf, "", "ssh-keygen -p -m PKCS8"},
		{"key of DSA", strings.ReplaceAll(key, "PRIVATE KEY", "DSA PRIVATE KEY") + leaf, "", "DSA keys are not supported"},
		{"key of another kind", strings.ReplaceAll(key, "PRIVATE KEY", "SECRET PRIVATE KEY") + leaf, "", "keys are RSA, or EC on"},
		{"one line", strings.ReplaceAll(key+leaf, "\n", ""), "", "line breaks"},
		{"no certificate", key, "", "It holds no certificate."},
	} {
		_, err := ReadImport(tt.value, tt.password, nil)
		refusal, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(refusal.Text(), tt.way) || strings.Contains(refusal.Text(), "SECRET") {
			t.Errorf("%s: %v", tt.name, err)
			if ok {
				t.Log(refusal.Text())
			}
		}
	}
	if text := refusal(msgPKCS12Unreadable, pkcs12.ErrTwoKeys).Text(); !strings.Contains(text, "only one certificate with a private key") {
		t.Error(text)
	}
	_, err := ReadImport(pfx(t, "ec", ""), "", ptr(PEM))
	if refusal, ok := errors.AsType[*Error](err); !ok || !strings.Contains(refusal.Text(), "contentType says application/x-pem-file") {
		t.Errorf("a PFX where PEM is wanted: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

// TestSEC1TakesItsCurveFromEitherPlace makes the form without parameters by hand,
// for openssl always writes them.
func TestSEC1TakesItsCurveFromEitherPlace(t *testing.T) {
	curve := []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07} // P-256
	want := der(t, "ec.key")
	i := bytes.Index(want, []byte{0x04, 0x6d, 0x30, 0x6b}) // the ECPrivateKey within PKCS#8 has none
	if i < 0 {
		t.Fatal("openssl writes PKCS#8 otherwise")
	}
	bare := want[i+2:]
	got, err := fromSEC1(bare, curve)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := fromSEC1(bare, nil); !errors.Is(err, errCurve) {
		t.Errorf("%v", err)
	}
	if _, err := fromSEC1(bare, []byte{0x30, 0}); !errors.Is(err, errExplicitCurve) {
		t.Errorf("%v", err)
	}
}

// TestMarkerWithinDERIsNoPEM has a friendly name and a certificate that spell PEM.
func TestMarkerWithinDERIsNoPEM(t *testing.T) {
	output(t, "req", "-x509", "-key", "ec.key", "-subj", "/CN=x/O=-----BEGIN PRIVATE KEY-----", "-out", "odd.pem")
	raw := output(t, "pkcs12", "-export", "-inkey", "ec.key", "-in", "odd.pem", "-certpbe", "NONE", "-passout", "pass:")
	if !strings.Contains(raw, marker) {
		t.Fatal("the marker is not there")
	}
	if _, err := ReadImport(b64(raw), "", nil); err != nil {
		t.Error(err)
	}
}

func FuzzReadImport(f *testing.F) {
	key, leaf := text(f, "ec.key"), text(f, "ec.pem")
	f.Add(key+leaf, "")
	f.Add(b64(leaf+key), "")
	f.Add(crlf(output(f, "ecparam", "-name", "prime256v1")+output(f, "ec", "-in", "ec.key")+leaf), "")
	f.Add(output(f, "pkcs8", "-topk8", "-in", "ec.key", "-passout", "pass:x")+leaf, "x")
	f.Add(output(f, "ec", "-in", "ec.key", "-aes256", "-passout", "pass:x")+leaf, "x")
	f.Add(output(f, "rsa", "-in", "rsa.key", "-traditional")+text(f, "rsa.pem"), "")
	f.Add(key+output(f, "x509", "-in", "ec.pem", "-trustout"), "")
	f.Add(strings.ReplaceAll(output(f, "crl2pkcs7", "-nocrl", "-certfile", "ec.pem"), "PKCS7", "CERTIFICATE")+key, "")
	f.Add(b64(b64(key+leaf)), "")
	f.Add(b64("\xff\xfe-\x00"), "")
	f.Add(pfx(f, "ec", ""), "")
	f.Add(pfx(f, "ec", "x", "-legacy"), "x")
	f.Fuzz(func(t *testing.T, value, password string) {
		m, err := ReadImport(value, password, nil)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("not an *Error: %v", err)
			}
			return
		}
		if !isPrivateKeyInfo(m.KeyPKCS8) || len(m.Certificates) == 0 || len(m.Certificates) > maxCertificates ||
			m.LeafHint < -1 || m.LeafHint >= len(m.Certificates) {
			t.Errorf("out of bounds: %+v", m)
		}
		for _, c := range m.Certificates {
			if !isSequence(c) {
				t.Errorf("a certificate that is no SEQUENCE: % x", c)
			}
		}
	})
}
