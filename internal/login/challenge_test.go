package login_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"

	"coffer/internal/audience"
)

// vault answers as a vault does before it looks at anything else, on the door's
// own listener.
type vault struct {
	door     *door
	tenant   string
	requests []string
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	auth := r.Header.Get("Authorization")
	_, err := v.door.verifier.Verify(r.Context(), auth, audience.Of(r.Host, nil), tenant)
	v.requests = append(v.requests, r.Method+" "+strings.SplitN(auth, " ", 2)[0])
	if err != nil {
		w.Header().Set("WWW-Authenticate", audience.Challenge(v.door.server.URL, v.tenant, audience.Resource(r.Host, nil)))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = w.Write([]byte(`{"id":"https://kv1.vault.test:8443/certificates/web/1"}`))
}

// Microsoft's certificate client, with no switch set, asks for a token as the
// challenge says and gets in.
func TestCertificateClientFollowsTheChallenge(t *testing.T) {
	for _, tenantID := range []string{"adfs", tenant} {
		t.Run(tenantID, func(t *testing.T) {
			d := newDoor(t)
			v := &vault{door: d, tenant: tenantID}
			mux := http.NewServeMux()
			mux.Handle("kv1.vault.test/", v)
			mux.Handle("/", d.server.Config.Handler)
			d.server.Config.Handler = mux

			transport := d.server.Client().Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.ServerName = "example.com" // what httptest's certificate is for
			transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, d.server.Listener.Addr().String())
			}
			options := d.options()
			options.Transport = &http.Client{Transport: transport}
			cred, err := azidentity.NewClientSecretCredential(tenantID, d.app.AppID, d.secret, &azidentity.ClientSecretCredentialOptions{
				ClientOptions: options, DisableInstanceDiscovery: tenantID != "adfs",
			})
			must(t, err)
			client, err := azcertificates.NewClient("https://kv1.vault.test:8443", cred, &azcertificates.ClientOptions{
				ClientOptions: azcore.ClientOptions{Transport: options.Transport, Retry: options.Retry},
			})
			must(t, err)
			got, err := client.GetCertificate(t.Context(), "web", "", nil)
			must(t, err)
			if got.ID.Name() != "web" {
				t.Errorf("got %v", got.ID)
			}
			if want := "GET |GET Bearer"; strings.Join(v.requests, "|") != want {
				t.Errorf("the vault saw %q, want %q", v.requests, want)
			}
		})
	}
}
