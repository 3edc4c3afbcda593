package authntest

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"

	"coffer/internal/authn"
	"coffer/internal/directory"
	"coffer/internal/directory/directorytest"
	"coffer/internal/fresh"
	"coffer/internal/seal"
	"coffer/internal/token"
)

// What the installations of tests are called.
const (
	Tenant = "11111111-2222-4333-8444-555555555555"
	Base   = "https://login.example.net"
)

// Clock is the time of a test; it moves only when told to.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add moves it on.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Set moves it to t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// Installation is a directory and its token service over a database in memory,
// which further replicas can share.
type Installation struct {
	DB     *DB
	Sealer token.Sealer
	Clock  *Clock
	Replica
}

// Replica is one process over the database.
type Replica struct {
	Dir    *directorytest.Directory
	Tokens *token.Service
}

// New makes an installation of one replica.
func New(t testing.TB) *Installation {
	w := &Installation{DB: NewDB(), Sealer: NewSealer(), Clock: &Clock{t: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}}
	w.Replica = w.Another(t)
	return w
}

// Another makes one more replica.
func (w *Installation) Another(t testing.TB) Replica {
	t.Helper()
	commits := fresh.NewCommits(false)
	d, err := directory.New(directory.Config{
		DB:    For[directory.Tx]{DB: w.DB, Commits: commits},
		Fresh: fresh.Source{Commits: commits, MaxAge: 5 * time.Second, Now: w.Clock.Now}, Now: w.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := token.New(token.Config{
		DB: For[token.Tx]{DB: w.DB, Commits: commits}, Sealer: w.Sealer, Directory: d,
		Fresh: fresh.Source{Commits: commits, MaxAge: 5 * time.Second, Now: w.Clock.Now}, TenantID: Tenant, BaseURL: Base, KeyPeriod: time.Hour, Now: w.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return Replica{directorytest.New(t, d), s}
}

// Config is that of a replica's Verifier.
func (w *Installation) Config(r Replica) authn.Config {
	return authn.Config{Directory: r.Dir.Directory, Tokens: r.Tokens, DB: For[authn.Tx]{DB: w.DB}, Now: w.Clock.Now}
}

// App adds an application.
func (w *Installation) App(t testing.TB, name string) *directory.Principal {
	t.Helper()
	p, err := w.Dir.CreateApplication(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Proof is a principal as it is now, with its newest secret, or header of a managed
// identity; it gets one if it has none.
func (w *Installation) Proof(t testing.TB, p *directory.Principal) directory.Proof {
	t.Helper()
	d, err := w.Dir.Detail(t.Context(), p.ObjectID)
	if err == nil && len(d.Credentials) == 0 {
		add := w.Dir.AddSecret
		if p.Kind == directory.ManagedIdentity {
			add = w.Dir.AddIdentityHeader
		}
		if _, _, err = add(t.Context(), p.ObjectID, time.Time{}); err == nil {
			d, err = w.Dir.Detail(t.Context(), p.ObjectID)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return directory.Proof{Principal: d.Principal, Credential: d.Credentials[len(d.Credentials)-1]}
}

// Mint mints a token for a client that has proved itself.
func (w *Installation) Mint(t testing.TB, r Replica, p *directory.Principal, audience string) string {
	t.Helper()
	tok, err := r.Tokens.Mint(t.Context(), w.Proof(t, p), audience)
	if err != nil {
		t.Fatal(err)
	}
	return string(tok.Text.Reveal())
}

// SigningKey opens the directory's newest key, as only a test may.
func (w *Installation) SigningKey(t testing.TB) (string, *rsa.PrivateKey) {
	t.Helper()
	var rows []*token.SigningKey
	if err := (For[token.Tx]{DB: w.DB}).View(t.Context(), func(tx token.Tx) (err error) {
		rows, err = tx.SigningKeys(t.Context())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	row := rows[len(rows)-1]
	der, err := w.Sealer.Open(t.Context(), seal.Place{Kind: "signing-key", Name: row.ID, Column: "private"}, row.Private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return row.ID, key.(*rsa.PrivateKey)
}

// Group adds a group, and gives its id.
func (w *Installation) Group(t testing.TB, name string) string {
	t.Helper()
	g, err := w.Dir.CreateGroup(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return g.ObjectID
}

// Verifier makes a Verifier of a replica that trusts no other issuer.
func (w *Installation) Verifier(t testing.TB, r Replica) *authn.Verifier {
	t.Helper()
	v, err := authn.New(w.Config(r))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Code is the prefix of a refusal; "" when err is nil, and the text of anything
// else.
func Code(err error) string {
	if err == nil {
		return ""
	}
	if r, ok := errors.AsType[*authn.Refusal](err); ok {
		return r.Code
	}
	return "not a refusal: " + err.Error()
}
