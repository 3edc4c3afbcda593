package main

import (
	"encoding/json"
	"strings"
	"testing"

	"coffer/internal/admin"
)

// TestNamesOfPrincipals: who is meant is found, shown beside the ids, and asked about
// before it is deleted.
func TestNamesOfPrincipals(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	const unknown = "0f0f0f0f-0000-4000-8000-000000000001"
	f.coffer("access", "set", "main", unknown, "--secrets", "get")
	f.coffer("access", "assign", "Key Vault Reader", unknown, "--vault", "main")
	f.coffer("access", "assign", "Key Vault Reader", "administrator", "--vault", "main")
	list := f.coffer("access", "list", "main")
	if strings.Count(list, f.who.ObjectID+" (administrator)") != 2 || strings.Count(list, unknown+" (not in the directory)") != 2 {
		t.Errorf("the list does not say who they are:\n%s", list)
	}
	var shown struct {
		Policies    []admin.PolicyView     `json:"accessPolicies"`
		Assignments []admin.AssignmentView `json:"roleAssignments"`
	}
	if err := json.Unmarshal([]byte(f.coffer("access", "list", "main", "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, p := range shown.Policies {
		names[p.ObjectID] += p.Name
	}
	for _, a := range shown.Assignments {
		names[a.Principal] += a.Name
	}
	if names[f.who.ObjectID] != "administratoradministrator" || names[unknown] != "" || len(names) != 2 {
		t.Errorf("for programs: %v", names)
	}

	var first, second admin.IdentityView
	for _, v := range []*admin.IdentityView{&first, &second} {
		if err := json.Unmarshal([]byte(f.coffer("identity", "create", "web", "--json")), v); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(first.ObjectID+"  servicePrincipal, created ", "identity", "show", "web")
	f.refused(second.ObjectID+"  servicePrincipal, created ", "access", "set", "main", "web", "--keys", "get")
	f.refused("There is no identity 'nobody'", "identity", "delete", "nobody")
	f.refused("this deletes the servicePrincipal 'web' ("+first.ObjectID+")", "identity", "delete", first.ObjectID)
	f.refused("none", "vault", "delete", "none")
	f.coffer("identity", "delete", first.ObjectID, "--yes")
	f.coffer("identity", "show", "web")
	f.refused("A name is not a GUID", "identity", "create", unknown)
	f.refused("copies of the database from before can never be opened again without a copy of the old keys: say --yes", "rotate", "--forget-old")
}
