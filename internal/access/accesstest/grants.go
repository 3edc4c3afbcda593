package accesstest

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Caller is the object id of the principal who may do everything.
const Caller = "cccccccc-0000-0000-0000-0000000000aa"

// Grants gives grants for any action.
type Grants struct {
	t          testing.TB
	gate       *access.Gate
	recorder   *access.Recorder
	background *access.Background
	path       string // of the audit log

	mu      sync.Mutex   // held while a background attempt is begun
	current *vault.Vault // guarded by mu; of that attempt
}

// New opens an audit log that lives as long as the test.
func New(t testing.TB) *Grants { return Over(t, all{}) }

// Over gives grants by the rules of a source.
func Over(t testing.TB, rules access.RuleSource) *Grants {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &Grants{t: t, path: path, gate: access.NewGate(access.GateConfig{Rules: rules}), recorder: access.NewRecorder(log)}
	g.background = access.NewBackground(access.BackgroundConfig{
		Gate: g.gate, Recorder: g.recorder, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Vault: func(context.Context, object.VaultID) (*vault.Vault, error) { return g.current, nil },
		URL:   func(v *vault.Vault) string { return "https://" + v.Key() + ".vault.test" },
	})
	return g
}

// Recorded is the text of the audit log.
func (g *Grants) Recorded() string {
	g.t.Helper()
	text, err := os.ReadFile(g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// Give is a grant for an action on an object of a vault: of the vault's own work to
// the vault itself, of everything else to Caller. The grant has a copy of the vault in
// which Caller has an access policy.
func (g *Grants) Give(v *vault.Vault, a access.Action, n object.Name) access.Grant {
	g.t.Helper()
	if got, err := g.begin(v, a, n); err == nil {
		return got
	}
	return g.GiveTo(access.Caller{TenantID: tenantOf(v), ObjectID: Caller}, v, a, n)
}

func (g *Grants) begin(v *vault.Vault, a access.Action, n object.Name) (access.Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.current = v
	return g.background.Begin(context.Background(), v.ID, a, n, "")
}

// Everywhere is the operator's grant for a management action on the installation.
func (g *Grants) Everywhere(a access.Action) access.Grant {
	g.t.Helper()
	at := g.recorder.Begin(time.Now())
	at.Authenticated(access.Operator("root", "0"))
	at.OnResource(a, access.Target{Resource: access.Everywhere})
	got, err := g.gate.Allow(context.Background(), at)
	if err != nil {
		g.t.Fatalf("no grant for %v: %v", a, err)
	}
	return got
}

// GiveTo is a grant to one caller; the test fails when the rules refuse it.
func (g *Grants) GiveTo(c access.Caller, v *vault.Vault, a access.Action, n object.Name) access.Grant {
	g.t.Helper()
	got, err := g.attempt(c, v, a, n)
	if err != nil {
		g.t.Fatalf("no grant for %v: %v", a, err)
	}
	return got
}

func (g *Grants) attempt(c access.Caller, v *vault.Vault, a access.Action, n object.Name) (access.Grant, error) {
	at := g.recorder.Begin(time.Now())
	at.In(v, "https://"+v.Key()+".vault.test")
	at.Authenticated(c)
	at.On(a, n)
	return g.gate.Allow(context.Background(), at)
}

// tenantOf is the vault's tenant; tests of rules seldom give it one.
func tenantOf(v *vault.Vault) string {
	return cmp.Or(v.TenantID, "aaaaaaaa-0000-0000-0000-0000000000aa")
}

// all gives Caller every right in every vault.
type all struct{}

func (all) Rules(_ context.Context, v *vault.Vault, _ bool) (access.Rules, error) {
	if v == nil || v.RBAC {
		const administrator = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
		return access.Rules{Vault: v, Assignments: []access.Assignment{{ID: "all", Scope: "/", RoleID: administrator, PrincipalID: Caller}}}, nil
	}
	open := *v
	open.TenantID = tenantOf(v)
	every := []string{"all"}
	open.AccessPolicies = append(open.AccessPolicies[:len(open.AccessPolicies):len(open.AccessPolicies)], vault.AccessPolicy{
		TenantID: open.TenantID, ObjectID: Caller, Certificates: every, Keys: every, Secrets: every,
	})
	return access.Rules{Vault: &open}, nil
}
