package access

import (
	"coffer/internal/guid"
	"strings"
	"testing"
)

// Acceptance check 10.
func TestDataAccessAdministratorDelegatesEightRoles(t *testing.T) {
	const eight = administrator + certificatesOfficer + "14b46e9e-c2b7-41b4-b07b-48a6ebf60603" + "e147488a-f6f5-4113-8e2d-b22465e65bf6" +
		cryptoUser + reader + secretsOfficer + secretsUser
	count := 0
	for _, role := range BuiltinRoles() {
		want := strings.Contains(eight, role.ID)
		if want {
			count++
		}
		for _, verb := range []string{"write", "delete"} {
			on := Target{Resource: kv1, Assignment: Assignment{
				RoleID:      "/subscriptions/" + sub + "/providers/Microsoft.Authorization/roleDefinitions/" + strings.ToUpper(role.ID),
				PrincipalID: team,
			}}
			rules := Rules{TenantID: tenant, Assignments: []Assignment{at("/", dataAccessAdmin)}}
			if _, got := manages(annCaller(), "Microsoft.Authorization/roleAssignments/"+verb, on, rules); got != want {
				t.Errorf("%s of %s: %t", verb, role.Name, got)
			}
		}
	}
	if count != 8 {
		t.Errorf("%d of the eight roles exist", count)
	}
}

func TestManagementPlane(t *testing.T) {
	const write, purge = "Microsoft.KeyVault/vaults/write", "Microsoft.KeyVault/locations/deletedVaults/purge/action"
	conditional := at("/", OwnerID)
	conditional.Condition = "ActionMatches{'*'}"
	for _, tt := range []struct {
		what   string
		as     Assignment
		action string
		on     Target
		want   bool
	}{
		{"an owner", at("/", OwnerID), write, Target{Resource: kv1}, true},
		{"an owner of another vault", at(vaults+"kv2", OwnerID), write, Target{Resource: kv1}, false},
		{"a contributor", at("/", "b24988ac-6180-42a0-ab88-20f7382dd24c"), write, Target{Resource: kv1}, true},
		{"a contributor who assigns", at("/", "b24988ac-6180-42a0-ab88-20f7382dd24c"), assignmentWrite, Target{Resource: kv1}, false},
		{"a vault contributor", at("/", "f25e0fa2-a7c8-4377-a976-54943a77a395"), write, Target{Resource: kv1}, true},
		{"a vault contributor who purges", at("/", "f25e0fa2-a7c8-4377-a976-54943a77a395"), purge, Target{Resource: "/subscriptions/" + sub}, false},
		{"a purge operator", at("/", "a68e7c17-0ab2-4c09-9a58-125dae29748c"), purge, Target{Resource: "/subscriptions/" + sub}, true},
		{"data actions count for nothing", at("/", administrator), write, Target{Resource: kv1}, false},
		{"an administrator reads the vault", at("/", administrator), "Microsoft.KeyVault/vaults/secrets/read", Target{Resource: kv1}, true},
		{"a condition that holds", conditional, write, Target{Resource: kv1}, true},
		{"a condition where there must be none", conditional, assignmentWrite, Target{Resource: kv1, Unconditional: true}, false},
		{"an owner where there must be none", at("/", OwnerID), assignmentWrite, Target{Resource: kv1, Unconditional: true}, true},
	} {
		if _, got := manages(annCaller(), tt.action, tt.on, Rules{TenantID: tenant, Assignments: []Assignment{tt.as}}); got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}

func TestAnEmptyTenantHasNoRootGroup(t *testing.T) {
	as := at("/providers/Microsoft.Management/managementGroups//", OwnerID)
	if _, ok := manages(annCaller(), "x", Target{Resource: kv1}, Rules{Assignments: []Assignment{as}}); ok {
		t.Error("allowed")
	}
}

// One decision for all doors: a principal by its roles, the operator of the machine
// by being it, and nobody else.
func TestManagementActionsAreDecidedLikeTheOthers(t *testing.T) {
	owner := Rules{TenantID: tenant, Assignments: []Assignment{at("/", OwnerID)}}
	on := Target{Resource: kv1}
	itself := Caller{AppID: "vault", kind: ownSelf}
	for _, a := range managementActions() {
		for _, tt := range []struct {
			what  string
			c     Caller
			rules Rules
			want  bool
		}{
			{"an owner", annCaller(), owner, true},
			{"nobody's", annCaller(), Rules{TenantID: tenant}, false},
			{"the operator", Operator("root", "0"), Rules{}, true},
			{"the vault itself", itself, owner, false},
			{"one who is not known", Caller{}, owner, false},
		} {
			d := Decide(tt.c, a, on, tt.rules)
			if d.Allowed != tt.want || d.Allowed == (d.Refusal != nil) {
				t.Errorf("%s, %v: %+v", tt.what, a, d)
			}
		}
	}
	for _, a := range Actions() {
		if d := Decide(Operator("root", "0"), a, Target{Name: name("web")}, policies(entry(a.Family(), "all", ""))); d.Allowed {
			t.Errorf("the operator may %v", a)
		}
	}
}

// The tables are handed out as copies.
func TestBuiltinRolesCannotBeChanged(t *testing.T) {
	BuiltinRoles()[1].DataActions[0] = "*"
	role, _ := RoleByID(reader)
	role.DataActions[0] = "*"
	if allows(annCaller(), SecretGet, name("db"), roles(at("/", reader))) {
		t.Error("a caller changed a role")
	}
	seen := map[string]bool{}
	for _, r := range BuiltinRoles() {
		if !guid.Valid(r.ID) || seen[r.ID] || seen[r.Name] {
			t.Errorf("%s %s", r.ID, r.Name)
		}
		seen[r.ID], seen[r.Name] = true, true
		if r.Condition != "" {
			if _, err := ParseCondition(r.Condition); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
	}
	if len(seen) != 2*18 {
		t.Errorf("%d roles", len(seen)/2)
	}
}

func managementActions() (all []Action) {
	for i, r := range rows {
		if r.plane == managementPlane {
			all = append(all, Action(i))
		}
	}
	return all
}

// An id of one tenant is nobody in another, even if a door lets it pass.
func TestCallersOfOtherTenantsManageNothing(t *testing.T) {
	rules := Rules{TenantID: tenant, Assignments: []Assignment{at(kv1, OwnerID)}}
	for _, of := range []string{"", "aaaaaaaa-0000-0000-0000-00000000000f", tenant} {
		c := annCaller()
		c.TenantID = of
		if d := Decide(c, VaultDelete, Target{Resource: kv1}, rules); d.Allowed != (of == tenant) {
			t.Errorf("of tenant %q: %v", of, d.Allowed)
		}
	}
}
