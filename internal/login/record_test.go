package login_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/login"
	"coffer/internal/token"
)

// A refusal is on record without what was tried; a token that was issued, with what
// obtained it, without the token; and none is issued while nothing can be recorded.
func TestTokensAreOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var full atomic.Bool
	log, err := audit.Open(audit.Config{Path: path, OpenFile: func(path string) (audit.File, error) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		return disk{f, &full}, err
	}})
	must(t, err)
	d := newDoor(t, func(c *login.Config) { c.Recorder = login.Attempts{Recorder: access.NewRecorder(log)} })
	good := d.post(t, "/adfs/oauth2/token", d.form().Encode())
	if good.status != 200 {
		t.Fatalf("a good request: %s", good.text)
	}
	issued, err := os.ReadFile(path) // before the answer, not some time later
	must(t, err)
	intents, err := os.ReadFile(path + ".intent") // these are durable
	if must(t, err); !strings.Contains(string(intents), "IdentityTokenIssued") {
		t.Errorf("the token was given before its record was durable: %s", intents)
	}
	text, _ := good.body["access_token"].(string)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	must(t, err)
	var claims struct {
		ID         string `json:"uti"`
		Credential string `json:"coffer_credential"`
		Expires    int64  `json:"exp"`
	}
	must(t, json.Unmarshal(payload, &claims))
	for want, times := range map[string]int{
		`"operationName":"IdentityTokenIssued"`: 1, `"uti":"` + claims.ID + `"`: 1, `"credentialId":"` + claims.Credential + `"`: 1, `"kid":"`: 1,
		d.app.AppID: 1, d.app.ObjectID: 1, `"credentialKind":"secret"`: 1, fmt.Sprintf(`"exp":%d`, claims.Expires): 1, `"127.0.0.1"`: 1, d.secret: 0, text: 0,
	} {
		if got := strings.Count(string(issued), want); got != times {
			t.Errorf("%s occurs %d times, want %d, in %s", want, got, times, issued)
		}
	}
	if a := d.post(t, "/adfs/oauth2/token", d.form("client_secret", "not-the-secret").Encode()); a.status != 401 {
		t.Fatalf("a wrong secret: %s", a.text)
	}
	lines, err := os.ReadFile(path)
	must(t, err)
	for want, times := range map[string]int{
		"IdentityTokenRefused": 1, "AADSTS7000215": 1, `"invalid_client"`: 1, d.app.AppID: 1, `"127.0.0.1"`: 1, "not-the-secret": 0, d.secret: 0,
	} {
		if got := strings.Count(string(lines), want); min(got, 1) != times {
			t.Errorf("%s occurs %d times, want %d, in %s", want, got, times, lines)
		}
	}
	if n := strings.Count(string(lines), "\n"); n != 2 {
		t.Errorf("%d lines, want the token and the refusal: %s", n, lines)
	}
	full.Store(true)
	for _, secret := range []string{"not-the-secret", d.secret} { // the first finds that nothing can be recorded
		a := d.post(t, "/adfs/oauth2/token", d.form("client_secret", secret).Encode())
		if secret == d.secret && a.status != 500 {
			t.Errorf("without a record: %d %s", a.status, a.text)
		}
	}
	full.Store(false)
	must(t, log.Close())
}

// disk is a file on a disk that may be full.
type disk struct {
	*os.File
	full *atomic.Bool
}

func (d disk) Write(p []byte) (int, error) {
	if d.full.Load() {
		return 0, errors.New("no space left on device")
	}
	return d.File.Write(p)
}

// A database that is away is no failure of ours and passes: 503, and when to try again.
func TestADatabaseThatIsAwayIsSaidToPass(t *testing.T) {
	dir, err := directory.New(directory.Config{DB: away[directory.Tx]{}})
	must(t, err)
	d := newDoor(t, func(c *login.Config) {
		c.Directory = dir
		c.Tokens, err = token.New(token.Config{DB: away[token.Tx]{}, Sealer: authntest.NewSealer(), Directory: dir, TenantID: tenant, BaseURL: "https://login.test"})
		must(t, err)
	})
	posted := d.post(t, "/adfs/oauth2/token", d.form().Encode())
	r, err := http.NewRequest(http.MethodGet, d.server.URL+"/msi/token?resource=https://vault.azure.net", nil)
	must(t, err)
	r.Header.Set("X-IDENTITY-HEADER", "any")
	keys, err := http.NewRequest(http.MethodGet, d.server.URL+"/adfs/discovery/keys", nil)
	must(t, err)
	for _, a := range []answer{posted, d.do(t, r), d.do(t, keys)} {
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.text)
		}
	}
}

type away[T any] struct{}

func (away[T]) View(context.Context, func(T) error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "The database does not answer."}
}

func (a away[T]) Update(ctx context.Context, fn func(T) error) error { return a.View(ctx, fn) }
