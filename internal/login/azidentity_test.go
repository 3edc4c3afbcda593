package login_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/coreos/go-oidc/v3/oidc"

	"coffer/internal/directory"
)

// options point Microsoft's client at the door, and keep it from retrying.
func (d *door) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: d.server.URL},
		Transport: d.server.Client(),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func (d *door) token(t *testing.T, c azcore.TokenCredential, err error) azcore.AccessToken {
	t.Helper()
	must(t, err)
	tok, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
	must(t, err)
	return tok
}

func lives(t *testing.T, tok azcore.AccessToken, want time.Duration) {
	t.Helper()
	if left := time.Until(tok.ExpiresOn); left > want || left < want-time.Minute {
		t.Errorf("the client reads a life of %v, want %v", left, want)
	}
}

func TestAzidentitySecret(t *testing.T) {
	d := newDoor(t)
	for _, tenantID := range []string{"adfs", tenant, "organizations"} {
		c, err := azidentity.NewClientSecretCredential(tenantID, d.app.AppID, d.secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: d.options(), DisableInstanceDiscovery: tenantID != "adfs",
		})
		tok := d.token(t, c, err)
		d.verify(t, tok.Token, d.app.ObjectID)
		lives(t, tok, time.Hour)
		if e := d.record.last(); !e.Issued || e.Credential != directory.Secret || e.ObjectID != d.app.ObjectID || e.Audience != resource || e.TokenID == "" || e.Source != "127.0.0.1" {
			t.Errorf("event %+v", e)
		}
	}
	c, err := azidentity.NewClientSecretCredential("adfs", d.app.AppID, "wrong", &azidentity.ClientSecretCredentialOptions{ClientOptions: d.options()})
	must(t, err)
	if _, err = c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}}); err == nil || !strings.Contains(err.Error(), "AADSTS7000215") {
		t.Errorf("a wrong secret: %v", err)
	}
}

func TestAzidentityCertificate(t *testing.T) {
	d := newDoor(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	_, err = d.dir.AddCertificate(t.Context(), d.app.ObjectID, der)
	must(t, err)
	for _, tenantID := range []string{"adfs", tenant} {
		for _, chain := range []bool{false, true} {
			c, err := azidentity.NewClientCertificateCredential(tenantID, d.app.AppID, []*x509.Certificate{cert}, key, &azidentity.ClientCertificateCredentialOptions{
				ClientOptions: d.options(), DisableInstanceDiscovery: tenantID != "adfs", SendCertificateChain: chain,
			})
			d.verify(t, d.token(t, c, err).Token, d.app.ObjectID)
			if e := d.record.last(); !e.Issued || e.Credential != directory.Certificate {
				t.Errorf("event %+v", e)
			}
		}
	}
}

func TestAzidentityManagedIdentity(t *testing.T) {
	d := newDoor(t)
	p, err := d.dir.CreateManagedIdentity(t.Context(), "web")
	must(t, err)
	_, header, err := d.dir.AddIdentityHeader(t.Context(), p.ObjectID, time.Time{})
	must(t, err)
	t.Setenv("IDENTITY_ENDPOINT", d.server.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", header)
	for _, id := range []azidentity.ManagedIDKind{nil, azidentity.ClientID(p.AppID), azidentity.ObjectID(p.ObjectID), azidentity.ResourceID(p.ResourceID())} {
		c, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: d.options(), ID: id})
		tok := d.token(t, c, err)
		d.verify(t, tok.Token, p.ObjectID)
		lives(t, tok, 24*time.Hour)
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
	c, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: d.options()})
	d.verify(t, d.token(t, c, err).Token, p.ObjectID)
}

func TestAzidentityWorkloadIdentity(t *testing.T) {
	d := newDoor(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	var cluster *httptest.Server
	cluster = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": cluster.URL, "jwks_uri": cluster.URL + "/keys",
			"keys": []any{map[string]string{"kty": "RSA", "kid": "k", "n": b64(key.N.Bytes()), "e": "AQAB"}},
		})
	}))
	t.Cleanup(cluster.Close)
	const subject = "system:serviceaccount:default:web"
	_, err = d.dir.AddFederated(t.Context(), d.app.ObjectID, cluster.URL, subject, nil)
	must(t, err)
	claims, err := json.Marshal(map[string]any{"iss": cluster.URL, "sub": subject, "aud": []string{"api://AzureADTokenExchange"}, "exp": time.Now().Unix() + 3600})
	must(t, err)
	input := b64([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + b64(claims)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	must(t, err)
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte(input+"."+b64(sig)), 0o600))
	for _, tenantID := range []string{"adfs", tenant} {
		c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: d.options(), TenantID: tenantID, ClientID: d.app.AppID, TokenFilePath: file, DisableInstanceDiscovery: tenantID != "adfs",
		})
		d.verify(t, d.token(t, c, err).Token, d.app.ObjectID)
	}
	if e := d.record.last(); e.Credential != directory.Federated {
		t.Errorf("event %+v", e)
	}
}

// go-oidc finds the issuer's document and keys by itself, and verifies a token.
func TestDiscoverySatisfiesGoOIDC(t *testing.T) {
	d := newDoor(t)
	ctx := oidc.ClientContext(context.WithoutCancel(t.Context()), d.server.Client())
	for _, issuer := range []string{d.server.URL + "/" + tenant + "/v2.0", d.server.URL + "/" + tenant + "/", d.server.URL + "/adfs"} {
		if _, err := oidc.NewProvider(ctx, issuer); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	provider, err := oidc.NewProvider(ctx, d.tokens.Issuer())
	must(t, err)
	token := d.post(t, "/"+tenant+"/oauth2/v2.0/token", d.form().Encode()).body["access_token"].(string)
	got, err := provider.Verifier(&oidc.Config{ClientID: resource}).Verify(ctx, token)
	must(t, err)
	if got.Subject != d.app.ObjectID {
		t.Errorf("subject %q", got.Subject)
	}
}
