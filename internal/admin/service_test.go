package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/fault"
	"coffer/internal/store"
)

// step is one call and what must come of it.
type step struct {
	call string
	in   any
	kind fault.Kind // 0: success
	want string     // part of the answer or of the refusal
	save string     // keeps the answer's id under this name: {name} in later inputs
}

// allSteps uses every call, well and badly.
func allSteps(t *testing.T) []step {
	yes, rules := true, []string{"192.0.2.0/24", "2001:db8::1"}
	const external, unknown = "11111111-2222-3333-4444-555555555555", "66666666-2222-3333-4444-555555555555"
	return []step{
		{VaultCreate, NewVault{Name: "main", Location: "north", SKU: "premium", RetentionDays: 7}, 0, `"retentionDays":7`, ""},
		{VaultCreate, NewVault{Name: "MAIN"}, fault.Conflict, "already in use", ""},
		{VaultCreate, NewVault{Name: "no_name"}, fault.Invalid, "a vault name has", ""},
		{VaultCreate, NewVault{Name: "abc", RetentionDays: 91}, fault.Invalid, "retention is 7 to 90 days", ""},
		{VaultCreate, NewVault{Name: "roles", RBAC: true, PurgeProtection: true}, 0, `"model":"rbac"`, ""},
		{VaultList, None{}, 0, `"name":"roles"`, ""},
		{VaultShow, ByName{"Main"}, 0, `"name":"main"`, ""},
		{VaultShow, ByName{"none"}, fault.NotFound, "none", ""},
		{VaultUpdate, VaultChange{Name: "main", DefaultDeny: &yes, IPRules: &rules}, 0, `"ipRules":["192.0.2.0/24","2001:db8::1"]`, ""},
		{VaultUpdate, VaultChange{Name: "main", IPRules: &[]string{"10.0.0.0/99"}}, fault.Invalid, "'10.0.0.0/99' is not an address or prefix", ""},
		{VaultUpdate, VaultChange{Name: "roles", PurgeProtection: new(bool)}, fault.Invalid, "cannot be switched off", ""},
		{VaultUpdate, VaultChange{Name: "main", SKU: new("standard")}, 0, `"sku":"standard"`, ""},
		{VaultUpdate, VaultChange{Name: "main", SKU: new("gold")}, fault.Invalid, "sku is", ""},
		{VaultUpdate, VaultChange{Name: "none"}, fault.NotFound, "none", ""},

		{IdentityCreate, NewIdentity{"web", "application"}, 0, `"kind":"servicePrincipal"`, "web"},
		{IdentityCreate, NewIdentity{"job", "managed"}, 0, `"kind":"managedIdentity"`, "job"},
		{IdentityCreate, NewIdentity{"team", "group"}, 0, `"kind":"group"`, "team"},
		{IdentityCreate, NewIdentity{"web", "application"}, 0, `"name":"web"`, "web2"}, // names are not unique
		{IdentityCreate, NewIdentity{"ann", "user"}, fault.Invalid, "A kind is application, managed or group", ""},
		{IdentityCreate, NewIdentity{" x", "application"}, fault.Invalid, "Property name", ""},
		{IdentityList, None{}, 0, `"name":"team"`, ""},
		{IdentityShow, ByID{"web"}, fault.Conflict, "Several identities are named 'web'", ""},
		{IdentityDelete, ByID{"{web2}"}, 0, "", ""},
		{IdentityShow, ByID{"web"}, 0, `"objectId":"{web}"`, ""},
		{IdentityShow, ByID{"nobody"}, fault.NotFound, "There is no identity 'nobody'", ""},
		{IdentityShow, ByID{external}, fault.NotFound, external, ""},
		{IdentityDisable, ByID{"web"}, 0, `"enabled":false`, ""},
		{IdentityEnable, ByID{"{web}"}, 0, `"enabled":true`, ""},
		{IdentityDisable, ByID{"nobody"}, fault.NotFound, "nobody", ""},
		{IdentityRevoke, Revocation{ID: "web"}, 0, `"validAfter":"20`, ""},
		{IdentityRevoke, Revocation{ID: "team"}, fault.Invalid, "A group has no tokens", ""},
		{IdentityRevoke, Revocation{ID: unknown}, fault.NotFound, unknown, ""},
		{IdentityRevoke, Revocation{ID: "nobody", External: true}, fault.Invalid, "It must be the GUID of a principal", ""},
		{IdentityRevoke, Revocation{ID: unknown, External: true}, 0, `"kind":"user"`, ""},
		{IdentityRevoke, Revocation{ID: unknown}, 0, `"validAfter":"20`, ""},

		{TokenKeyRotate, None{}, 0, `"signs":true`, ""},
		{TokenKeys, None{}, 0, `"signs":true`, ""},
		{TokenKeysRevoke, KeyIDs{IDs: []string{"x"}}, fault.NotFound, "There is no signing key 'x'", ""},
		{TokenKeysRevoke, KeyIDs{}, 0, `"signs":true`, ""},

		{SecretAdd, NewSecret{ID: "web"}, 0, `"kind":"secret"`, "credential"},
		{SecretAdd, NewSecret{ID: "web", Expires: time.Unix(1, 0)}, fault.Invalid, "It lies in the past", ""},
		{SecretAdd, NewSecret{ID: "team"}, fault.Invalid, "does not belong to a group", ""},
		{HeaderAdd, NewSecret{ID: "job", Expires: time.Now().Add(time.Hour)}, 0, `"kind":"identityHeader"`, ""},
		{CertificateAdd, NewCertificate{"web", certificatePEM(t)}, 0, `"kind":"certificate"`, ""},
		{CertificateAdd, NewCertificate{"web", "nonsense"}, fault.Invalid, "It is not an X.509 certificate", ""},
		{FederatedAdd, NewFederated{ID: "web", Issuer: "https://idp.test", Subject: "s"}, 0, `"issuer":"https://idp.test"`, ""},
		{FederatedAdd, NewFederated{ID: "web", Issuer: "http://idp.test", Subject: "s"}, fault.Invalid, "Property issuer", ""},
		{CredentialRemove, Forget{"web", external}, fault.NotFound, "has no credential", ""},
		{CredentialRemove, Forget{"job", "{credential}"}, fault.NotFound, "has no credential", ""}, // another's
		{CredentialRemove, Forget{"web", "{credential}"}, 0, "", ""},

		{MemberAdd, Membership{"team", "web"}, 0, "", ""},
		{MemberAdd, Membership{"team", external}, 0, "", ""}, // a user of an external issuer
		{MemberAdd, Membership{"web", "job"}, fault.Invalid, "is not a group", ""},
		{MemberAdd, Membership{"team", "nobody"}, fault.NotFound, "nobody", ""},
		{IdentityShow, ByID{"team"}, 0, `"` + external + `"`, ""},
		{MemberRemove, Membership{"team", external}, 0, "", ""},
		{IdentityShow, ByID{"web"}, 0, `"groups":["{team}"]`, ""},

		{PolicySet, Policy{Vault: "main", Principal: "web", Certificates: []string{"get", "List"}, Secrets: []string{"all"}}, 0, `"certificates":["get","List"]`, ""},
		{PolicySet, Policy{Vault: "main", Principal: external, Keys: []string{"get"}}, 0, `"objectId":"` + external, ""},
		{PolicySet, Policy{Vault: "main", Principal: "web", Keys: []string{"fly"}}, fault.Invalid, "'fly' is not a permission of keys.", ""},
		{PolicySet, Policy{Vault: "main", Principal: "web", Certificates: []string{"manageContact"}}, fault.Invalid, "is not a permission of certificates. Did you mean 'managecontacts'?", ""},
		{PolicySet, Policy{Vault: "main", Principal: "nobody"}, fault.NotFound, "nobody", ""},
		{PolicySet, Policy{Vault: "none", Principal: "web"}, fault.NotFound, "none", ""},
		{PolicyRemove, Policy{Vault: "main", Principal: "job"}, fault.NotFound, "The vault has no access policy for {job}", ""},
		{PolicyRemove, Policy{Vault: "main", Principal: "web"}, 0, `"accessPolicies":[{"objectId":"` + external, ""},

		{RoleAssign, NewAssignment{Role: "Key Vault Reader", Principal: "web", Vault: "roles"}, 0, `"role":"Key Vault Reader"`, "assignment"},
		{RoleAssign, NewAssignment{Role: "key vault reader", Principal: "{web}", Vault: "Roles"}, fault.Conflict, "already exists", ""},
		{RoleAssign, NewAssignment{Role: "Key Vault Secrets User", Principal: "web", Vault: "roles", Object: "secrets/app"}, 0, "vaults/roles/secrets/app", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Scope: "/"}, 0, `"scope":"/"`, ""},
		{RoleAssign, NewAssignment{Role: "King", Principal: "web", Scope: "/"}, fault.Invalid, "There is no role 'King'.", ""},
		{RoleAssign, NewAssignment{Role: "Key Vault Raeder", Principal: "web", Scope: "/"}, fault.Invalid, "There is no role 'Key Vault Raeder'. Did you mean 'Key Vault Reader'?", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web"}, fault.Invalid, "Give either a vault or a scope", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Vault: "roles", Scope: "/"}, fault.Invalid, "Give either a vault or a scope", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Scope: "/", Object: "secrets/app"}, fault.Invalid, "An object goes with a vault", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Vault: "roles", Object: "secrets"}, fault.Invalid, "An object is certificates/NAME", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Vault: "roles", Object: "secrets/a/b"}, fault.Invalid, "An object is certificates/NAME", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Scope: "x"}, fault.Invalid, "A scope begins with '/'", ""},
		{RoleAssign, NewAssignment{Role: "Reader", Principal: "web", Scope: "/", Condition: "("}, fault.Invalid, "", ""},
		{RoleList, ByName{"main"}, 0, `"scope":"/"`, ""},
		{RoleList, ByName{}, 0, "secrets/app", ""},
		{RoleList, ByName{"none"}, fault.NotFound, "none", ""},
		{RoleUnassign, ByID{"{assignment}"}, 0, "", ""},
		{RoleUnassign, ByID{"{assignment}"}, fault.NotFound, "There is no role assignment", ""},

		{CAShow, None{}, 0, `"state":"current"`, ""},
		{CARotate, None{}, 0, `"state":"next"`, ""},
		{CASwitch, None{}, 0, `"state":"former"`, ""},
		{CARetire, None{}, 0, `"state":"retired"`, ""},
		{Rotate, None{}, 0, `{"rootKey":"0123456789abcdef","dataKeys":3}`, ""},
		{RotateDataKeys, DataKeyRotation{Vault: "main"}, 0, `{"dataKeys":4,"boxes":7}`, ""},
		{RotateStatus, None{}, 0, `"state":"replaced"`, ""},
		{JobList, None{}, 0, `"error":"away"`, ""},
		{JobRetry, ByID{"job-1"}, 0, "{}", ""},
		{JobRetry, ByID{"job-2"}, fault.NotFound, "There is no job job-2", ""},
		{AuditShow, None{}, 0, `"sequence":7`, ""},
		{HealthShow, None{}, 0, `"check":"the HSM"`, ""},
		{Backup, ToFile{filepath.Join(t.TempDir(), "copy.db")}, 0, "{}", ""},
		{Backup, ToFile{t.TempDir()}, -1, "file exists", ""}, // only the operator can act on it
		{VaultDelete, ByName{"roles"}, fault.Forbidden, "purge protection", ""},
		{VaultDelete, ByName{"main"}, 0, "{}", ""},
		{VaultDelete, ByName{"main"}, fault.NotFound, "main", ""},
		{IdentityDelete, ByID{"team"}, 0, "{}", ""},
	}
}

// run makes the steps through a door and answers what came, with what differs
// from run to run replaced.
func run(t *testing.T, d door, steps []step) (told []string) {
	t.Helper()
	saved := map[string]string{}
	fill := func(s string) string {
		for name, id := range saved {
			s = strings.ReplaceAll(s, "{"+name+"}", id)
		}
		return s
	}
	for i, s := range steps {
		in, err := json.Marshal(s.in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := d.call(s.call, json.RawMessage(fill(string(in))))
		got := string(out)
		if err != nil {
			got = err.Error()
		}
		f, known := errors.AsType[*fault.Error](err)
		switch {
		case s.kind == 0 && err != nil,
			s.kind > 0 && (!known || f.Kind != s.kind),
			s.kind < 0 && (err == nil || known && f.Kind != 0):
			t.Errorf("step %d, %s %s: %v", i, s.call, in, err)
		case !strings.Contains(got, fill(s.want)):
			t.Errorf("step %d, %s %s: %s, want %s", i, s.call, in, got, s.want)
		}
		if s.save != "" {
			var ids struct{ ID, ObjectID string }
			if err := json.Unmarshal(out, &ids); err != nil {
				t.Fatal(err)
			}
			saved[s.save] = ids.ID + ids.ObjectID
		}
		told = append(told, s.call+" "+differs.ReplaceAllString(got, "*"))
	}
	return told
}

// differs are ids, ids of keys, times, secrets and folders.
var differs = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|20\d\d-\d\d-\d\dT[0-9:.]+Z|cof_[0-9A-Za-z_-]+|/tmp/\S+|"hint":"[^"]*"|"id":"[0-9A-Za-z_-]{27}"`)

// TestBothDoorsSayTheSame makes the steps through the socket and in this process:
// the same answers, the same refusals, the same records.
func TestBothDoorsSayTheSame(t *testing.T) {
	local, served := newInstallation(t), newInstallation(t)
	_, remote := served.serve()
	steps := allSteps(t)
	used := map[string]bool{}
	for _, s := range steps {
		used[s.call] = true
	}
	for _, name := range slices.Sorted(maps.Keys(local.service.calls)) {
		if !used[name] {
			t.Errorf("the steps do not use %s", name)
		}
	}
	want := run(t, here{local}, steps)
	got := run(t, remote, allSteps(t)) // backups go to files of their own
	for i := range want {
		// Lists stand in the order of ids, which are random.
		if sorted(want[i]) != sorted(got[i]) {
			t.Errorf("step %d\n here:   %s\n socket: %s", i, want[i], got[i])
		}
	}

	// Each call is on record once, with who did it.
	for name, w := range map[string]*installation{"here": local, "socket": served} {
		var wantOps, gotOps []string
		for _, s := range steps {
			result := "Success"
			if s.kind != 0 {
				result = "Failure"
			}
			wantOps = append(wantOps, w.service.calls[s.call].action.Operation()+" "+result)
		}
		for _, r := range w.records() {
			gotOps = append(gotOps, r.Operation+" "+r.Result)
			if c := r.Identity.Claim; c.UPN != operator || c.UID != strconv.Itoa(os.Getuid()) {
				t.Errorf("%s: %s was done by %+v", name, r.Operation, c)
			}
			if (r.Result == "Failure") != (r.Description != "") {
				t.Errorf("%s: %s %s says %q", name, r.Operation, r.Result, r.Description)
			}
		}
		if d := cmp.Diff(wantOps, gotOps); d != "" {
			t.Errorf("%s: records (-want +got)\n%s", name, d)
		}
	}
}

// sorted is a line of the answers with its lists in an order of their own.
func sorted(line string) string {
	call, text, _ := strings.Cut(line, " ")
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return line // a refusal
	}
	raw, _ := json.Marshal(inOrder(v)) // it was JSON
	return call + " " + string(raw)
}

func inOrder(v any) any {
	switch v := v.(type) {
	case []any:
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(inOrder(a)), fmt.Sprint(inOrder(b))) })
	case map[string]any:
		for name := range v {
			v[name] = inOrder(v[name])
		}
	}
	return v
}

// TestRecordsTellWhatWasTouched: the vault, the identity, the policy, and the
// settings before and after.
func TestRecordsTellWhatWasTouched(t *testing.T) {
	w := newInstallation(t)
	d := here{w}
	do := func(name string, in any) (id string) {
		t.Helper()
		out, err := d.call(name, in)
		if err != nil {
			t.Fatal(err)
		}
		var ids struct{ ID, ObjectID string }
		if err := json.Unmarshal(out, &ids); err != nil {
			t.Fatal(err)
		}
		return ids.ID + ids.ObjectID
	}
	do(VaultCreate, NewVault{Name: "main"})
	web := do(IdentityCreate, NewIdentity{"web", "application"})
	yes := true
	do(VaultUpdate, VaultChange{Name: "main", RBAC: &yes})
	do(PolicySet, Policy{Vault: "main", Principal: "web", Keys: []string{"get"}})
	role := do(RoleAssign, NewAssignment{Role: "Key Vault Reader", Principal: "web", Vault: "main"})
	do(SecretAdd, NewSecret{ID: "web"})
	do(RoleUnassign, ByID{role})
	const resource = "/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/LOCAL/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/MAIN"
	want := []struct{ resource, id string }{
		{resource, ""},
		{"", "/identities/" + web},
		{resource, ""},
		{resource, "/accessPolicies/" + web},
		{resource, "/roleAssignments/" + role[strings.LastIndex(role, "/")+1:]},
		{"", "/identities/" + web},
		{"", "/roleAssignments/" + role},
	}
	got := w.records()
	if len(got) != len(want) {
		t.Fatalf("%d records", len(got))
	}
	for i, r := range got {
		if r.ResourceID != want[i].resource || r.Properties.ID != want[i].id {
			t.Errorf("record %d, %s: %q, %q, want %+v", i, r.Operation, r.ResourceID, r.Properties.ID, want[i])
		}
	}
	if p := got[2].Properties; p.RBAC == nil || !*p.RBAC || !strings.Contains(string(p.Before), `"enableRbacAuthorization":false`) {
		t.Errorf("the change of the model: %+v, before %s", p, p.Before)
	}
	if p := got[3].Properties; p.Vault["accessPolicies"] != 1.0 || !strings.Contains(string(p.Before), `"accessPolicies":0`) {
		t.Errorf("the policy: %+v, before %s", p, p.Before)
	}
}

// TestNothingIsServedOffTheRecord: every call is refused while the audit log cannot
// be written, and has no effect.
func TestNothingIsServedOffTheRecord(t *testing.T) {
	w := newInstallation(t)
	_, remote := w.serve()
	for _, s := range allSteps(t)[:48] { // with something of everything
		_, _ = remote.call(s.call, s.in) // those that need an earlier answer fail, which is fine
	}
	state := func() (all string) {
		for _, name := range []string{VaultList, IdentityList, RoleList} {
			out, err := remote.call(name, None{})
			if err != nil {
				t.Fatal(err)
			}
			all += string(out)
		}
		for _, id := range []string{"job", "team"} {
			out, err := remote.call(IdentityShow, ByID{id})
			if err != nil {
				t.Fatal(err)
			}
			all += string(out)
		}
		return all
	}
	before := state()
	w.full.Store(true)
	for _, s := range allSteps(t) {
		if s.kind != 0 {
			continue
		}
		if _, err := remote.call(s.call, s.in); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "cannot be recorded") {
			t.Errorf("%s with a full disk: %v", s.call, err)
		}
	}
	w.full.Store(false)
	if after := state(); after != before {
		t.Errorf("changed off the record (-before +after)\n%s", cmp.Diff(before, after))
	}
}

// TestRightsOfADeletedVaultAreGone, also those that an
// earlier version, which deleted them in a second transaction, left at a crash.
func TestRightsOfADeletedVaultAreGone(t *testing.T) {
	w := newInstallation(t)
	d := here{w}
	do := func(name string, in any) string {
		t.Helper()
		out, err := d.call(name, in)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	do(VaultCreate, NewVault{Name: "main", RBAC: true})
	do(IdentityCreate, NewIdentity{"web", "application"})
	do(RoleAssign, NewAssignment{Role: "Key Vault Reader", Principal: "web", Vault: "main"})
	// The vault is gone, its assignments are not.
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		v, err := tx.Vault(t.Context(), "main")
		if err != nil {
			return err
		}
		return tx.DeleteVault(t.Context(), v.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := do(RoleList, ByName{}); !strings.Contains(out, "vaults/main") {
		t.Fatal("nothing was left")
	}
	do(VaultCreate, NewVault{Name: "main", RBAC: true})
	if out := do(RoleList, ByName{}); out != "[]" {
		t.Errorf("rights on the earlier vault reach the new one: %s", out)
	}
	do(RoleAssign, NewAssignment{Role: "Key Vault Reader", Principal: "web", Vault: "main", Object: "secrets/app"})
	do(VaultDelete, ByName{"main"})
	if out := do(RoleList, ByName{}); out != "[]" {
		t.Errorf("after the delete: %s", out)
	}
	// An existing vault keeps its rights when its name is asked for again.
	do(VaultCreate, NewVault{Name: "main", RBAC: true})
	do(RoleAssign, NewAssignment{Role: "Key Vault Reader", Principal: "web", Vault: "main"})
	if _, err := d.call(VaultCreate, NewVault{Name: "Main"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the name is taken: %v", err)
	}
	if out := do(RoleList, ByName{}); !strings.Contains(out, "vaults/main") {
		t.Error("creating a vault that exists took its rights away")
	}
}

// certificatePEM is one that can sign assertions.
func certificatePEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
