package management_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/management"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

const (
	tenant = "aaaaaaaa-0000-0000-0000-000000000001"
	ann    = "bbbbbbbb-0000-0000-0000-000000000001"
	ben    = "bbbbbbbb-0000-0000-0000-000000000002"
)

var epoch = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// installation is the rules over a real store, gate and log.
type installation struct {
	*management.Service
	t        *testing.T
	db       *store.DB
	gate     *access.Gate
	recorder *access.Recorder
	fault    *storetest.Fault
	vaults   *vault.Registry
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	w := &installation{t: t}
	cfg := storetest.SQLite(t)
	cfg.Faults = func(point string, when store.When) error {
		if w.fault != nil {
			return w.fault.Hook(point, when)
		}
		return nil
	}
	w.db = storetest.Open(t, cfg)
	log, err := audit.Open(audit.Config{Path: filepath.Join(t.TempDir(), "audit.jsonl")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	w.recorder = access.NewRecorder(log)
	w.gate = access.NewGate(access.GateConfig{Rules: w, TenantID: tenant})
	w.Service, err = management.NewService(management.Config{
		DB: store.For[management.Tx]{DB: w.db}, TenantID: tenant, Now: func() time.Time { return epoch },
		Deleted: func(*vault.Vault) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.vaults = vault.NewRegistry(store.For[vault.Tx]{DB: w.db}, fresh.Source{Commits: w.db.Commits()})
	return w
}

// Rules are the assignments that the store has.
func (w *installation) Rules(ctx context.Context, _ *vault.Vault, _ bool) (r access.Rules, err error) {
	err = w.db.View(ctx, func(tx *store.Tx) (err error) {
		r.Assignments, err = tx.Assignments(ctx)
		return err
	})
	return r, err
}

// grant is what the gate gives a caller for an action on a resource.
func (w *installation) grant(c access.Caller, a access.Action, t access.Target) (access.Grant, error) {
	at := w.recorder.Begin(epoch)
	at.Authenticated(c)
	at.OnResource(a, t)
	return w.gate.Allow(w.t.Context(), at)
}

// operator is a grant to the operator, who may do everything.
func (w *installation) operator(a access.Action, resource string) access.Grant {
	w.t.Helper()
	g, err := w.grant(access.Operator("root", "0"), a, access.Target{Resource: resource})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *installation) create(name string) *vault.Vault {
	w.t.Helper()
	v, err := w.CreateVault(w.t.Context(), w.operator(access.VaultCreate, management.VaultID(name)), management.NewVault{RBAC: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// assign gives a role at a scope.
func (w *installation) assign(id, role, principal, scope string) error {
	g, err := w.grant(access.Operator("root", "0"), access.RoleAssignmentCreate,
		access.Target{Resource: scope, Assignment: access.Assignment{ID: id, PrincipalID: principal}})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.Assign(w.t.Context(), g, role)
	return err
}

func (w *installation) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// A principal manages by its roles through the same gate and rules as the operator,
// and only what its grant is for.
func TestPrincipalsManageByTheirRoles(t *testing.T) {
	w := newInstallation(t)
	one, two := w.create("one"), w.create("two")
	w.must(w.assign("11111111-0000-0000-0000-000000000001", "Key Vault Contributor", ann, one.ResourceID()))
	caller := access.Caller{TenantID: tenant, ObjectID: ann, AppID: "app"}
	for _, tt := range []struct {
		action   access.Action
		resource string
		want     bool
	}{
		{access.VaultUpdate, one.ResourceID(), true},
		{access.VaultGet, one.ResourceID(), true},
		{access.VaultDelete, one.ResourceID(), true},
		{access.VaultUpdate, two.ResourceID(), false},
		{access.VaultList, "/subscriptions/" + management.Subscription, false},
		{access.RoleAssignmentCreate, one.ResourceID(), false},
		{access.PrincipalList, "/", false},
		{access.RootKeyRotate, "/", false},
	} {
		_, err := w.grant(caller, tt.action, access.Target{Resource: tt.resource})
		if got := err == nil; got != tt.want || err != nil && !fault.Is(err, fault.Forbidden) {
			t.Errorf("%v on %s: %v", tt.action, tt.resource, err)
		}
	}
	g, err := w.grant(caller, access.VaultUpdate, access.Target{Resource: one.ResourceID()})
	w.must(err)
	changed, err := w.UpdateVault(t.Context(), g, management.VaultChange{DefaultDeny: new(true)})
	if err != nil || changed.ID != one.ID || !changed.Network.DefaultDeny {
		t.Errorf("%+v, %v", changed, err)
	}
	if v, err := w.Vault(t.Context(), w.operator(access.VaultGet, two.ResourceID())); err != nil || v.Network.DefaultDeny {
		t.Errorf("the other vault: %+v, %v", v, err)
	}
}

// A vault and the rights on it go in one transaction, whatever fails when; nothing
// of others goes.
func TestADeletedVaultTakesItsRightsAlong(t *testing.T) {
	for i := range 6 {
		point, when := []string{"DeleteVault", "DeleteAssignment", store.Commit}[i/2], []store.When{store.Before, store.After}[i%2]
		t.Run(fmt.Sprint(point, " ", when), func(t *testing.T) {
			w := newInstallation(t)
			one, other := w.create("one"), w.create("one-2")
			w.must(w.assign("11111111-0000-0000-0000-000000000001", "Reader", ann, one.ResourceID()))
			w.must(w.assign("11111111-0000-0000-0000-000000000002", "Reader", ann, one.ResourceID()+"/secrets/app"))
			w.must(w.assign("11111111-0000-0000-0000-000000000003", "Reader", ben, other.ResourceID()))
			w.must(w.assign("11111111-0000-0000-0000-000000000004", "Reader", ben, "/"))
			_, err := w.vaults.ByName(t.Context(), one.Name) // keeps it
			w.must(err)
			w.fault = storetest.At(point, when)
			if err := w.DeleteVault(t.Context(), w.operator(access.VaultDelete, one.ResourceID())); err == nil {
				t.Fatal("the fault has no effect")
			}
			w.fault = nil
			list, err := w.Assignments(t.Context(), w.operator(access.RoleAssignmentList, "/"))
			w.must(err)
			_, gone := w.Vault(t.Context(), w.operator(access.VaultGet, one.ResourceID()))
			if want := map[bool]int{true: 2, false: 4}[fault.Is(gone, fault.NotFound)]; len(list) != want {
				t.Errorf("vault: %v, %d assignments", gone, len(list))
			}
			if _, err := w.vaults.ByName(t.Context(), one.Name); errors.Is(err, object.ErrNotFound) != fault.Is(gone, fault.NotFound) {
				t.Errorf("what is kept in memory outlives a failure, which may be none: %v", err)
			}
		})
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	w := newInstallation(t)
	w.create("one")
	_, err := w.CreateVault(t.Context(), w.operator(access.VaultCreate, management.VaultID("ONE")), management.NewVault{})
	if !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
}

func TestProtectedVaultsStay(t *testing.T) {
	w := newInstallation(t)
	id := management.VaultID("one")
	_, err := w.CreateVault(t.Context(), w.operator(access.VaultCreate, id), management.NewVault{PurgeProtection: true})
	w.must(err)
	if err := w.DeleteVault(t.Context(), w.operator(access.VaultDelete, id)); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
}

// A grant is for one resource id, and what is no id of a vault is refused.
func TestResourceIDs(t *testing.T) {
	w := newInstallation(t)
	one := w.create("one")
	for id, want := range map[string]fault.Kind{
		one.ResourceID(): 0,
		"/SUBSCRIPTIONS/" + management.Subscription + "/resourcegroups/LOCAL/providers/microsoft.keyvault/VAULTS/One":      0,
		"/subscriptions/" + management.Subscription + "/resourceGroups/other/providers/Microsoft.KeyVault/vaults/one":      fault.NotFound,
		"/subscriptions/11111111-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.KeyVault/vaults/one": fault.NotFound,
		one.ResourceID() + "/":            fault.Invalid,
		one.ResourceID() + "/secrets/app": fault.Invalid,
		management.VaultID(""):            fault.Invalid,
		management.VaultID("../two"):      fault.Invalid,
		management.VaultID("two"):         fault.NotFound,
		"/":                               fault.Invalid,
		"":                                fault.Invalid,
		"x" + one.ResourceID():            fault.Invalid,
		"/subscriptions//resourceGroups/local/providers/Microsoft.KeyVault/vaults/one": fault.Invalid,
	} {
		v, err := w.Vault(t.Context(), w.operator(access.VaultGet, id))
		if want == 0 && (err != nil || v.ID != one.ID) || want != 0 && !fault.Is(err, want) {
			t.Errorf("%q: %v, %v", id, v, err)
		}
	}
}

func TestRolesAreGivenInVaultsThatExist(t *testing.T) {
	w := newInstallation(t)
	one := w.create("One")
	const id = "11111111-0000-0000-0000-00000000000%d"
	for i, tt := range []struct {
		scope string
		want  fault.Kind
	}{
		{management.VaultID("ONE") + "/secrets/app", 0},
		{management.VaultID("two"), fault.NotFound},
		{management.VaultID("two") + "/secrets/app", fault.NotFound},
		{"/subscriptions/" + management.Subscription, 0},
		{"x", fault.Invalid},
		{"", fault.Invalid},
	} {
		if err := w.assign(fmt.Sprintf(id, i), "Reader", ann, tt.scope); tt.want == 0 && err != nil || tt.want != 0 && !fault.Is(err, tt.want) {
			t.Errorf("%q: %v", tt.scope, err)
		}
	}
	list, err := w.Assignments(t.Context(), w.operator(access.RoleAssignmentList, one.ResourceID()))
	if err != nil || len(list) != 2 || list[0].Scope != one.ResourceID()+"/secrets/app" { // in the vault's own casing
		t.Errorf("%+v, %v", list, err)
	}
	g, err := w.grant(access.Operator("root", "0"), access.RoleAssignmentDelete,
		access.Target{Resource: one.ResourceID(), Assignment: access.Assignment{ID: fmt.Sprintf(id, 3)}})
	w.must(err)
	if err := w.Unassign(t.Context(), g); !fault.Is(err, fault.NotFound) {
		t.Errorf("a grant on a vault takes a right on the subscription away: %v", err)
	}
}
