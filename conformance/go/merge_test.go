package conformance

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

func (v *vault) merge(name string, certificates ...[]byte) (azcertificates.Certificate, error) {
	merged, err := v.MergeCertificate(v.t.Context(), name,
		azcertificates.MergeCertificateParameters{X509Certificates: certificates}, nil)
	return merged.Certificate, err
}

func TestCreateAndMergeWithTheChain(t *testing.T) {
	t.Parallel()
	v, ca := open(t), newAuthority(t)
	name := v.name()
	p := small("Unknown")
	p.SecretProperties = &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pem-file")}
	p.IssuerParameters.CertificateTransparency = to.Ptr(false)
	begun := v.begin(name, p)
	equal(t, "status", *begun.Status, "inProgress")
	equal(t, "issuer", *begun.IssuerParameters.Name, "Unknown")

	placeholder := v.get(name)
	if *placeholder.Attributes.Enabled || placeholder.CER != nil || placeholder.KID != nil || placeholder.SID != nil {
		t.Errorf("the placeholder is %+v", placeholder)
	}
	// Dates as if it were issued now (certificates.md, 8.1, rule 4).
	a := placeholder.Attributes
	equal(t, "the placeholder's nbf", a.Created.Sub(*a.NotBefore), 10*time.Minute)
	if lifetime := a.Expires.Sub(*a.Created); lifetime < 364*day || lifetime > 367*day {
		t.Errorf("the placeholder lives for %s", lifetime)
	}

	chain := ca.chain(ca.signRequest(t, begun.CSR))
	var response *http.Response
	merged, err := v.MergeCertificate(policy.WithCaptureResponse(t.Context(), &response), name,
		azcertificates.MergeCertificateParameters{X509Certificates: chain, Tags: tags("ca", "outside")}, nil)
	check(t, err)
	equal(t, "status", response.StatusCode, 201)
	if location := response.Header.Get("Location"); location == "" {
		t.Error("no Location")
	}
	equal(t, "cer", merged.CER, chain[0])
	equal(t, "tags", merged.Tags, tags("ca", "outside"))
	equal(t, "issuer", merged.Policy.IssuerParameters, p.IssuerParameters)
	if merged.ID.Version() == placeholder.ID.Version() {
		t.Error("the version is the placeholder's")
	}
	ended := v.wait(name)
	equal(t, "request_id", *ended.RequestID, *begun.RequestID)
	equal(t, "status", *ended.Status, "completed")

	v.secret(name, "").holds(t, chain...)
	key, err := v.keys.GetKey(t.Context(), name, "", nil)
	check(t, err)
	sameKey(t, key.Key, chain[0])
}

func TestRequestOfEveryCurveCanBeSignedAndMerged(t *testing.T) {
	t.Parallel()
	for _, curve := range azcertificates.PossibleCurveNameValues() {
		t.Run(string(curve), func(t *testing.T) {
			t.Parallel()
			v, ca := open(t), newAuthority(t)
			name := v.name()
			p := small("Unknown")
			p.KeyProperties.Curve = &curve
			leaf := ca.signRequestOfAnyCurve(t, v.begin(name, p).CSR)
			merged, err := v.merge(name, ca.chain(leaf)...)
			check(t, err)
			equal(t, "cer", merged.CER, leaf)
			v.secret(name, "").holds(t, ca.chain(leaf)...)
		})
	}
}

func TestFormsOfTheMergedCertificates(t *testing.T) {
	t.Parallel()
	for what, form := range map[string]func(t *testing.T, chain [][]byte) [][]byte{
		"leaf last": func(t *testing.T, chain [][]byte) [][]byte { return [][]byte{chain[2], chain[1], chain[0]} },
		"PKCS7": func(t *testing.T, chain [][]byte) [][]byte {
			file := t.TempDir() + "/chain.pem"
			write(t, file, pemOf("CERTIFICATE", chain...))
			return [][]byte{openssl(t, nil, "crl2pkcs7", "-nocrl", "-certfile", file, "-outform", "DER")}
		},
		// As acmebot sends it (certificates.md, 8.7, rule 6).
		"PFX": func(t *testing.T, chain [][]byte) [][]byte {
			return [][]byte{openssl(t, pemOf("CERTIFICATE", chain...), "pkcs12", "-export", "-nokeys", "-passout", "pass:")}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v, ca := open(t), newAuthority(t)
			name := v.name()
			chain := ca.chain(ca.signRequest(t, v.begin(name, small("Unknown")).CSR))
			merged, err := v.merge(name, form(t, chain)...)
			check(t, err)
			equal(t, "cer", merged.CER, chain[0])
			v.secret(name, "").holds(t, chain...)
		})
	}
}

func TestMergeIsRefused(t *testing.T) {
	t.Parallel()
	v, ca := open(t), newAuthority(t)
	name := v.name()
	begun := v.begin(name, small("Unknown"))
	request, err := x509.ParseCertificateRequest(begun.CSR)
	check(t, err)

	_, err = v.merge(name, ca.issue(t, newKey(t, elliptic.P256()).Public(), -day, day))
	refused(t, err, 400, "BadParameter", "does not match the public part of the specified private key")
	_, err = v.merge(name, ca.issue(t, request.PublicKey, -9*day, -day))
	refused(t, err, 400, "BadParameter", "expired")
	_, err = v.merge(name, []byte("not a certificate"))
	refused(t, err, 400, "BadParameter")
	_, err = v.merge(name)
	refused(t, err, 400, "BadParameter")

	if after := v.operation(name); !bytes.Equal(after.CSR, begun.CSR) || *after.Status != "inProgress" {
		t.Error("a refused merge has changed the operation")
	}
	_, err = v.merge(name, ca.signRequest(t, begun.CSR))
	check(t, err)
	_, err = v.merge(name, ca.signRequest(t, begun.CSR))
	refused(t, err, 403, "Forbidden")
	_, err = v.merge(v.name(), ca.signRequest(t, begun.CSR))
	refused(t, err, 404, "PendingCertificateNotFound")
}

func TestNextVersionByMergeLeavesTheCurrentOneAlone(t *testing.T) {
	t.Parallel()
	v, ca := open(t), newAuthority(t)
	name := v.name()
	first := v.create(name, azcertificates.CreateCertificateParameters{})
	begun := v.begin(name, small("Unknown"))
	between := v.get(name)
	equal(t, "id", *between.ID, *first.ID)
	equal(t, "cer", between.CER, first.CER)
	v.secret(name, "").holds(t, first.CER)

	leaf := ca.signRequest(t, begun.CSR)
	_, err := v.merge(name, leaf)
	check(t, err)
	v.secret(name, "").holds(t, leaf)
	v.secret(name, first.ID.Version()).holds(t, first.CER)
	equal(t, "versions", len(v.versions(name)), 2)
}
