package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
)

const (
	tenant = authntest.Tenant
	base   = authntest.Base
)

type object = authntest.Object

var (
	code    = authntest.Code
	sign    = authntest.Sign
	b64     = authntest.B64
	rsaKeys = authntest.RSAKeys
)

func verifier(t testing.TB, w *authntest.Installation, r authntest.Replica, issuers ...*foreign) *authn.Verifier {
	t.Helper()
	c := w.Config(r)
	for _, f := range issuers {
		c.HTTP = f.server.Client()
		c.Issuers = append(c.Issuers, f.config)
	}
	v, err := authn.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ecKey() *ecdsa.PrivateKey {
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return k
}

// rsaJWK writes a public key by hand (RFC 7518, section 6.3.1).
func rsaJWK(kid string, k *rsa.PublicKey) object {
	return object{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

// foreign is an external issuer on a loopback socket.
type foreign struct {
	server *httptest.Server
	config authn.Issuer

	mu      sync.Mutex
	keys    []object // guarded by mu
	fail    bool     // guarded by mu: answer 500
	fetches int      // guarded by mu: of the key set
}

func newForeign(t *testing.T, keys ...object) *foreign {
	f := &foreign{keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(object{"issuer": f.server.URL, "jwks_uri": f.server.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.fetches++
		if f.fail {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(object{"keys": f.keys})
	})
	f.server = httptest.NewTLSServer(mux)
	t.Cleanup(f.server.Close)
	f.config = authn.Issuer{URL: f.server.URL, TenantID: tenant}
	return f
}

func (f *foreign) set(change func(*foreign)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *foreign) fetched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fetches
}

func writeJSON(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
