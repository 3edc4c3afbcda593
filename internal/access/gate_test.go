package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// source is a RuleSource with fixed rules.
type source struct {
	rules Rules
	err   error
}

func (s source) Rules(context.Context, *vault.Vault, bool) (Rules, error) { return s.rules, s.err }

// spellingSource also knows that one object.
type spellingSource struct {
	source
	known object.Name
}

func (s spellingSource) Spelling(_ context.Context, _ *vault.Vault, _ object.Family, n object.Name) (object.Name, error) {
	if n.Key() == s.known.Key() {
		return s.known, nil
	}
	return n, nil
}

// attempt opens a log and begins ann's attempt in it; lines reads a file of the log.
func attempt(t *testing.T, v *vault.Vault, a Action, n object.Name, open func(string) (audit.File, error)) (at *Attempt, lines func(suffix string) []map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{Path: path, OpenFile: open})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	at = NewRecorder(log).Begin(time.Now())
	at.In(v, "https://kv1.vault.test")
	at.Authenticated(annCaller())
	at.On(a, n)
	return at, func(suffix string) []map[string]any { return linesOf(t, path+suffix) }
}

func linesOf(t *testing.T, path string) (all []map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func TestAllowPutsTheAttemptOnRecord(t *testing.T) {
	rules := roles(at(kv1, secretsUser))
	gate := NewGate(GateConfig{Rules: source{rules: rules}})

	e, lines := attempt(t, rules.Vault, SecretGet, name("Db"), nil)
	g, err := gate.Allow(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if g.Caller().ObjectID != ann || g.Action() != SecretGet || g.Name() != name("Db") || g.Vault() != rules.Vault || g.PublicOnly() {
		t.Errorf("the grant is for something else: %+v", g)
	}
	intents := lines(".intent")
	if len(intents) != 1 {
		t.Fatalf("%d intents of a read of a secret", len(intents))
	}
	if err := e.Finish(audit.Outcome{Status: 200}); err != nil {
		t.Fatal(err)
	}
	rec := lines("")[0]
	props := rec["properties"].(map[string]any)
	for got, want := range map[any]any{
		rec["operationName"]: "SecretGet", rec["resourceId"]: strings.ToUpper(kv1), props["id"]: "https://kv1.vault.test/secrets/Db",
		props["appliedAssignmentId"]: "as-1",
	} {
		if got != want {
			t.Errorf("recorded %v, want %v", got, want)
		}
	}
	if props["isRbacAuthorized"] != true || props["isAccessPolicyMatch"] != false {
		t.Errorf("recorded %v", props)
	}
	claims, _ := json.Marshal(rec["identity"])
	if !strings.Contains(string(claims), ann) || !strings.Contains(string(claims), app) {
		t.Errorf("recorded %s", claims)
	}

	e, lines = attempt(t, rules.Vault, SecretDelete, name("db"), nil)
	g, err = gate.Allow(t.Context(), e)
	var refusal *fault.Error
	if !errors.As(err, &refusal) || refusal.Reason != fault.ForbiddenByRbac || g.Action() != 0 {
		t.Fatalf("%v, %v", g, err)
	}
	if n := len(lines(".intent")); n != 0 {
		t.Errorf("%d intents of what was refused", n)
	}
	if err := e.Finish(audit.Outcome{Status: 403}); err != nil {
		t.Fatal(err)
	}
	rec = lines("")[0]
	if rec["operationName"] != "SecretDelete" || rec["properties"].(map[string]any)["isRbacAuthorized"] != false {
		t.Errorf("recorded %v", rec)
	}
}

func TestOnlyWhatActsNeedsAnIntent(t *testing.T) {
	rules := policies(entry(object.Certificates, "all"))
	for a, want := range map[Action]int{CertificateGet: 0, CertificateList: 0, CertificateCreate: 1, CertificateIssuerSet: 1} {
		at, lines := attempt(t, rules.Vault, a, name("web"), nil)
		if _, err := NewGate(GateConfig{Rules: source{rules: rules}}).Allow(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if n := len(lines(".intent")); n != want {
			t.Errorf("%v: %d intents, want %d", a, n, want)
		}
	}
}

func TestNoRecordNoGrant(t *testing.T) {
	rules := policies(entry(object.Secrets, "all"))
	full := false
	at, _ := attempt(t, rules.Vault, SecretGet, name("db"), func(path string) (audit.File, error) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		return failing{f, &full}, err
	})
	full = true
	gate := NewGate(GateConfig{Rules: source{rules: rules}})
	g, err := gate.Allow(t.Context(), at)
	if !fault.Is(err, fault.Unavailable) || g.Action() != 0 {
		t.Errorf("%v, %v", g, err)
	}
	at.On(SecretList, object.Name{})
	if _, err := gate.Allow(t.Context(), at); err != nil {
		t.Errorf("a list is recorded by its outcome: %v", err)
	}
}

// failing is a file on a disk that may be full.
type failing struct {
	*os.File
	full *bool
}

func (f failing) Write(b []byte) (int, error) {
	if *f.full {
		return 0, errors.New("no space left on device")
	}
	return f.File.Write(b)
}

func TestWithoutRulesNobodyPasses(t *testing.T) {
	v := policyVault(entry(object.Secrets, "all"))
	other := policyVault(entry(object.Secrets, "all"))
	other.ID = "another"
	for _, s := range []source{{err: errors.New("database is away")}, {rules: Rules{Vault: other}}} {
		at, _ := attempt(t, v, SecretGet, name("db"), nil)
		g, err := NewGate(GateConfig{Rules: s}).Allow(t.Context(), at)
		if !fault.Is(err, fault.Unavailable) || g.Action() != 0 {
			t.Errorf("%v, %v", g, err)
		}
		var f *fault.Error
		if errors.As(err, &f) && strings.Contains(f.Msg, "database") {
			t.Errorf("the caller is told %q", f.Msg)
		}
	}
}

// A caller who may choose the casing of a name must not slip past a condition,
// nor learn how the object is written.
func TestConditionsSeeTheNameOfTheCreation(t *testing.T) {
	as := at(kv1, secretsUser)
	as.Condition = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringNotStartsWith 'db-'"
	rules := roles(as)
	stored := spellingSource{source{rules: rules}, name("db-Password")}
	for _, tt := range []struct {
		what   string
		source RuleSource
		asked  string
		want   bool
	}{
		{"as created", stored, "db-Password", false},
		{"in another casing", stored, "DB-password", false},
		{"not there", stored, "app-1", true},
		{"without a speller", source{rules: rules}, "app-1", false},
		{"of another object", wrongSpelling{stored}, "DB-password", false},
	} {
		at, _ := attempt(t, rules.Vault, SecretGet, name(tt.asked), nil)
		_, err := NewGate(GateConfig{Rules: tt.source}).Allow(t.Context(), at)
		if got := err == nil; got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
		if err != nil && strings.Contains(err.Error(), "db-Password") && tt.asked != "db-Password" {
			t.Errorf("%s: told %v", tt.what, err)
		}
	}
	if rules.Assignments[0].RoleID != secretsUser {
		t.Error("the gate changed the rules of its source")
	}
}

// wrongSpelling gives the spelling of some other object.
type wrongSpelling struct{ RuleSource }

func (wrongSpelling) Spelling(context.Context, *vault.Vault, object.Family, object.Name) (object.Name, error) {
	return name("app-1"), nil
}

// What no Recorder made, what is over, and what does not say what it is on gets no
// grant, whatever its caller may do.
func TestNoAttemptNoGrant(t *testing.T) {
	rules := policies(entry(object.Secrets, "all"))
	gate := NewGate(GateConfig{Rules: source{rules: rules}})
	over, _ := attempt(t, rules.Vault, SecretGet, name("db"), nil)
	if err := over.Finish(audit.Outcome{Status: 200}); err != nil {
		t.Fatal(err)
	}
	nowhere, _ := attempt(t, nil, SecretGet, name("db"), nil)
	nothing, _ := attempt(t, rules.Vault, 0, name("db"), nil)
	made := &Attempt{target: Target{Vault: rules.Vault}, caller: annCaller(), action: SecretList}
	for what, at := range map[string]*Attempt{"none": nil, "zero": {}, "without a record": made, "over": over, "of no vault": nowhere, "of no action": nothing} {
		if g, err := gate.Allow(t.Context(), at); err == nil || g.Action() != 0 {
			t.Errorf("%s: %v, %v", what, g, err)
		}
	}
}

// The firewall is asked even when a door forgets to.
func TestAllowAsksTheFirewall(t *testing.T) {
	rules := policies(entry(object.Secrets, "all"))
	rules.Vault.Network = vault.NetworkRules{DefaultDeny: true, IPRules: []string{"192.0.2.0/24"}}
	for address, want := range map[string]bool{"192.0.2.9": true, "::ffff:192.0.2.9": true, "198.51.100.1": false} {
		at, lines := attempt(t, rules.Vault, SecretList, object.Name{}, nil)
		at.Arrived(audit.Request{Address: address}, netip.MustParseAddr(address), "7.6")
		_, err := NewGate(GateConfig{Rules: source{rules: rules}}).Allow(t.Context(), at)
		if got := err == nil; got != want {
			t.Errorf("%s: %v", address, err)
		}
		if err := at.Finish(audit.Outcome{Status: 200}); err != nil {
			t.Fatal(err)
		}
		if got := lines("")[0]["properties"].(map[string]any)["isAddressAuthorized"]; got != want {
			t.Errorf("%s: recorded %v", address, got)
		}
	}
}

// own is the vault's own work on a vault.
func own(t *testing.T, v *vault.Vault) (*Background, func() []map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return NewBackground(BackgroundConfig{
		Gate: NewGate(GateConfig{Rules: source{}}), Recorder: NewRecorder(log), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Vault: func(_ context.Context, id object.VaultID) (*vault.Vault, error) {
			if id != v.ID {
				return nil, object.ErrNotFound
			}
			return v, nil
		},
		URL: func(v *vault.Vault) string { return "https://" + v.Key() + ".vault.test" },
	}), func() []map[string]any { return linesOf(t, path) }
}

func TestBackgroundWorkIsRecordedAsTheVaults(t *testing.T) {
	v := policyVault()
	b, lines := own(t, v)
	for _, tt := range []struct {
		err    error
		result string
	}{{nil, "Success"}, {errors.New("it broke"), "Failure"}, {fmt.Errorf("committing: %w", object.ErrOutcomeUnknown), "Unknown"}, {NotNeeded("It was recovered."), "NotNeeded"}} {
		ctx, stop := context.WithCancel(t.Context())
		stop() // the process ends; the record does not
		g, err := b.Begin(ctx, v.ID, SecretPurgeDue, name("db"), "job-7")
		if err != nil {
			t.Fatal(err)
		}
		b.Finish(g, Outcome(204, tt.err))
		rec := lines()[len(lines())-1]
		claim := rec["identity"].(map[string]any)["claim"].(map[string]any)
		if rec["operationName"] != "SecretPurge" || rec["resultType"] != tt.result || rec["correlationId"] != "job-7" ||
			claim["appid"] != "vault" || rec["properties"].(map[string]any)["id"] != "https://kv1.vault.test/secrets/db" {
			t.Errorf("%v: recorded %v", tt.err, rec)
		}
	}
	for _, a := range []Action{SecretPurge, SecretGet, VaultDelete, 0} {
		if g, err := b.Begin(t.Context(), v.ID, a, name("db"), ""); err == nil || g.Action() != 0 {
			t.Errorf("the vault itself may %v", a)
		}
	}
	if _, err := b.Begin(t.Context(), "another", SecretPurgeDue, name("db"), ""); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("in no vault: %v", err)
	}
}

func TestGrantsAreForTheirActionOnly(t *testing.T) {
	v := policyVault()
	b, _ := own(t, v)
	g, err := b.Begin(t.Context(), v.ID, CertificateEnroll, name("web"), "")
	if err != nil {
		t.Fatal(err)
	}
	if c := g.Caller(); !c.IsBackground() || c.AppID != "vault" || g.Vault() != v || g.Name() != name("web") {
		t.Errorf("%+v", g)
	}
	g.Must(CertificateRenew, CertificateEnroll)
	for _, f := range []func(){
		func() { g.Must(CertificateCreate) },
		func() { g.Must() },
		func() { Grant{}.Must(0) },
		func() { Grant{}.Must(CertificateEnroll) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
}

func TestIssuersAndContactsAreNamedAsPaths(t *testing.T) {
	for _, tt := range []struct {
		a    Action
		n    object.Name
		want string
	}{
		{CertificateIssuerSet, name("DigiCert"), "certificates/issuers/DigiCert"},
		{CertificateContactsGet, object.Name{}, "certificates/contacts"},
		{CertificateList, object.Name{}, ""},
		{CertificateListVersions, name("web"), "certificates/web"},
		{CertificateRestore, object.Name{}, ""},
	} {
		if got := path(tt.a, tt.n); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.a, got, tt.want)
		}
	}
}

// asked tells which rules the gate asks for.
type asked struct {
	source
	current *bool
}

func (s asked) Rules(ctx context.Context, v *vault.Vault, current bool) (Rules, error) {
	*s.current = current
	return s.source.Rules(ctx, v, current)
}

func TestWhatCannotBeTakenBackIsDecidedByTheRulesOfNow(t *testing.T) {
	for i := range rows {
		a := Action(i)
		if rows[a].plane != dataPlane && rows[a].plane != managementPlane {
			continue
		}
		var current bool
		v := roleVault()
		at, _ := attempt(t, v, a, object.Name{}, nil)
		_, _ = NewGate(GateConfig{Rules: asked{source{rules: Rules{Vault: v}}, &current}}).Allow(t.Context(), at)
		if want := strings.HasSuffix(a.String(), "Purge") || a == VaultDelete; current != want {
			t.Errorf("%v: %v", a, current)
		}
	}
}

// An attempt has one grant, whose record tells of it alone, and which ends with it.
func TestAnAttemptHasOneGrant(t *testing.T) {
	rules := policies(entry(object.Secrets, "all"))
	gate := NewGate(GateConfig{Rules: source{rules: rules}})
	at, _ := attempt(t, rules.Vault, SecretGet, name("db"), nil)
	g, err := gate.Allow(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := gate.Allow(t.Context(), at); err == nil || second.Action() != 0 {
		t.Errorf("a second grant: %v, %v", second, err)
	}
	g.Must(SecretGet)
	refused := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", what)
			}
		}()
		f()
	}
	refused("another object", func() { at.On(SecretGet, name("other")) })
	refused("another resource", func() { at.OnResource(VaultDelete, Target{Resource: kv1}) })
	refused("another vault", func() { at.In(rules.Vault, "") })
	refused("another caller", func() { at.Authenticated(Operator("root", "0")) })
	refused("no caller", func() { at.Unauthenticated("", false) })
	refused("another request", func() { at.Arrived(audit.Request{}, netip.Addr{}, "") })
	if err := at.Finish(audit.Outcome{Status: 200}); err != nil {
		t.Fatal(err)
	}
	refused("use after the record", func() { g.Must(SecretGet) })
}

// What the firewall of one vault, or for one caller, let pass is nothing to another's.
func TestTheFirewallIsThatOfTheVault(t *testing.T) {
	rules := policies(entry(object.Secrets, "all"))
	open := *rules.Vault
	rules.Vault.Network = vault.NetworkRules{DefaultDeny: true}
	gate := NewGate(GateConfig{Rules: source{rules: rules}, Trusted: func(c Caller) bool { return c.ObjectID == "trusted" }})
	for what, change := range map[string]func(*Attempt){
		"vault":  func(at *Attempt) { at.OnResource(SecretList, Target{Vault: rules.Vault}) },
		"caller": func(at *Attempt) { at.Authenticated(annCaller()) },
	} {
		at, _ := attempt(t, &open, SecretList, object.Name{}, nil)
		if what == "caller" {
			at.In(rules.Vault, "")
			at.Authenticated(Caller{ObjectID: "trusted"})
		}
		if err := gate.CheckNetwork(at); err != nil {
			t.Fatal(err)
		}
		change(at)
		if _, err := gate.Allow(t.Context(), at); !fault.Is(err, fault.Forbidden) {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

// TestWhoHasARightIsNotPowerless: one right on the vault, or on an object in it, is enough
// for every refusal to be on record, and so is not to know.
func TestWhoHasARightIsNotPowerless(t *testing.T) {
	elsewhere := at(vaults+"other", secretsUser)
	for _, tt := range []struct {
		what string
		s    source
		want bool
	}{
		{"no entry", source{rules: policies()}, true},
		{"an entry that does not allow it", source{rules: policies(entry(object.Secrets, "list"))}, false},
		{"no role", source{rules: roles()}, true},
		{"a role elsewhere", source{rules: roles(elsewhere)}, true},
		{"a role on another object", source{rules: roles(at(kv1+"/secrets/other", secretsUser))}, false},
		{"a role above", source{rules: roles(at("/", secretsUser))}, false},
		{"rules that cannot be read", source{err: errors.New("away")}, false},
	} {
		v := tt.s.rules.Vault
		if v == nil {
			v = policyVault()
		}
		a, _ := attempt(t, v, SecretPurge, name("db"), nil)
		NewGate(GateConfig{Rules: tt.s}).Weigh(t.Context(), a)
		if a.Powerless() != tt.want || a.facts().Powerless != tt.want {
			t.Errorf("%s: %t", tt.what, a.Powerless())
		}
	}
}
