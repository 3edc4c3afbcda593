package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// issueTimeout is how long a certificate may take to be issued: a self-signed one
// takes the service ten seconds at most (certificates.md, 8.1).
const issueTimeout = 60 * time.Second

// A vault is the clients of one test, and what the test leaves behind.
type vault struct {
	*azcertificates.Client
	secrets *azsecrets.Client
	keys    *azkeys.Client
	t       *testing.T
}

// credential is shared, so that the suite asks for one token and not for a hundred.
var credential = sync.OnceValues(func() (azcore.TokenCredential, error) {
	return azidentity.NewDefaultAzureCredential(nil)
})

// open gives a test its clients. Tests run side by side unless they say otherwise.
func open(t *testing.T) *vault {
	t.Helper()
	cred, err := credential()
	check(t, err)
	return openAs(t, cred)
}

func openAs(t *testing.T, cred azcore.TokenCredential) *vault {
	t.Helper()
	return openAt(t, os.Getenv("VAULT_URL"), cred)
}

func openAt(t *testing.T, url string, cred azcore.TokenCredential) *vault {
	t.Helper()
	certificates, err := azcertificates.NewClient(url, cred, nil)
	check(t, err)
	secrets, err := azsecrets.NewClient(url, cred, nil)
	check(t, err)
	keys, err := azkeys.NewClient(url, cred, nil)
	check(t, err)
	return &vault{Client: certificates, secrets: secrets, keys: keys, t: t}
}

// name hands out an unused name, of which nothing is left after the test.
func (v *vault) name() string {
	random := make([]byte, 10)
	rand.Read(random)
	name := "go-" + hex.EncodeToString(random)
	v.t.Cleanup(func() {
		// Not there, or not deleted, is what the test may have seen to.
		if _, err := v.DeleteCertificate(context.Background(), name, nil); err != nil && !is(err, 404) {
			v.t.Errorf("tidying up: %v", err)
		}
		if _, err := v.PurgeDeletedCertificate(context.Background(), name, nil); err != nil && !is(err, 404) {
			v.t.Errorf("tidying up: %v", err)
		}
	})
	return name
}

// create makes a certificate by policy and waits for it.
func (v *vault) create(name string, parameters azcertificates.CreateCertificateParameters) azcertificates.Certificate {
	v.t.Helper()
	if parameters.CertificatePolicy == nil {
		parameters.CertificatePolicy = small("Self")
	}
	_, err := v.CreateCertificate(v.t.Context(), name, parameters, nil)
	check(v.t, err)
	if operation := v.wait(name); *operation.Status != "completed" {
		v.t.Fatalf("create ended as %s: %v", *operation.Status, operation.Error)
	}
	return v.get(name)
}

// begin starts a certificate of issuer Unknown, which waits for a merge.
func (v *vault) begin(name string, policy *azcertificates.CertificatePolicy) azcertificates.CertificateOperation {
	v.t.Helper()
	operation, err := v.CreateCertificate(v.t.Context(), name,
		azcertificates.CreateCertificateParameters{CertificatePolicy: policy}, nil)
	check(v.t, err)
	return operation.CertificateOperation
}

// wait polls the operation of name until it has ended.
func (v *vault) wait(name string) azcertificates.CertificateOperation {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), issueTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		operation, err := v.GetCertificateOperation(ctx, name, nil)
		check(v.t, err)
		switch *operation.Status {
		case "completed", "cancelled", "failed":
			return operation.CertificateOperation
		case "inProgress":
		default:
			v.t.Fatalf("status %q", *operation.Status)
		}
		<-tick.C
	}
}

func (v *vault) operation(name string) azcertificates.CertificateOperation {
	v.t.Helper()
	operation, err := v.GetCertificateOperation(v.t.Context(), name, nil)
	check(v.t, err)
	return operation.CertificateOperation
}

func (v *vault) get(name string) azcertificates.Certificate {
	v.t.Helper()
	got, err := v.GetCertificate(v.t.Context(), name, "", nil)
	check(v.t, err)
	return got.Certificate
}

// remove deletes and purges a certificate.
func (v *vault) remove(name string) {
	v.t.Helper()
	_, err := v.DeleteCertificate(v.t.Context(), name, nil)
	check(v.t, err)
	_, err = v.PurgeDeletedCertificate(v.t.Context(), name, nil)
	check(v.t, err)
}

// secret opens the value of the certificate's secret.
func (v *vault) secret(name, version string) opened {
	v.t.Helper()
	got, err := v.secrets.GetSecret(v.t.Context(), name, version, nil)
	check(v.t, err)
	return openValue(v.t, *got.ContentType, *got.Value)
}

// small is a policy with a key that is quick to make.
func small(issuer string) *azcertificates.CertificatePolicy {
	return &azcertificates.CertificatePolicy{
		IssuerParameters: &azcertificates.IssuerParameters{Name: &issuer},
		KeyProperties: &azcertificates.KeyProperties{
			KeyType: to.Ptr(azcertificates.KeyTypeEC),
			Curve:   to.Ptr(azcertificates.CurveNameP256),
		},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: to.Ptr("CN=small.example.net")},
	}
}

func enabled(yes bool) *azcertificates.CertificateAttributes {
	return &azcertificates.CertificateAttributes{Enabled: &yes}
}

func tags(pairs ...string) map[string]*string {
	m := map[string]*string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &pairs[i+1]
	}
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// equal compares what the clients return; in a message it shows them as JSON.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, err := json.Marshal(got)
	check(t, err)
	w, err := json.Marshal(want)
	check(t, err)
	t.Errorf("%s:\n got %s\nwant %s", what, g, w)
}

func is(err error, status int) bool {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && response.StatusCode == status
}

// refused checks that err is the vault's, with this status and code, and that the
// body has each of the texts.
func refused(t *testing.T, err error, status int, code string, texts ...string) {
	t.Helper()
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		t.Errorf("got %v, want %d %s", err, status, code)
		return
	}
	if response.StatusCode != status || response.ErrorCode != code {
		t.Errorf("got %d %s, want %d %s\n%v", response.StatusCode, response.ErrorCode, status, code, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("no %q in: %v", text, err)
		}
	}
}
