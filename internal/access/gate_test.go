package access

import (
	"context"
	"encoding/json"
	"errors"
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

func (s source) Rules(context.Context, *vault.Vault) (Rules, error) { return s.rules, s.err }

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

// journal opens a log and an entry in it; lines reads a file of it.
func journal(t *testing.T, open func(string) (audit.File, error)) (ctx context.Context, e *audit.Entry, lines func(suffix string) []map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{Path: path, OpenFile: open})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	e = log.Begin(time.Now())
	e.SetVault("", "https://kv1.vault.test")
	return audit.NewContext(t.Context(), e), e, func(suffix string) (all []map[string]any) {
		data, err := os.ReadFile(path + suffix)
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
}

func TestAllowPutsTheAttemptOnRecord(t *testing.T) {
	rules := roles(at(kv1, secretsUser))
	gate := NewGate(source{rules: rules})

	ctx, e, lines := journal(t, nil)
	g, err := gate.Allow(ctx, annCaller(), rules.Vault, SecretGet, name("Db"))
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

	ctx, e, lines = journal(t, nil)
	g, err = gate.Allow(ctx, annCaller(), rules.Vault, SecretDelete, name("db"))
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
		ctx, _, lines := journal(t, nil)
		if _, err := NewGate(source{rules: rules}).Allow(ctx, annCaller(), rules.Vault, a, name("web")); err != nil {
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
	ctx, _, _ := journal(t, func(path string) (audit.File, error) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		return failing{f, &full}, err
	})
	full = true
	g, err := NewGate(source{rules: rules}).Allow(ctx, annCaller(), rules.Vault, SecretGet, name("db"))
	if !fault.Is(err, fault.Unavailable) || g.Action() != 0 {
		t.Errorf("%v, %v", g, err)
	}
	if _, err := NewGate(source{rules: rules}).Allow(ctx, annCaller(), rules.Vault, SecretList, object.Name{}); err != nil {
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
		g, err := NewGate(s).Allow(t.Context(), annCaller(), v, SecretGet, name("db"))
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
		{"of another object", liar{stored}, "DB-password", false},
	} {
		_, err := NewGate(tt.source).Allow(t.Context(), annCaller(), rules.Vault, SecretGet, name(tt.asked))
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

// liar gives the spelling of some other object.
type liar struct{ RuleSource }

func (liar) Spelling(context.Context, *vault.Vault, object.Family, object.Name) (object.Name, error) {
	return name("app-1"), nil
}

func TestGrantsAreForTheirActionOnly(t *testing.T) {
	v := policyVault()
	g := NewGate(source{}).System(t.Context(), v, CertificateEnroll, name("web"))
	if c := g.Caller(); !c.System || c.AppID != "vault" || g.Vault() != v || g.Name() != name("web") {
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
