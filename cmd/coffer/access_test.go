package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"coffer/internal/admin"
)

// TestRightsEndAtOnce: what the operator takes away counts for the next request,
// also of those who hold a token.
func TestRightsEndAtOnce(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	p := f.start()
	f.coffer("identity", "create", "web")
	secret := strings.TrimSpace(f.coffer("identity", "secret", "web"))
	var web admin.IdentityView
	if err := json.Unmarshal([]byte(f.coffer("identity", "show", "web", "--json")), &web); err != nil {
		t.Fatal(err)
	}
	token := p.signIn(web.ClientID, secret)
	wants := func(when string, status int) {
		t.Helper()
		a, err := p.as(token, http.MethodGet, "/certificates", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.status != status {
			t.Errorf("%s: %d, want %d: %v", when, a.status, status, a.body)
		}
	}
	signsIn := func(when string, status int) {
		t.Helper()
		if _, got := p.tryToSignIn(web.ClientID, secret); got != status {
			t.Errorf("%s: signing in answers %d, want %d", when, got, status)
		}
	}
	wants("without a policy", http.StatusForbidden)
	f.coffer("access", "set", "main", "web", "--certificates", "list")
	wants("with a policy", http.StatusOK)
	f.coffer("access", "remove", "main", "web")
	wants("after the policy", http.StatusForbidden)
	f.coffer("access", "set", "main", "web", "--certificates", "list")
	f.coffer("identity", "disable", "web")
	wants("disabled", http.StatusUnauthorized)
	signsIn("disabled", http.StatusBadRequest) // AADSTS7000112
	f.coffer("identity", "enable", "web")
	wants("enabled again, with a token of before", http.StatusUnauthorized)
	token = p.signIn(web.ClientID, secret)
	wants("enabled again", http.StatusOK)

	f.coffer("vault", "update", "main", "--rbac", "--yes")
	wants("by roles, without one", http.StatusForbidden)
	var role admin.AssignmentView
	if err := json.Unmarshal([]byte(f.coffer("access", "assign", "Key Vault Reader", "web", "--vault", "main", "--json")), &role); err != nil {
		t.Fatal(err)
	}
	wants("by role", http.StatusOK)
	f.coffer("access", "unassign", role.ID)
	wants("after the role", http.StatusForbidden)
	// A right through a group ends with the membership.
	f.coffer("identity", "create", "team", "--kind", "group")
	f.coffer("access", "assign", "Key Vault Reader", "team", "--vault", "main")
	f.coffer("identity", "join", "team", "web")
	wants("in a group", http.StatusOK)
	f.coffer("identity", "leave", "team", "web")
	wants("out of the group", http.StatusForbidden)

	signsIn("with its secret", http.StatusOK)
	f.coffer("identity", "forget", "web", web.Credentials[0].ID)
	signsIn("without its secret", http.StatusUnauthorized)
	f.coffer("identity", "delete", "web", "--yes")
	wants("deleted", http.StatusUnauthorized)

	// A vault that is made again owes nothing to those who had rights on the old one.
	f.coffer("vault", "create", "second", "--rbac")
	f.coffer("access", "assign", "Key Vault Administrator", "administrator", "--vault", "second")
	f.coffer("vault", "delete", "second", "--yes")
	f.coffer("vault", "create", "second", "--rbac")
	if out := f.coffer("access", "list", "second"); strings.Contains(out, "Administrator") {
		t.Errorf("rights on a deleted vault are back:\n%s", out)
	}
	p.stop(syscall.SIGTERM)
}
