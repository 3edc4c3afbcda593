package authn_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/directory/directorytest"
	"coffer/internal/fresh"
	"coffer/internal/seal"
	"coffer/internal/token"
)

const (
	tenant = "11111111-2222-4333-8444-555555555555"
	base   = "https://login.example.net"
)

// clock is the time of a test; it moves only when told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a directory with its database, which further replicas can share.
type world struct {
	db     *authntest.DB
	sealer token.Sealer
	clock  *clock
	replica
}

// replica is one process over the database.
type replica struct {
	dir    *directorytest.Directory
	tokens *token.Service
}

func newWorld(t testing.TB) *world {
	w := &world{db: authntest.NewDB(), sealer: authntest.NewSealer(), clock: newClock()}
	w.replica = w.another(t)
	return w
}

func (w *world) another(t testing.TB) replica {
	t.Helper()
	commits := fresh.NewCommits(false)
	d, err := directory.New(directory.Config{
		DB:    authntest.For[directory.Tx]{DB: w.db, Commits: commits},
		Fresh: fresh.Source{Commits: commits, MaxAge: 5 * time.Second, Now: w.clock.now}, Now: w.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := token.New(token.Config{
		DB: authntest.For[token.Tx]{DB: w.db}, Sealer: w.sealer, Directory: d, TenantID: tenant, BaseURL: base, KeyPeriod: time.Hour, Now: w.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return replica{directorytest.New(t, d), s}
}

// config is a Verifier's of a replica.
func (w *world) config(r replica) authn.Config {
	return authn.Config{Directory: r.dir.Directory, Tokens: r.tokens, DB: authntest.For[authn.Tx]{DB: w.db}, Now: w.clock.now}
}

func (w *world) verifier(t testing.TB, r replica, issuers ...*foreign) *authn.Verifier {
	t.Helper()
	c := w.config(r)
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

func (w *world) app(t testing.TB, name string) *directory.Principal {
	t.Helper()
	p, err := w.dir.CreateApplication(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) mint(t testing.TB, r replica, p *directory.Principal, audience string) string {
	t.Helper()
	tok, err := r.tokens.Mint(t.Context(), p, directory.Secret, audience)
	if err != nil {
		t.Fatal(err)
	}
	return string(tok.Text.Reveal())
}

// signingKey opens the directory's newest key, as only a test may.
func (w *world) signingKey(t testing.TB) (string, *rsa.PrivateKey) {
	t.Helper()
	var rows []*token.SigningKey
	if err := (authntest.For[token.Tx]{DB: w.db}).View(t.Context(), func(tx token.Tx) (err error) {
		rows, err = tx.SigningKeys(t.Context())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	row := rows[len(rows)-1]
	der, err := w.sealer.Open(t.Context(), seal.Place{Kind: "signing-key", Name: row.ID, Column: "private"}, row.Private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return row.ID, key.(*rsa.PrivateKey)
}

type object map[string]any

// with gives a copy with some members set, or dropped where the value is nil.
func (o object) with(changes object) object {
	c := maps.Clone(o)
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a compact JWS with nothing but the standard library.
func sign(header, payload any, key any) string {
	h, _ := json.Marshal(header)
	p, ok := payload.([]byte)
	if !ok {
		p, _ = json.Marshal(payload)
	}
	input := b64(h) + "." + b64(p)
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if o, ok := header.(object); ok && o["alg"] == "PS256" {
			sig, _ = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, _ = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case []byte: // HMAC
		m := hmac.New(sha256.New, k)
		m.Write([]byte(input))
		sig = m.Sum(nil)
	case nil:
	}
	return input + "." + b64(sig)
}

var rsaKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

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

// code is the prefix of a refusal; "" when err is nil, and the text of anything
// else.
func code(err error) string {
	if err == nil {
		return ""
	}
	if r, ok := errors.AsType[*authn.Refusal](err); ok {
		return r.Code
	}
	return "not a refusal: " + err.Error()
}

func writeJSON(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// split decodes a token's payload and header.
func split(t testing.TB, token string) (payload, header object) {
	t.Helper()
	parts := strings.Split(token, ".")
	if err := errors.Join(json.Unmarshal(unb64(t, parts[0]), &header), json.Unmarshal(unb64(t, parts[1]), &payload)); err != nil {
		t.Fatal(err)
	}
	return payload, header
}
