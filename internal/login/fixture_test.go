package login_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/audience"
	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/directory/directorytest"
	"coffer/internal/login"
	"coffer/internal/token"
)

const (
	tenant   = "11111111-2222-4333-8444-555555555555"
	resource = "https://vault.test:8443"
)

// door is a running token service.
type door struct {
	server   *httptest.Server
	dir      *directorytest.Directory
	tokens   *token.Service
	verifier *authn.Verifier
	login    *login.Server
	record   *record
	app      *directory.Principal
	secret   string
	ahead    atomic.Int64 // nanoseconds by which the door's clock is ahead
}

// record keeps events in memory.
type record struct {
	mu     sync.Mutex
	events []login.Event // guarded by mu
	err    error         // guarded by mu
}

func (r *record) RecordToken(_ context.Context, e login.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return r.err
}

func (r *record) last() login.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 {
		return login.Event{}
	}
	return r.events[len(r.events)-1]
}

func newDoor(t testing.TB, change ...func(*login.Config)) *door {
	t.Helper()
	d := &door{record: &record{}}
	d.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.login.Serves(r.URL.Path) {
			http.Error(w, "another door", http.StatusTeapot)
			return
		}
		d.login.ServeHTTP(w, r)
	}))
	d.server.StartTLS()
	t.Cleanup(d.server.Close)
	now := func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }
	db := authntest.NewDB()
	dir, err := directory.New(directory.Config{DB: authntest.For[directory.Tx]{DB: db}, Now: now})
	must(t, err)
	d.dir = directorytest.New(t, dir)
	d.tokens, err = token.New(token.Config{
		DB: authntest.For[token.Tx]{DB: db}, Sealer: authntest.NewSealer(), Directory: dir, TenantID: tenant, BaseURL: d.server.URL, Now: now,
	})
	must(t, err)
	d.verifier, err = authn.New(authn.Config{Directory: dir, Tokens: d.tokens, DB: authntest.For[authn.Tx]{DB: db}, HTTP: d.server.Client(), Now: now})
	must(t, err)
	c := login.Config{
		Directory: dir, Tokens: d.tokens, Verifier: d.verifier, BaseURL: d.server.URL, Recorder: d.record,
		OwnHost:  func(name string) bool { return name == "login.test" },
		Audience: func(r string) bool { return slices.Contains(audience.Of("kv1.vault.test:8443", nil), r) },
	}
	for _, f := range change {
		f(&c)
	}
	d.login, err = login.New(c)
	must(t, err)
	d.app, err = d.dir.CreateApplication(t.Context(), "app")
	must(t, err)
	_, d.secret, err = d.dir.AddSecret(t.Context(), d.app.ObjectID, time.Time{})
	must(t, err)
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// verify is what a vault does with a token.
func (d *door) verify(t testing.TB, token, wantOID string) {
	t.Helper()
	caller, err := d.verifier.Verify(t.Context(), "Bearer "+token, audience.Of("kv1.vault.test:8443", nil), tenant)
	if err != nil || caller.ObjectID != wantOID {
		t.Errorf("the vault takes the caller for %q, %v; want %q", caller.ObjectID, err, wantOID)
	}
}

// answer is a response with its JSON body.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (d *door) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	resp, err := d.server.Client().Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(b)}
	if err := json.Unmarshal(b, &a.body); err != nil {
		t.Errorf("%s %s: the body is no JSON: %q", r.Method, r.URL, b)
	}
	return a
}

func (d *door) get(t testing.TB, path string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.server.URL+path, nil)
	must(t, err)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	return d.do(t, r)
}

// form is a token request that is good but for the changes; "" drops a field.
func (d *door) form(changes ...string) url.Values {
	f := url.Values{"grant_type": {"client_credentials"}, "client_id": {d.app.AppID}, "client_secret": {d.secret}, "scope": {resource + "/.default"}}
	for i := 0; i < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

func (d *door) post(t testing.TB, path, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return d.do(t, r)
}

var errStop = errors.New("stop")
