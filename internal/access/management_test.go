package access

import (
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
			m := Management{
				Action: "Microsoft.Authorization/roleAssignments/" + verb, Scope: kv1,
				RoleID:      "/subscriptions/" + sub + "/providers/Microsoft.Authorization/roleDefinitions/" + strings.ToUpper(role.ID),
				PrincipalID: team,
			}
			if _, got := Manages(annCaller(), m, tenant, []Assignment{at("/", dataAccessAdmin)}, nil); got != want {
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
		what string
		as   Assignment
		m    Management
		want bool
	}{
		{"an owner", at("/", OwnerID), Management{Action: write, Scope: kv1}, true},
		{"an owner of another vault", at(vaults+"kv2", OwnerID), Management{Action: write, Scope: kv1}, false},
		{"a contributor", at("/", "b24988ac-6180-42a0-ab88-20f7382dd24c"), Management{Action: write, Scope: kv1}, true},
		{"a contributor who assigns", at("/", "b24988ac-6180-42a0-ab88-20f7382dd24c"), Management{Action: assignmentWrite, Scope: kv1}, false},
		{"a vault contributor", at("/", "f25e0fa2-a7c8-4377-a976-54943a77a395"), Management{Action: write, Scope: kv1}, true},
		{"a vault contributor who purges", at("/", "f25e0fa2-a7c8-4377-a976-54943a77a395"), Management{Action: purge, Scope: "/subscriptions/" + sub}, false},
		{"a purge operator", at("/", "a68e7c17-0ab2-4c09-9a58-125dae29748c"), Management{Action: purge, Scope: "/subscriptions/" + sub}, true},
		{"data actions count for nothing", at("/", administrator), Management{Action: write, Scope: kv1}, false},
		{"an administrator reads the vault", at("/", administrator), Management{Action: "Microsoft.KeyVault/vaults/secrets/read", Scope: kv1}, true},
		{"a condition that holds", conditional, Management{Action: write, Scope: kv1}, true},
		{"a condition where there must be none", conditional, Management{Action: assignmentWrite, Scope: kv1, Unconditional: true}, false},
		{"an owner where there must be none", at("/", OwnerID), Management{Action: assignmentWrite, Scope: kv1, Unconditional: true}, true},
	} {
		if _, got := Manages(annCaller(), tt.m, tenant, []Assignment{tt.as}, nil); got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}

func TestAnEmptyTenantHasNoRootGroup(t *testing.T) {
	as := at("/providers/Microsoft.Management/managementGroups//", OwnerID)
	if _, ok := Manages(annCaller(), Management{Action: "x", Scope: kv1}, "", []Assignment{as}, nil); ok {
		t.Error("allowed")
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
		if !isGUID(r.ID) || seen[r.ID] || seen[r.Name] {
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
