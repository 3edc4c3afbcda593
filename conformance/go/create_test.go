package conformance

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

func TestCreateAnswersWithAnOperationInProgress(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	var response *http.Response
	begun, err := v.CreateCertificate(policy.WithCaptureResponse(t.Context(), &response), name,
		azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self"), PreserveCertOrder: to.Ptr(true)}, nil)
	check(t, err)

	if response.StatusCode != 202 || response.Header.Get("Retry-After") != "10" {
		t.Errorf("got %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
	location, err := url.Parse(response.Header.Get("Location"))
	check(t, err)
	if location.Path != "/certificates/"+name+"/pending" ||
		location.Query().Get("request_id") != *begun.RequestID ||
		location.Query().Get("api-version") != response.Request.URL.Query().Get("api-version") {
		t.Errorf("Location %s", location)
	}

	switch {
	case *begun.Status != "inProgress":
		t.Errorf("status %q", *begun.Status)
	case *begun.StatusDetails == "", len(begun.CSR) == 0, len(*begun.RequestID) != 32:
		t.Error("status_details, csr or request_id is missing")
	case *begun.CancellationRequested, begun.Error != nil, begun.Target != nil:
		t.Errorf("got %+v", begun)
	case !*begun.PreserveCertOrder:
		t.Error("preserveCertOrder is not echoed")
	case begun.ID.Name() != name:
		t.Errorf("id %s", *begun.ID)
	}

	ended := v.wait(name)
	if *ended.Status != "completed" || *ended.RequestID != *begun.RequestID || !bytes.Equal(ended.CSR, begun.CSR) {
		t.Errorf("ended as %s, request_id %s", *ended.Status, *ended.RequestID)
	}
	if want := strings.TrimSuffix(os.Getenv("VAULT_URL"), "/") + "/certificates/" + name; *ended.Target != want {
		t.Errorf("target %s, want %s", *ended.Target, want)
	}
}

func TestRequestIsSignedByItsOwnKey(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	request, err := x509.ParseCertificateRequest(v.wait(name).CSR)
	check(t, err)
	check(t, request.CheckSignature())
	if !bytes.Equal(request.RawSubjectPublicKeyInfo, publicKey(t, made.CER)) {
		t.Error("the request's key is not the certificate's")
	}
}

func TestBundleOfANewCertificate(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("env", "prod")})
	base, version := strings.TrimSuffix(os.Getenv("VAULT_URL"), "/"), made.ID.Version()
	equal(t, "id", string(*made.ID), base+"/certificates/"+name+"/"+version)
	equal(t, "kid", string(*made.KID), base+"/keys/"+name+"/"+version)
	equal(t, "sid", string(*made.SID), base+"/secrets/"+name+"/"+version)
	equal(t, "tags", made.Tags, tags("env", "prod"))
	thumbprint := sha1.Sum(made.CER)
	equal(t, "x5t", made.X509Thumbprint, thumbprint[:])
	equal(t, "preserveCertOrder", *made.PreserveCertOrder, false)

	certificate, err := x509.ParseCertificate(made.CER)
	check(t, err)
	a := made.Attributes
	if !*a.Enabled || !a.NotBefore.Equal(certificate.NotBefore) || !a.Expires.Equal(certificate.NotAfter) ||
		!a.Created.Equal(*a.Updated) || !strings.HasSuffix(*a.RecoveryLevel, "Recoverable+Purgeable") ||
		*a.RecoverableDays < 7 || *a.RecoverableDays > 90 {
		t.Errorf("attributes %+v", a)
	}
	// Ten minutes before issuance; the second may turn in between.
	if before := a.Created.Sub(certificate.NotBefore); before < 600*time.Second || before > 601*time.Second {
		t.Errorf("notBefore is %s before issuance", before)
	}
}

func TestKeyTypes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kty   azcertificates.KeyType
		size  int32
		curve azcertificates.CurveName
	}{
		{kty: "RSA", size: 2048},
		{kty: "RSA", size: 3072},
		{kty: "EC", size: 256, curve: "P-256"},
		{kty: "EC", size: 384, curve: "P-384"},
		{kty: "EC", size: 521, curve: "P-521"},
		{kty: "EC", size: 256, curve: "P-256K"},
	} {
		t.Run(fmt.Sprintf("%s-%d%s", test.kty, test.size, test.curve), func(t *testing.T) {
			t.Parallel()
			v := open(t)
			name := v.name()
			p := small("Self")
			p.KeyProperties = &azcertificates.KeyProperties{KeyType: &test.kty}
			if test.curve != "" {
				p.KeyProperties.Curve = &test.curve
			} else {
				p.KeyProperties.KeySize = &test.size
			}
			made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
			equal(t, "key_size", *made.Policy.KeyProperties.KeySize, test.size)
			if test.curve == "" && made.Policy.KeyProperties.Curve != nil {
				t.Errorf("an RSA key with the curve %s", *made.Policy.KeyProperties.Curve)
			}
			// Self-signed: openssl takes it as its own issuer. The certificate signs
			// nothing else, so the flag of a partial chain makes it a trust anchor.
			file := t.TempDir() + "/leaf.pem"
			write(t, file, pemOf("CERTIFICATE", made.CER))
			openssl(t, nil, "verify", "-check_ss_sig", "-partial_chain", "-CAfile", file, file)

			key, err := v.keys.GetKey(t.Context(), name, "", nil)
			check(t, err)
			sameKey(t, key.Key, made.CER)
			if key.Key.D != nil || key.Key.P != nil || key.Key.Q != nil || key.Key.DP != nil {
				t.Error("the key has private members")
			}
			if !*key.Managed || key.Key.KID.Version() != made.ID.Version() {
				t.Errorf("managed %v, version %s", *key.Managed, key.Key.KID.Version())
			}
		})
	}
}

// sameKey compares a JWK with the public key of a certificate.
func sameKey(t *testing.T, key *azkeys.JSONWebKey, certificate []byte) {
	t.Helper()
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(publicKey(t, certificate), &spki)
	check(t, err)
	point := spki.Key.Bytes
	if *key.Kty == azkeys.KeyTypeRSA {
		// RFC 8017, appendix A.1.1; modulus and exponent of a JWK have no leading zeros.
		public, err := x509.ParsePKCS1PublicKey(point)
		check(t, err)
		if !bytes.Equal(public.N.Bytes(), key.N) || !bytes.Equal(key.E, []byte{1, 0, 1}) {
			t.Error("n or e is not the certificate's")
		}
		return
	}
	// SEC 1, section 2.3.3: 04, x, y, both of the field's full width (RFC 7518, 6.2.1.2).
	if want := slices.Concat([]byte{4}, key.X, key.Y); !bytes.Equal(want, point) {
		t.Error("x or y is not the certificate's")
	}
	if *key.Crv == azkeys.CurveNameP256 {
		_, err := ecdh.P256().NewPublicKey(point)
		check(t, err)
	}
}

func TestProfileOfASelfSignedCertificate(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	strs := func(s ...string) []*string { return to.SliceOfPtrs(s...) }
	p := small("Self")
	p.X509CertificateProperties = &azcertificates.X509CertificateProperties{
		Subject: to.Ptr("C=US, ST=WA, O=Example, CN=profile.example.net"),
		SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{
			DNSNames:           strs("profile.example.net", "*.profile.example.net"),
			Emails:             strs("ana@example.net"),
			UserPrincipalNames: strs("ana@corp.example.net"),
			URIs:               strs("https://example.com"),
			IPAddresses:        strs("192.0.2.1", "2001:0db8::1"),
		},
		EnhancedKeyUsage: strs("1.3.6.1.5.5.7.3.2"),
		KeyUsage:         to.SliceOfPtrs(azcertificates.KeyUsageTypeKeyAgreement, azcertificates.KeyUsageTypeDigitalSignature),
		ValidityInMonths: to.Ptr[int32](3),
	}
	made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
	certificate, err := x509.ParseCertificate(made.CER)
	check(t, err)

	equal(t, "dns", certificate.DNSNames, []string{"profile.example.net", "*.profile.example.net"})
	equal(t, "emails", certificate.EmailAddresses, []string{"ana@example.net"})
	// A URI without a path gets one in the certificate (certificates.md, 10.2) ...
	equal(t, "uris", certificate.URIs[0].String(), "https://example.com/")
	equal(t, "addresses", fmt.Sprint(certificate.IPAddresses), "[192.0.2.1 2001:db8::1]")
	// ... and the policy keeps what was sent.
	equal(t, "sans", made.Policy.X509CertificateProperties.SubjectAlternativeNames,
		p.X509CertificateProperties.SubjectAlternativeNames)
	equal(t, "usage", certificate.KeyUsage, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement)
	// Sent the other way round: the policy sorts them (certificates.md, 6.4).
	equal(t, "usage of the policy", made.Policy.X509CertificateProperties.KeyUsage,
		to.SliceOfPtrs(azcertificates.KeyUsageTypeDigitalSignature, azcertificates.KeyUsageTypeKeyAgreement))
	equal(t, "ekus", certificate.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})
	equal(t, "ca", certificate.IsCA, false)
	equal(t, "key identifiers", certificate.AuthorityKeyId, certificate.SubjectKeyId)
	if n := certificate.SerialNumber; n.Sign() <= 0 || n.BitLen() > 128 {
		t.Errorf("serial number %x", n)
	}
	// The text is reversed on its way into DER (certificates.md, 10.3).
	var types []string
	for _, part := range certificate.Subject.Names {
		types = append(types, part.Type.String())
	}
	equal(t, "subject", types, []string{"2.5.4.3", "2.5.4.10", "2.5.4.8", "2.5.4.6"})
	if text := openssl(t, made.CER, "x509", "-inform", "DER", "-noout", "-ext", "subjectAltName"); !bytes.Contains(
		text, []byte("othername: UPN::ana@corp.example.net")) && !bytes.Contains(text, []byte("othername: UPN:ana@corp.example.net")) {
		t.Errorf("no UPN in %s", text)
	}
	if want := made.Attributes.Created.AddDate(0, 3, 0); certificate.NotAfter.Sub(want).Abs() > 4*day {
		t.Errorf("notAfter %s, want about %s", certificate.NotAfter, want)
	}
}

func TestDefaultsOfThePolicy(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: &azcertificates.CertificatePolicy{
		IssuerParameters:          &azcertificates.IssuerParameters{Name: to.Ptr("self")},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: to.Ptr("CN=defaults")},
	}})
	certificate, err := x509.ParseCertificate(made.CER)
	check(t, err)
	equal(t, "bits", certificate.PublicKey.(*rsa.PublicKey).N.BitLen(), 2048)
	equal(t, "issuer", *made.Policy.IssuerParameters.Name, "self")
	equal(t, "key_props", made.Policy.KeyProperties, &azcertificates.KeyProperties{
		Exportable: to.Ptr(true), KeySize: to.Ptr[int32](2048), KeyType: to.Ptr(azcertificates.KeyTypeRSA), ReuseKey: to.Ptr(false),
	})
	equal(t, "secret_props", *made.Policy.SecretProperties.ContentType, "application/x-pkcs12")
	equal(t, "x509_props", made.Policy.X509CertificateProperties, &azcertificates.X509CertificateProperties{
		Subject:          to.Ptr("CN=defaults"),
		EnhancedKeyUsage: to.SliceOfPtrs("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"),
		KeyUsage:         to.SliceOfPtrs(azcertificates.KeyUsageTypeDigitalSignature, azcertificates.KeyUsageTypeKeyEncipherment),
		ValidityInMonths: to.Ptr[int32](12),
	})
	equal(t, "lifetime_actions", made.Policy.LifetimeActions, []*azcertificates.LifetimeAction{{
		Action:  &azcertificates.LifetimeActionType{ActionType: to.Ptr(azcertificates.CertificatePolicyActionAutoRenew)},
		Trigger: &azcertificates.LifetimeActionTrigger{LifetimePercentage: to.Ptr[int32](80)},
	}})
}

func TestThreeCreatesGiveThreeVersions(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	var made []string
	for range 3 {
		made = append(made, v.create(name, azcertificates.CreateCertificateParameters{}).ID.Version())
	}
	listed := v.versions(name)
	slices.Sort(made)
	slices.Sort(listed)
	equal(t, "versions", listed, made)
}

func TestNextVersionKeepsItsKeyIfThePolicySaysSo(t *testing.T) {
	t.Parallel()
	for _, reuse := range []bool{true, false} {
		v := open(t)
		name := v.name()
		p := small("Self")
		p.KeyProperties.ReuseKey = &reuse
		first := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
		second := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
		if bytes.Equal(first.CER, second.CER) {
			t.Error("the second version is the first")
		}
		equal(t, "same key", bytes.Equal(publicKey(t, first.CER), publicKey(t, second.CER)), reuse)
	}
}
