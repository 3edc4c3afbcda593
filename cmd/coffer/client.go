package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"

	"coffer/internal/tlsprofile"
)

// vaultFlags say which vault the client commands speak to. They use Microsoft's
// SDK, so that they work with the cloud service too.
type vaultFlags struct {
	VaultURL string `help:"Address of the vault (default: the running development vault in coffer-data)." env:"VAULT_URL" placeholder:"URL"`
	CAFile   string `help:"PEM file of the CA to trust beside the system's." env:"CA_FILE" type:"path" placeholder:"FILE"`
	JSON     bool   `help:"Print JSON."`

	direct string            // dial this address whatever the name resolves to: the vault is ours
	env    map[string]string // credentials; nil: the process environment
}

// find takes the running development vault of this folder where none is named, and
// says so.
func (f vaultFlags) find(s streams) (vaultFlags, error) {
	if f.VaultURL != "" {
		return f, nil
	}
	path := filepath.Join(defaultData, devEnvironment)
	env, err := readEnvironment(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, errors.New("no vault is named: give --vault-url, set $VAULT_URL, or start one here with 'coffer dev'")
	}
	if err != nil {
		return f, err
	}
	f.env = map[string]string{}
	for _, v := range env {
		f.env[v.name] = v.value
	}
	f.VaultURL = f.env["VAULT_URL"]
	if f.CAFile == "" {
		f.CAFile = f.env["CA_FILE"]
	}
	fmt.Fprintf(s.err, "coffer: using the development vault %s of %s\n", f.VaultURL, path)
	return f, nil
}

// open is client, of the vault that find finds.
func (f vaultFlags) open(s streams) (*azcertificates.Client, error) {
	f, err := f.find(s)
	if err != nil {
		return nil, err
	}
	return f.client()
}

// client makes an SDK client with the credentials of the environment.
func (f vaultFlags) client() (*azcertificates.Client, error) {
	hc, err := httpClient(f.CAFile, f.direct)
	if err != nil {
		return nil, err
	}
	opts := azcore.ClientOptions{Transport: hc}
	var cred azcore.TokenCredential
	if f.env != nil {
		opts.Cloud.ActiveDirectoryAuthorityHost = f.env["AZURE_AUTHORITY_HOST"]
		cred, err = azidentity.NewClientSecretCredential(f.env["AZURE_TENANT_ID"], f.env["AZURE_CLIENT_ID"], f.env["AZURE_CLIENT_SECRET"],
			&azidentity.ClientSecretCredentialOptions{ClientOptions: opts})
	} else {
		cred, err = azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: opts})
	}
	if err != nil {
		return nil, err
	}
	opts.Retry = policy.RetryOptions{MaxRetries: 3}
	return azcertificates.NewClient(f.VaultURL, cred, &azcertificates.ClientOptions{ClientOptions: opts})
}

func httpClient(caFile, direct string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = tlsprofile.Apply(&tls.Config{})
	if caFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if direct != "" || loopback(r.URL.Host) != r.URL.Host {
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, cmp.Or(direct, loopback(address)))
	}
	return &http.Client{Transport: t}, nil
}

// loopback is the address to dial: names below localhost mean this machine (RFC 6761,
// section 6.3), and not every resolver knows it.
func loopback(address string) string {
	host, port, _ := strings.Cut(address, ":")
	if !strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return address
	}
	return "localhost:" + cmp.Or(port, "443")
}

// sentence is what an error says to a person. The SDK's own text is the whole
// answer.
func sentence(err error) string {
	refused, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || refused.RawResponse == nil {
		return err.Error()
	}
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	raw, readErr := runtime.Payload(refused.RawResponse)
	if readErr != nil || json.Unmarshal(raw, &body) != nil || body.Error.Message == "" {
		return err.Error()
	}
	return fmt.Sprintf("the vault answers %d %s: %s", refused.StatusCode, refused.ErrorCode, body.Error.Message)
}

// waitUntilReady returns when the server at the address answers.
func waitUntilReady(ctx context.Context, base, caFile, address string) error {
	hc, err := httpClient(caFile, address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthstatus", nil)
		if err != nil {
			return err
		}
		resp, err := hc.Do(req)
		if err == nil {
			if err := resp.Body.Close(); err != nil || resp.StatusCode == http.StatusOK {
				return err
			}
			err = errors.New(resp.Status)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the vault does not answer: %w", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
