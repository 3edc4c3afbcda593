package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

func (v *vault) importValue(name, value, password string, p *azcertificates.CertificatePolicy) (azcertificates.Certificate, error) {
	parameters := azcertificates.ImportCertificateParameters{Base64EncodedCertificate: &value, CertificatePolicy: p}
	if password != "" {
		parameters.Password = &password
	}
	imported, err := v.ImportCertificate(v.t.Context(), name, parameters, nil)
	return imported.Certificate, err
}

func asPEM() *azcertificates.CertificatePolicy {
	return &azcertificates.CertificatePolicy{
		SecretProperties: &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pem-file")},
	}
}

// material is a new key in PKCS#8 with its leaf and the chain behind it.
func material(t *testing.T, start, end time.Duration) (key []byte, chain [][]byte) {
	t.Helper()
	ca, private := newAuthority(t), newKey(t, elliptic.P256())
	key, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	return key, ca.chain(ca.issue(t, private.Public(), start, end))
}

func TestImportPFX(t *testing.T) {
	t.Parallel()
	for kind, protection := range map[string][]string{
		"RC2-40":                {"-legacy"},
		"3DES":                  {"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"},
		"AES-256":               {"-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256"},
		"AES-128, SHA-512":      {"-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha512"},
		"open certificates":     {"-certpbe", "NONE"},
		"nothing is enciphered": {"-keypbe", "NONE", "-certpbe", "NONE"},
	} {
		for _, password := range []string{"", "a pass wörd"} {
			t.Run(kind+" with "+password, func(t *testing.T) {
				t.Parallel()
				v := open(t)
				name := v.name()
				key, chain := material(t, -day, day*90)
				data := pfx(t, key, chain, password, protection...)
				imported, err := v.importValue(name, base64.StdEncoding.EncodeToString(data), password, nil)
				check(t, err)
				equal(t, "cer", imported.CER, chain[0])
				equal(t, "contentType", *imported.Policy.SecretProperties.ContentType, "application/x-pkcs12")
				v.secret(name, "").holds(t, chain...)
			})
		}
	}
}

func TestImportPEM(t *testing.T) {
	t.Parallel()
	for form, write := range map[string]func(t *testing.T, key []byte, chain [][]byte) string{
		"key first": func(t *testing.T, key []byte, chain [][]byte) string {
			return string(pemOf("PRIVATE KEY", key)) + string(pemOf("CERTIFICATE", chain...))
		},
		"key last": func(t *testing.T, key []byte, chain [][]byte) string {
			return string(pemOf("CERTIFICATE", chain...)) + string(pemOf("PRIVATE KEY", key))
		},
		"CRLF": func(t *testing.T, key []byte, chain [][]byte) string {
			text := string(pemOf("PRIVATE KEY", key)) + string(pemOf("CERTIFICATE", chain...))
			return strings.ReplaceAll(text, "\n", "\r\n")
		},
		"EC PRIVATE KEY": func(t *testing.T, key []byte, chain [][]byte) string {
			sec1 := openssl(t, pemOf("PRIVATE KEY", key), "ec")
			return string(sec1) + string(pemOf("CERTIFICATE", chain...))
		},
		"base64 of the text": func(t *testing.T, key []byte, chain [][]byte) string {
			return base64.StdEncoding.EncodeToString(append(pemOf("PRIVATE KEY", key), pemOf("CERTIFICATE", chain...)...))
		},
	} {
		for _, p := range []*azcertificates.CertificatePolicy{nil, asPEM()} {
			t.Run(form, func(t *testing.T) {
				t.Parallel()
				v := open(t)
				name := v.name()
				key, chain := material(t, -day, day*90)
				imported, err := v.importValue(name, write(t, key, chain), "", p)
				check(t, err)
				equal(t, "contentType", *imported.Policy.SecretProperties.ContentType, "application/x-pem-file")
				v.secret(name, "").holds(t, chain...)
			})
		}
	}
}

func TestImportEncryptedPKCS8(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	key, chain := material(t, -day, day*90)
	locked := openssl(t, pemOf("PRIVATE KEY", key), "pkcs8", "-topk8", "-passout", "pass:of the key")
	value := string(locked) + string(pemOf("CERTIFICATE", chain...))
	_, err := v.importValue(name, value, "not this one", asPEM())
	refused(t, err, 400, "BadParameter")
	_, err = v.importValue(name, value, "of the key", asPEM())
	check(t, err)
	v.secret(name, "").holds(t, chain...)
}

func TestImportKeyTypes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	check(t, err)
	long, err := rsa.GenerateKey(rand.Reader, 3072)
	check(t, err)
	leafOf := func(key any, public any) ([]byte, [][]byte) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		check(t, err)
		return der, ca.chain(ca.issue(t, public, -day, day*90))
	}
	for kind, test := range map[string]struct {
		material func() ([]byte, [][]byte)
		props    azcertificates.KeyProperties
	}{
		"P-521": {
			func() ([]byte, [][]byte) { return leafOf(p521, p521.Public()) },
			azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeEC), KeySize: to.Ptr[int32](521), Curve: to.Ptr(azcertificates.CurveNameP521)},
		},
		"RSA-3072": {
			func() ([]byte, [][]byte) { return leafOf(long, long.Public()) },
			azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSA), KeySize: to.Ptr[int32](3072)},
		},
		"P-256K": {
			func() ([]byte, [][]byte) {
				key := openssl(t, nil, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1")
				request := openssl(t, key, "req", "-new", "-key", "/dev/stdin", "-subj", "/CN=k1", "-outform", "DER")
				return firstBlock(t, key), ca.chain(ca.signRequestOfAnyCurve(t, request))
			},
			azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeEC), KeySize: to.Ptr[int32](256), Curve: to.Ptr(azcertificates.CurveNameP256K)},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			v := open(t)
			name := v.name()
			key, chain := test.material()
			imported, err := v.importValue(name, base64.StdEncoding.EncodeToString(pfx(t, key, chain, "")), "", nil)
			check(t, err)
			test.props.Exportable, test.props.ReuseKey = to.Ptr(true), to.Ptr(false)
			equal(t, "key_props", imported.Policy.KeyProperties, &test.props)
			v.secret(name, "").holds(t, chain...)
		})
	}
}

func TestImportWithOptions(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	key, chain := material(t, -day, day*90)
	value := base64.StdEncoding.EncodeToString(pfx(t, key, chain, ""))
	locked := &azcertificates.CertificatePolicy{
		KeyProperties: &azcertificates.KeyProperties{Exportable: to.Ptr(false)},
	}
	imported, err := v.ImportCertificate(t.Context(), name, azcertificates.ImportCertificateParameters{
		Base64EncodedCertificate: &value,
		CertificateAttributes:    enabled(false),
		CertificatePolicy:        locked,
		Tags:                     tags("a", "1"),
	}, nil)
	check(t, err)
	if *imported.Attributes.Enabled || *imported.KID == "" || *imported.SID == "" {
		t.Errorf("imported %+v", imported.Certificate)
	}
	equal(t, "tags", imported.Tags, tags("a", "1"))
	equal(t, "exportable", *imported.Policy.KeyProperties.Exportable, false)

	_, err = v.UpdateCertificate(t.Context(), name, "", azcertificates.UpdateCertificateParameters{CertificateAttributes: enabled(true)}, nil)
	check(t, err)
	v.secret(name, "").holdsNoKey(t, chain...)
}

func TestOrderOfTheChain(t *testing.T) {
	t.Parallel()
	for _, preserve := range []bool{true, false} {
		v := open(t)
		name := v.name()
		key, chain := material(t, -day, day*90)
		shuffled := [][]byte{chain[2], chain[0], chain[1]}
		value := string(pemOf("PRIVATE KEY", key)) + string(pemOf("CERTIFICATE", shuffled...))
		imported, err := v.ImportCertificate(t.Context(), name, azcertificates.ImportCertificateParameters{
			Base64EncodedCertificate: &value, PreserveCertOrder: &preserve, CertificatePolicy: asPEM(),
		}, nil)
		check(t, err)
		equal(t, "cer", imported.CER, chain[0])
		equal(t, "preserveCertOrder", *imported.PreserveCertOrder, preserve)
		want := chain
		if preserve {
			want = shuffled
		}
		equal(t, "order", v.secret(name, "").certificates, want)
	}
}

func TestValueOfTheSecretCanBeImportedAgain(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/x-pkcs12", "application/x-pem-file"} {
		t.Run(contentType, func(t *testing.T) {
			v := open(t)
			name, copied := v.name(), v.name()
			p := small("Self")
			p.SecretProperties = &azcertificates.SecretProperties{ContentType: &contentType}
			made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
			secret, err := v.secrets.GetSecret(t.Context(), name, "", nil)
			check(t, err)
			again, err := v.importValue(copied, *secret.Value, "", &azcertificates.CertificatePolicy{SecretProperties: p.SecretProperties})
			check(t, err)
			equal(t, "cer", again.CER, made.CER)
			v.secret(copied, "").holds(t, made.CER)
		})
	}
}

func TestImportIsRefused(t *testing.T) {
	t.Parallel()
	v, ca := open(t), newAuthority(t)
	key, chain := material(t, -day, day*90)
	oldKey, old := material(t, -9*day, -day)
	unrelated := ca.issue(t, newKey(t, elliptic.P256()).Public(), -day, day)
	base64Of := base64.StdEncoding.EncodeToString
	for what, test := range map[string]struct {
		value, password string
		policy          *azcertificates.CertificatePolicy
		text            string
	}{
		"wrong password":  {base64Of(pfx(t, key, chain, "right-password")), "wrong-password", nil, "PKCS#12"},
		"no password":     {base64Of(pfx(t, key, chain, "right-password")), "", nil, "PKCS#12"},
		"truncated":       {base64Of(pfx(t, key, chain, "")[:400]), "", nil, "PKCS#12"},
		"not base64":      {"*****", "", nil, ""},
		"nothing":         {"", "", nil, ""},
		"PEM without key": {string(pemOf("CERTIFICATE", chain...)), "", asPEM(), "rivate key is not specified"},
		"key of another": {
			string(slices.Concat(pemOf("PRIVATE KEY", key), pemOf("CERTIFICATE", unrelated))), "", asPEM(), "does not match",
		},
		"expired": {base64Of(pfx(t, oldKey, old, "")), "", nil, "expired"},
		"RSA policy for an EC key": {base64Of(pfx(t, key, chain, "")), "", &azcertificates.CertificatePolicy{
			KeyProperties: &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSA)},
		}, "policy"},
		"PFX said to be PEM": {base64Of(pfx(t, key, chain, "")), "", asPEM(), "PEM"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := v.importValue(v.name(), test.value, test.password, test.policy)
			refused(t, err, 400, "BadParameter", test.text)
			if err != nil && strings.Contains(err.Error(), "-password") {
				t.Error("the answer repeats the password")
			}
		})
	}

	name := v.name()
	v.begin(name, small("Unknown"))
	_, err := v.importValue(name, base64Of(pfx(t, key, chain, "")), "", nil)
	refused(t, err, 409, "Conflict")
}
