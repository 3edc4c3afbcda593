package pkcs12

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	sslmate "software.sslmate.com/src/go-pkcs12"
)

var encoders = []struct {
	name   string
	encode func(key, leaf []byte, chain [][]byte) ([]byte, error)
}{{"legacy", encodeLegacy}, {"modern", encodeModern}}

// The encoders with the leaf first.
func encodeLegacy(key, leaf []byte, chain [][]byte) ([]byte, error) {
	return EncodeLegacy(key, append([][]byte{leaf}, chain...), 0)
}

func encodeModern(key, leaf []byte, chain [][]byte) ([]byte, error) {
	return EncodeModern(key, append([][]byte{leaf}, chain...), 0)
}

// TestTheLeafNeedNotBeFirst: a caller may want the order of the input kept
// (contract certificates.md, 7.7).
func TestTheLeafNeedNotBeFirst(t *testing.T) {
	for _, f := range []func([]byte, [][]byte, int) ([]byte, error){EncodeLegacy, EncodeModern} {
		pfx, err := f(made.key, [][]byte{made.ca, made.leaf}, 1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Decode(pfx, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Certificates) != 2 || !bytes.Equal(b.Certificates[0].DER, made.ca) || !bytes.Equal(b.Certificates[1].DER, made.leaf) {
			t.Error("the order changed")
		}
		if b.Certificates[0].LocalKeyID != nil || !bytes.Equal(b.Certificates[1].LocalKeyID, b.LocalKeyID) {
			t.Error("the key does not point to its certificate")
		}
		key, leaf, _, err := sslmate.DecodeChain(pfx, "")
		if err != nil || key == nil || len(leaf.Raw) == 0 {
			t.Errorf("another reader: %v", err)
		}
		for _, at := range []int{-1, 2} {
			if _, err := f(made.key, [][]byte{made.ca, made.leaf}, at); err == nil {
				t.Errorf("leaf %d of 2 was accepted", at)
			}
		}
	}
}

func encode(t *testing.T, f func(key, leaf []byte, chain [][]byte) ([]byte, error), key []byte) []byte {
	t.Helper()
	pfx, err := f(key, made.leaf, [][]byte{made.ca})
	if err != nil {
		t.Fatal(err)
	}
	return pfx
}

func TestEncodedIsDecoded(t *testing.T) {
	for _, e := range encoders {
		b, err := Decode(encode(t, e.encode, made.key), "")
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		checkBundle(t, b)
		if b, err = Decode(encode(t, e.encode, nil), ""); err != nil {
			t.Fatalf("%s without key: %v", e.name, err)
		}
		if b.KeyPKCS8 != nil || len(b.Certificates) != 2 || b.Certificates[0].LocalKeyID != nil {
			t.Errorf("%s without key: %d certificates", e.name, len(b.Certificates))
		}
	}
}

// TestOpenSSLReadsTheRecordedLayout reads with openssl and compares its description
// with contract certificates.md, 7.4.
func TestOpenSSLReadsTheRecordedLayout(t *testing.T) {
	guid := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	// First what openssl prints of the content, then what it says of the protection.
	const content = `Bag Attributes
localKeyID: 01 00 00 00
friendlyName: GUID
Microsoft CSP Name: Microsoft Software Key Storage Provider
Key Attributes: <No Attributes>
Bag Attributes
localKeyID: 01 00 00 00
subject=CN = leaf.example
issuer=CN = Test CA
Bag Attributes: <No Attributes>
subject=CN = Test CA
issuer=CN = Test CA
`
	want := map[string]string{
		"legacy": content + `MAC: sha1, Iteration 2000
MAC length: 20, salt length: 20
PKCS7 Data
Shrouded Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2000
PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2000
Certificate bag
Certificate bag
`,
		"modern": content + `MAC: sha256, Iteration 2000
MAC length: 32, salt length: 20
PKCS7 Data
Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 2000, PRF hmacWithSHA256
PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 2000, PRF hmacWithSHA256
Certificate bag
Certificate bag
`,
	}
	for _, e := range encoders {
		name := write(t, e.name+".pfx", encode(t, e.encode, made.key))
		text := string(mustOpenSSL(t, "pkcs12", "-in", name, "-legacy", "-passin", "pass:", "-info", "-nodes"))
		text = regexp.MustCompile(`(?s)-----BEGIN .*?-----END [A-Z ]+-----\n`).ReplaceAllString(text, "")
		text = regexp.MustCompile(`(?m)^ +| +$`).ReplaceAllString(guid.ReplaceAllString(text, "GUID"), "")
		if text != want[e.name] {
			t.Errorf("%s: openssl says\n%s", e.name, text)
		}
		mustOpenSSL(t, "pkcs12", "-in", name, "-legacy", "-passin", "pass:", "-nocerts", "-nodes", "-out", "back.key")
		mustOpenSSL(t, "pkcs12", "-in", name, "-legacy", "-passin", "pass:", "-nokeys", "-clcerts", "-out", "back.pem")
		if !bytes.Equal(der("back.key"), made.key) || !bytes.Equal(der("back.pem"), made.leaf) {
			t.Errorf("%s: openssl reads another key or leaf", e.name)
		}
	}
}

// The outer structures, for encoding/asn1: nothing of our own parser.
type (
	asn1PFX struct {
		Version  int
		AuthSafe asn1ContentInfo
		MacData  struct {
			Mac struct {
				Algorithm pkix.AlgorithmIdentifier
				Digest    []byte
			}
			Salt       []byte
			Iterations int
		}
	}
	asn1ContentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit"`
	}
)

// TestLegacyMACIsMadeWithoutPassword recomputes the MAC: with no password bytes at
// all, and 20 bytes to derive, the derivation is SHA-1 iterated over D and S.
func TestLegacyMACIsMadeWithoutPassword(t *testing.T) {
	var pfx asn1PFX
	var authSafe []byte
	if rest, err := asn1.Unmarshal(encode(t, encodeLegacy, made.key), &pfx); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(pfx.AuthSafe.Content.Bytes, &authSafe); err != nil {
		t.Fatal(err)
	}
	salt := bytes.Repeat(pfx.MacData.Salt, 4)[:64]
	key := sha1.Sum(append(bytes.Repeat([]byte{3}, 64), salt...))
	for range 1999 {
		key = sha1.Sum(key[:])
	}
	h := hmac.New(sha1.New, key[:])
	h.Write(authSafe)
	if !bytes.Equal(h.Sum(nil), pfx.MacData.Mac.Digest) {
		t.Error("the MAC is not that of a zero-length password")
	}

	var safe []asn1ContentInfo
	if _, err := asn1.Unmarshal(authSafe, &safe); err != nil {
		t.Fatal(err)
	}
	if len(safe) != 2 || !safe[0].Type.Equal(oidData) || !safe[1].Type.Equal(oidEncryptedData) {
		t.Errorf("contents %v", safe)
	}
	if len(pfx.MacData.Salt) != 20 || pfx.MacData.Iterations != 2000 {
		t.Errorf("MAC with a salt of %d bytes, %d iterations", len(pfx.MacData.Salt), pfx.MacData.Iterations)
	}
	var encrypted struct {
		Version int
		Info    struct {
			Type      asn1.ObjectIdentifier
			Algorithm struct {
				OID    asn1.ObjectIdentifier
				Params struct {
					Salt       []byte
					Iterations int
				}
			}
			Ciphertext []byte `asn1:"tag:0"`
		}
	}
	if _, err := asn1.Unmarshal(safe[1].Content.Bytes, &encrypted); err != nil {
		t.Fatal(err)
	}
	if p := encrypted.Info.Algorithm.Params; len(p.Salt) != 8 || p.Iterations != 2000 {
		t.Errorf("encrypted with a salt of %d bytes, %d iterations", len(p.Salt), p.Iterations)
	}
	if p := pfx.MacData.Mac.Algorithm.Parameters.FullBytes; !bytes.Equal(p, asn1.NullBytes) {
		t.Errorf("parameters of SHA-1 %x", p)
	}
}

func TestSSLMateReadsOurs(t *testing.T) {
	for _, e := range encoders {
		key, leaf, chain, err := sslmate.DecodeChain(encode(t, e.encode, made.key), "")
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		want, err := x509.ParsePKCS8PrivateKey(made.key)
		if err != nil {
			t.Fatal(err)
		}
		if !want.(*ecdsa.PrivateKey).Equal(key) || !bytes.Equal(leaf.Raw, made.leaf) || len(chain) != 1 {
			t.Errorf("%s: key, leaf or chain differs", e.name)
		}
	}
}

func TestWeReadSSLMates(t *testing.T) {
	key, err := x509.ParsePKCS8PrivateKey(made.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(made.leaf)
	ca, _ := x509.ParseCertificate(made.ca)
	for _, e := range []*sslmate.Encoder{sslmate.LegacyRC2, sslmate.LegacyDES, sslmate.Modern2023, sslmate.Modern2026} {
		for _, password := range []string{"", "changeit"} {
			pfx, err := e.Encode(key, leaf, []*x509.Certificate{ca}, password)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Decode(pfx, password)
			if err != nil {
				t.Fatal(err)
			}
			checkBundle(t, b)
		}
	}
}

// TestJavaReadsOurs lists the entries with keytool, which opens all certificates.
func TestJavaReadsOurs(t *testing.T) {
	for _, e := range encoders {
		name := write(t, e.name+"-java.pfx", encode(t, e.encode, made.key))
		out, err := exec.Command("keytool", "-J-Xshare:auto", "-J-XX:TieredStopAtLevel=1", "-list", "-v", "-storetype", "PKCS12",
			"-storepass", "", "-keystore", filepath.Join(made.dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", e.name, err, out)
		}
		for _, want := range []string{"PrivateKeyEntry", "chain length: 2", "CN=leaf.example"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in\n%s", e.name, want, out)
			}
		}
	}
}

func TestEncodeRefusesWhatIsNotDER(t *testing.T) {
	for _, tt := range []struct {
		name      string
		key, leaf []byte
		chain     [][]byte
	}{
		{"no leaf", made.key, nil, nil},
		{"empty key", []byte{}, made.leaf, nil},
		{"key in PEM", []byte("-----BEGIN"), made.leaf, nil},
		{"leaf with more", made.key, append(bytes.Clone(made.leaf), 0), nil},
		{"empty chain element", made.key, made.leaf, [][]byte{{}}},
		{"too many", made.key, made.leaf, make([][]byte, maxBags-1)},
	} {
		for _, e := range encoders {
			if _, err := e.encode(tt.key, tt.leaf, tt.chain); err == nil {
				t.Errorf("%s, %s: no error", e.name, tt.name)
			}
		}
	}
}

// TestTheLargestIsDecoded writes as many certificates as a merge may bring.
func TestTheLargestIsDecoded(t *testing.T) {
	chain := make([][]byte, 99)
	for i := range chain {
		chain[i] = made.ca
	}
	pfx, err := encodeLegacy(made.key, made.leaf, chain)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Decode(pfx, "")
	if err != nil || len(b.Certificates) != 100 {
		t.Fatal(err)
	}
}
