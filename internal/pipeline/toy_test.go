package pipeline_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/authn"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// The toy is one door more: it keeps toys in a vault, and has nothing of its own but
// its routes, its shape of failures and how it finds the vault.

// toys are its rules.
type toys struct {
	mu   sync.Mutex
	kept map[string]string
}

func (t *toys) get(_ context.Context, g access.Grant) (string, error) {
	g.Must(access.SecretGet)
	if g.Name().Key() == "bomb" {
		panic("it went off")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	color, ok := t.kept[g.Name().Key()]
	if !ok {
		return "", &fault.Error{Kind: fault.NotFound, Msg: "There is no such toy."}
	}
	return color, nil
}

func (t *toys) set(_ context.Context, g access.Grant, color string) (string, error) {
	g.Must(access.SecretSet)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept[g.Name().Key()] = color
	return color, nil
}

func (t *toys) routes() []pipeline.Route {
	return []pipeline.Route{
		pipeline.NewRoute("/toy/{name}",
			pipeline.Method{Verb: "GET", Do: pipeline.Bare(access.SecretGet, t.get, show)},
			pipeline.Method{Verb: "POST", Do: pipeline.WithBody(access.SecretSet, parseToy, t.set, show)}),
		pipeline.NewRoute("/toy/{name}/repair",
			pipeline.Method{Verb: "POST", Do: pipeline.WithBody(access.SecretSet, parseToy, t.set, show).Heavy()}),
	}
}

func parseToy(_ pipeline.Request, in *rest.Input) string { return in.NeedText("color") }

func show(r pipeline.Request, color string) rest.Reply {
	return rest.OK(map[string]string{"toy": r.Name().String(), "color": color})
}

// failureBody is a shape that no other door has.
func failureBody(f *rest.Failure) any { return map[string]string{"broken": f.Code, "why": f.Message} }

// asToy makes a configuration that of the toy.
func asToy(s *pipeline.Config) {
	t := &toys{kept: map[string]string{"robot": "brown"}}
	s.Routes = t.routes()
	s.Locate = func(host string, _ *rest.Path) (pipeline.Place, error) {
		a, ok := rest.ParseHost(host)
		if !ok || a.Name() != "toys.test" {
			return pipeline.Place{}, pipeline.NoVault()
		}
		return pipeline.Place{Address: a, Vault: "nursery", Audiences: []string{"https://toys.test"}}, nil
	}
	s.Target = func(r pipeline.Request) (t access.Target, err error) {
		if t.Name, err = object.ParseName(r.Param("{name}")); err != nil {
			return t, rest.BadName(r.Param("{name}"))
		}
		return t, nil
	}
	s.Codes = func(*fault.Error) (code, inner string) { return "Toy", "" }
	s.ErrorBody = failureBody
	s.Challenge = func(r pipeline.Request) string { return `Bearer resource="https://` + r.Address().Host + `"` }
}

// settings are what a door is given beside its own: everything as in production, but
// for tokens.
type settings struct {
	pipeline.Config
	auditPath string
	log       *strings.Builder
	now       time.Time
}

const tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"

type verifier struct{}

func (verifier) Verify(_ context.Context, authorization string, audiences []string, tenantID string) (access.Caller, error) {
	name, ok := strings.CutPrefix(authorization, "Bearer ")
	switch {
	case !ok:
		return access.Caller{}, &authn.Refusal{Code: authn.NoToken, Msg: "There is none."}
	case name == "bad" || tenantID != tenant || len(audiences) != 1:
		return access.Caller{}, &authn.Refusal{Code: authn.WrongSigner, Msg: "The signature does not verify."}
	}
	return access.Caller{TenantID: tenant, ObjectID: name}, nil
}

// nursery is a vault in which Ann and Ben may everything, unless the firewall shuts it.
type nursery struct{ shut bool }

func (n nursery) ByName(_ context.Context, key string) (*vault.Vault, error) {
	if key != "nursery" {
		return nil, object.ErrNotFound
	}
	v := &vault.Vault{ID: "11111111111111111111111111111111", Name: "nursery", TenantID: tenant, Location: "local"}
	v.Network.DefaultDeny = n.shut
	for _, who := range []string{"ann", "ben"} {
		v.AccessPolicies = append(v.AccessPolicies, vault.AccessPolicy{TenantID: tenant, ObjectID: who, Secrets: []string{"all"}})
	}
	return v, nil
}

func (nursery) Rules(_ context.Context, v *vault.Vault, _ bool) (access.Rules, error) {
	const reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	return access.Rules{Vault: v, Assignments: []access.Assignment{{ID: "1", Scope: "/", RoleID: reader, PrincipalID: "ann"}}}, nil
}

func newSettings(t *testing.T) *settings {
	t.Helper()
	s := &settings{auditPath: filepath.Join(t.TempDir(), "audit.jsonl"), log: &strings.Builder{}, now: time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)}
	log, err := audit.Open(audit.Config{Path: s.auditPath})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Config = pipeline.Config{
		Vaults: nursery{}, Verifier: verifier{}, Gate: access.NewGate(access.GateConfig{Rules: nursery{}}), Recorder: access.NewRecorder(log),
		Logger: slog.New(slog.NewTextHandler(s.log, nil)), Now: func() time.Time { return s.now }, MaxBody: 1000,
	}
	return s
}

// door is a mounted toy.
type door struct {
	*settings
	http.Handler
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{settings: newSettings(t)}
	asToy(&d.Config)
	d.mount(t)
	return d
}

// mount makes the handler anew, after a change of the settings.
func (d *door) mount(t *testing.T) {
	t.Helper()
	var err error
	if d.Handler, err = pipeline.New(d.Config); err != nil {
		t.Fatal(err)
	}
}

func (d *door) do(method, target, body, caller string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://toys.test"+target, strings.NewReader(body))
	if caller != "" {
		r.Header.Set("Authorization", "Bearer "+caller)
	}
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, r)
	return rec
}

type record struct {
	OperationName string
	ResultType    string
	Properties    struct {
		ID             string
		RequestID      string `json:"requestId"`
		HTTPStatusCode int
	}
}

// records are what the audit log has so far.
func (d *door) records(t *testing.T) (all []record) {
	t.Helper()
	f, err := os.Open(d.auditPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestADoorIsItsRoutes(t *testing.T) {
	const red = `{"color":"red"}`
	for name, tc := range map[string]struct {
		method, target, body, caller string
		status                       int
		answer                       string // part of it
		operation, id                string // of the record; "": none
		log                          string
	}{
		"read":             {"GET", "/toy/Robot", "", "ann", 200, `{"color":"brown","toy":"Robot"}`, "SecretGet", "https://toys.test/secrets/Robot", "route=/toy/{name}"},
		"write":            {"POST", "/toy/ball", red, "ann", 200, `{"color":"red","toy":"ball"}`, "SecretSet", "https://toys.test/secrets/ball", "caller=ann"},
		"not there":        {"GET", "/toy/ball", "", "ann", 404, `{"broken":"Toy","why":"There is no such toy."}`, "SecretGet", "https://toys.test/secrets/ball", "code=Toy"},
		"no token":         {"GET", "/toy/robot", "", "", 401, `{"broken":"Unauthorized","why":"AKV10000: There is none."}`, "", "", "status=401"},
		"bad token":        {"GET", "/nowhere", "", "bad", 401, "AKV10021", "Authentication", "https://toys.test", "status=401"},
		"no permission":    {"POST", "/toy/ball", "no JSON", "carl", 403, `"broken":"Toy"`, "SecretSet", "https://toys.test/secrets/ball", "status=403"},
		"no vault":         {"GET", "", "", "ann", 404, "VaultNotFound", "", "", "status=404"},
		"no route":         {"GET", "/ball", "", "ann", 404, "NotFound", "Unknown", "https://toys.test", "status=404"},
		"no method":        {"DELETE", "/toy/ball", "", "ann", 405, "MethodNotAllowed", "Unknown", "https://toys.test", "method=DELETE"},
		"no name":          {"GET", "/toy/a_b", "", "ann", 400, "invalid name: a_b", "SecretGet", "https://toys.test", "status=400"},
		"a large body":     {"POST", "/toy/ball", `{"color":"` + strings.Repeat("x", 1000) + `"}`, "ann", 413, "too large", "SecretSet", "https://toys.test/secrets/ball", "status=413"},
		"a body left":      {"GET", "/toy/robot", strings.Repeat("x", 1001), "ann", 413, "too large", "SecretGet", "https://toys.test/secrets/robot", "status=413"},
		"a bad body":       {"POST", "/toy/ball", `{"color":1}`, "ann", 400, "Property color has invalid value", "SecretSet", "https://toys.test/secrets/ball", "status=400"},
		"a body without":   {"POST", "/toy/ball", `{}`, "ann", 400, "Property 'color' is required.", "SecretSet", "https://toys.test/secrets/ball", "status=400"},
		"what is set off":  {"GET", "/toy/bomb", "", "ann", 500, "An internal error occurred. Request id: ", "SecretGet", "https://toys.test/secrets/bomb", "it went off"},
		"a path of escape": {"GET", "/toy/a%2Fb", "", "ann", 400, "invalid name: a/b", "SecretGet", "https://toys.test", "status=400"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			r := httptest.NewRequest(tc.method, "https://toys.test"+tc.target, strings.NewReader(tc.body))
			if tc.caller != "" {
				r.Header.Set("Authorization", "Bearer "+tc.caller)
			}
			if name == "no vault" {
				r.Host = "other.test"
			}
			rec := httptest.NewRecorder()
			d.ServeHTTP(rec, r)
			if rec.Code != tc.status || !strings.Contains(rec.Body.String(), tc.answer) {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if got := rec.Header().Get("WWW-Authenticate"); got != "" != (tc.status == 401) || got != "" && got != `Bearer resource="https://toys.test"` {
				t.Errorf("challenge %q", got)
			}
			if rec.Header().Get("Cache-Control") != "no-cache" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error(rec.Header())
			}
			if got := d.log.String(); strings.Count(got, "msg=request") != 1 || !strings.Contains(got, tc.log) {
				t.Errorf("the log is %s", got)
			}
			all := d.records(t)
			if tc.operation == "" {
				if len(all) != 0 {
					t.Errorf("on record: %+v", all)
				}
				return
			}
			if len(all) != 1 || all[0].OperationName != tc.operation || !strings.HasPrefix(all[0].Properties.ID, tc.id) ||
				all[0].Properties.HTTPStatusCode != tc.status || (all[0].ResultType == "Success") != (tc.status < 400) {
				t.Errorf("on record: %+v", all)
			}
			if !strings.Contains(d.log.String(), all[0].Properties.RequestID) {
				t.Error("log and record tell different ids")
			}
		})
	}
}

func TestRefusedTokensAreThrottled(t *testing.T) {
	d := newDoor(t)
	codes := map[int]int{}
	for range 250 {
		codes[d.do("GET", "/toy/robot", "", "bad").Code]++
	}
	if codes[401] != 200 || codes[429] != 50 {
		t.Errorf("got %v", codes)
	}
	if n := len(d.records(t)); n < 50 || n > 200 { // the others are counted: audit's TestRefusalsHaveABudget
		t.Errorf("%d are on record", n)
	}
	if n := strings.Count(d.log.String(), "code=Unauthorized") + strings.Count(d.log.String(), `"code":"Unauthorized"`); n == 0 || n > 150 {
		t.Errorf("%d are in the log", n)
	}
	if got := d.do("GET", "/toy/robot", "", "ann").Code; got != 200 {
		t.Errorf("a good token from there: %d", got)
	}
	d.now = d.now.Add(time.Second)
	if got := d.do("GET", "/toy/robot", "", "bad").Code; got != 401 {
		t.Errorf("a second later: %d", got)
	}
}

func TestAnEndpointCannotAnswerBeforeItIsOnRecord(t *testing.T) {
	d := newDoor(t)
	routes := pipeline.NewRoute("/toy/{name}", pipeline.Method{Verb: "GET", Do: pipeline.Bare(access.SecretList,
		func(context.Context, access.Grant) (string, error) {
			if n := len(d.records(t)); n != 0 {
				t.Errorf("%d records before the rule", n)
			}
			return "", nil
		}, show)})
	d.Routes = []pipeline.Route{routes}
	d.mount(t)
	r := httptest.NewRequest("GET", "https://toys.test/toy/robot", nil)
	r.Header.Set("Authorization", "Bearer ann")
	d.ServeHTTP(watched{httptest.NewRecorder(), func() {
		if n := len(d.records(t)); n != 1 {
			t.Errorf("%d records before the answer", n)
		}
	}}, r)
}

// What was done must not be on record as a failure: neither when the answer of its
// commit is lost, nor when the record cannot be written at first.
func TestWhatNobodyKnowsIsOnRecordAsUnknown(t *testing.T) {
	for name, lost := range map[string]error{"commit": fmt.Errorf("committing: %w", object.ErrOutcomeUnknown), "record": nil} {
		d := newDoor(t)
		broken := false
		log, err := audit.Open(audit.Config{Path: d.auditPath + name, OpenFile: func(path string) (audit.File, error) {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
			return fragile{f, &broken}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		d.auditPath += name
		d.Recorder = access.NewRecorder(log)
		d.Routes = []pipeline.Route{pipeline.NewRoute("/toy/{name}", pipeline.Method{Verb: "DELETE", Do: pipeline.Bare(access.SecretDelete,
			func(context.Context, access.Grant) (string, error) { broken = lost == nil; return "", lost }, show)})}
		d.mount(t)
		got := d.do("DELETE", "/toy/robot", "", "ann")
		if want := map[string]int{"commit": 504, "record": 503}[name]; got.Code != want || lost != nil && !strings.Contains(got.Body.String(), "may have taken effect") {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
		if all := d.records(t); len(all) != 1 || all[0].ResultType != "Unknown" {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

// fragile is a file of which one write fails.
type fragile struct {
	*os.File
	broken *bool
}

func (f fragile) Write(b []byte) (int, error) {
	if *f.broken {
		*f.broken = false
		return 0, errors.New("no space left on device")
	}
	return f.File.Write(b)
}

// watched looks when the answer begins.
type watched struct {
	http.ResponseWriter
	look func()
}

func (w watched) WriteHeader(status int) {
	w.look()
	w.ResponseWriter.WriteHeader(status)
}

func TestConfigurationIsChecked(t *testing.T) {
	d := newDoor(t)
	for name, spoil := range map[string]func(*pipeline.Config){
		"Routes": func(c *pipeline.Config) { c.Routes = nil }, "Locate": func(c *pipeline.Config) { c.Locate = nil },
		"Gate": func(c *pipeline.Config) { c.Gate = nil }, "Recorder": func(c *pipeline.Config) { c.Recorder = nil },
		"GET /toy": func(c *pipeline.Config) {
			c.Routes = []pipeline.Route{pipeline.NewRoute("/toy", pipeline.Method{Verb: "GET"})}
		},
		"Verifier": func(c *pipeline.Config) { c.Verifier = nil }, "Challenge": func(c *pipeline.Config) { c.Challenge = nil },
	} {
		c := d.Config
		spoil(&c)
		if _, err := pipeline.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// The firewall is asked before anything tells which paths there are.
func TestTheFirewallComesBeforeTheRoute(t *testing.T) {
	d := newDoor(t)
	d.Vaults = nursery{shut: true}
	d.mount(t)
	for _, path := range []string{"/nowhere", "/toy/%zz", "/toy/robot"} {
		r := httptest.NewRequest("GET", "https://toys.test/", nil)
		r.URL.Path, r.URL.RawPath = path, path
		r.Header.Set("Authorization", "Bearer ann")
		rec := httptest.NewRecorder()
		d.ServeHTTP(rec, r)
		if rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

// A door of the management plane names no vault.
func TestAManagementDoorNamesNoVault(t *testing.T) {
	d := newDoor(t)
	list := pipeline.Bare(access.VaultList, func(_ context.Context, g access.Grant) (string, error) { return g.Resource(), nil }, show)
	d.Routes = []pipeline.Route{pipeline.NewRoute("/vaults", pipeline.Method{Verb: "GET", Do: list})}
	d.Target = func(pipeline.Request) (access.Target, error) { return access.Target{Resource: "/"}, nil }
	d.Locate = func(host string, _ *rest.Path) (pipeline.Place, error) {
		a, _ := rest.ParseHost(host)
		return pipeline.Place{Address: a, Audiences: []string{"https://management.test"}}, nil
	}
	d.mount(t)
	if rec := d.do("GET", "/vaults", "", "ann"); rec.Code != http.StatusNotFound {
		t.Errorf("a door that must name a vault: %d %s", rec.Code, rec.Body)
	}
	d.TenantID = tenant
	d.Gate = access.NewGate(access.GateConfig{Rules: nursery{}, TenantID: tenant})
	d.mount(t)
	for caller, want := range map[string]int{"ann": 200, "ben": 403, "bad": 401} {
		if rec := d.do("GET", "/vaults", "", caller); rec.Code != want {
			t.Errorf("%s: %d %s", caller, rec.Code, rec.Body)
		}
	}
}

var errBroken = errors.New("the directory of 10.0.0.7 is down")

type brokenVerifier struct{}

func (brokenVerifier) Verify(context.Context, string, []string, string) (access.Caller, error) {
	return access.Caller{}, errBroken
}

func TestInsideStaysInside(t *testing.T) {
	d := newDoor(t)
	d.Verifier = brokenVerifier{}
	d.mount(t)
	rec := d.do("GET", "/toy/robot", "", "ann")
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "10.0.0.7") || !strings.Contains(d.log.String(), "10.0.0.7") {
		t.Errorf("%d %s; log %s", rec.Code, rec.Body, d.log)
	}
}

// At debug the log has what the caller was told, beside the cause and the request id.
func TestMessagesAreLoggedAtDebug(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		d := newDoor(t)
		d.Logger = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: level}))
		d.mount(t)
		if rec := d.do("GET", "/toy/nothing", "", "ann"); rec.Code != 404 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if strings.Contains(d.log.String(), `message="There is no such toy."`) != want {
			t.Errorf("at %v: %s", level, d.log)
		}
	}
}
