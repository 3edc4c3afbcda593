package keyvault_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"coffer/internal/keyvault"
)

// do sends one request as Ann to vault dev.
func (w *installation) do(verb, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(verb, "https://dev.vault.test"+target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer ann")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// errorOf reads the envelope, which every refusal has (contract errors.md, 1).
func errorOf(t testing.TB, rec *httptest.ResponseRecorder) (code, message string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || body.Error.Code == "" || body.Error.Message == "" {
		t.Fatalf("%d without an envelope: %s (%v)", rec.Code, rec.Body, err)
	}
	return body.Error.Code, body.Error.Message
}

// pathOf puts values where a pattern has parameters.
func pathOf(pattern, name, version string) string {
	return strings.NewReplacer("{name}", name, "{issuer}", name, "{version}", version).Replace(pattern)
}

const someVersion = "00000000000000000000000000000000"

func TestEveryRouteAtEveryVersion(t *testing.T) {
	w := newInstallation(t)
	routes := w.handler.Routes()
	if len(routes) < 27+30+12 {
		t.Fatalf("only %d routes", len(routes))
	}
	for _, route := range routes {
		for _, version := range keyvault.APIVersions {
			target := pathOf(route.Pattern, "nobody", someVersion) + "?api-version=" + version
			body := ""
			if route.Body {
				body = "{}"
			}
			rec := w.do(route.Verb, target, body)
			switch rec.Code {
			case http.StatusOK:
				if !json.Valid(rec.Body.Bytes()) {
					t.Errorf("%s %s: %s", route.Verb, target, rec.Body)
				}
			case http.StatusBadRequest, http.StatusNotFound:
				code, message := errorOf(t, rec)
				if strings.Contains(message, "specified version") || code == "NotFound" || code == "VaultNotFound" {
					t.Errorf("%s %s: %s %s", route.Verb, target, code, message)
				}
			default:
				t.Errorf("%s %s: %d %s", route.Verb, target, rec.Code, rec.Body)
			}
		}
		// Another version, or none, is refused before anything is done.
		for _, query := range []string{"", "?api-version=7.7", "?api-version=7.6-preview.3", "?api-version=2025-07-02", "?api-version=7"} {
			rec := w.do(route.Verb, pathOf(route.Pattern, "nobody", someVersion)+query, "{}")
			if code, _ := errorOf(t, rec); rec.Code != http.StatusBadRequest || code != "BadParameter" {
				t.Errorf("%s %s%s: %d %s", route.Verb, route.Pattern, query, rec.Code, rec.Body)
			}
		}
	}
}

// TestEveryRouteAsksTheGate visits all routes as somebody who may do nothing.
func TestEveryRouteAsksTheGate(t *testing.T) {
	w := newInstallation(t)
	for _, route := range w.handler.Routes() {
		for _, name := range []string{"nobody", "web"} {
			rec := w.do(route.Verb, pathOf(route.Pattern, name, someVersion)+"?api-version=7.6", "{}", "Authorization", "Bearer carl")
			if code, message := errorOf(t, rec); rec.Code != http.StatusForbidden || code != "Forbidden" ||
				!strings.Contains(message, "does not have "+familyOf(route.Pattern)+" ") {
				t.Errorf("%s %s: %d %s", route.Verb, route.Pattern, rec.Code, rec.Body)
			}
		}
	}
}

// TestWhatIsCostlyToReadTakesItsTurn: PFX, PEM, PKCS #7 and backups; and what makes
// keys takes its share.
func TestWhatIsCostlyToReadTakesItsTurn(t *testing.T) {
	w := newInstallation(t)
	var heavy, makers []string
	for _, route := range w.handler.Routes() {
		if route.Heavy {
			heavy = append(heavy, route.Pattern)
		}
		if route.MakesKey {
			makers = append(makers, route.Pattern)
		}
	}
	slices.Sort(makers)
	if want := []string{"/certificates/{name}/create", "/keys/{name}/create", "/keys/{name}/rotate"}; !slices.Equal(makers, want) {
		t.Errorf("keys are made by %v, want %v", makers, want)
	}
	slices.Sort(heavy)
	want := []string{"/certificates/restore", "/certificates/{name}/import", "/certificates/{name}/pending/merge", "/keys/restore", "/secrets/restore"}
	if !slices.Equal(heavy, want) {
		t.Errorf("they are %v, want %v", heavy, want)
	}
}

func familyOf(pattern string) string {
	for _, f := range []string{"certificates", "secrets"} {
		if strings.Contains(pattern, f) {
			return f
		}
	}
	return "keys"
}

// TestEveryRouteWantsATokenFirst visits all routes as an SDK does at first:
// without token and body.
func TestEveryRouteWantsATokenFirst(t *testing.T) {
	w := newInstallation(t)
	for _, route := range w.handler.Routes() {
		rec := w.do(route.Verb, pathOf(route.Pattern, "web", someVersion), "", "Authorization", "")
		if rec.Code != http.StatusUnauthorized || rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: %d %v", route.Verb, route.Pattern, rec.Code, rec.Header())
		}
		if got, want := rec.Body.String(), `{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestNewerVersionsAreASetting(t *testing.T) {
	w := newInstallation(t)
	for _, version := range []string{"2031-12-01", "2031-12-01-preview"} {
		target := "/certificates?api-version=" + version
		if rec := w.do("GET", target, ""); rec.Code != http.StatusBadRequest {
			t.Errorf("%s was accepted", version)
		}
		w.config.AllowNewerVersions = true
		w.serve(t)
		if rec := w.do("GET", target, ""); rec.Code != http.StatusOK {
			t.Errorf("%s: %d %s", version, rec.Code, rec.Body)
		}
		for _, bad := range []string{"2024-01-01", "2031-1-01", "2031-12-01-beta", "99999", "2031x12x01", "9.9"} {
			if rec := w.do("GET", "/certificates?api-version="+bad, ""); rec.Code != http.StatusBadRequest {
				t.Errorf("%s was accepted", bad)
			}
		}
		w.config.AllowNewerVersions = false
		w.serve(t)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	w := newInstallation(t)
	for name, spoil := range map[string]func(*keyvault.Config){
		"Certificates": func(c *keyvault.Config) { c.Certificates = nil }, "Gate": func(c *keyvault.Config) { c.Gate = nil },
		"Challenge": func(c *keyvault.Config) { c.Challenge = nil }, "ServiceVersion": func(c *keyvault.Config) { c.ServiceVersion = "" },
	} {
		cfg := w.config
		spoil(&cfg)
		if _, err := keyvault.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	cfg := w.config
	cfg.DefaultVault = "no_name"
	if _, err := keyvault.New(cfg); err == nil {
		t.Error("a default vault that cannot exist was accepted")
	}
}

// newRequest is a request of Ann to vault dev.
func newRequest(verb, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(verb, "https://dev.vault.test"+target, body)
	r.Header.Set("Authorization", "Bearer ann")
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (w *installation) serveHTTP(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// endless is a body of n bytes that begins an object and never ends it.
func endless(n int) io.Reader {
	return io.MultiReader(strings.NewReader(`{"a":"`), io.LimitReader(xs{}, int64(n-6)))
}

type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
