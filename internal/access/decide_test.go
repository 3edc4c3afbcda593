package access

import (
	"strings"
	"testing"

	"coffer/internal/object"
)

// Acceptance check 2.
func TestGetAndListDoNotImplyEachOther(t *testing.T) {
	get, list := policies(entry(object.Certificates, "get")), policies(entry(object.Certificates, "list"))
	if allows(annCaller(), CertificateList, object.Name{}, get) {
		t.Error("get lists")
	}
	if allows(annCaller(), CertificateGet, name("web"), list) {
		t.Error("list gets")
	}
}

// Acceptance check 3, and what the documents say of the other roles.
func TestBuiltinRolesGiveWhatTheirNamesSay(t *testing.T) {
	for _, tt := range []struct {
		role     string
		can, not []Action
	}{
		{"Key Vault Administrator", Actions(), nil},
		{"Key Vault Certificates Officer",
			[]Action{CertificateCreate, CertificatePendingMerge, CertificateDelete, CertificatePurge, CertificateContactsGet, CertificateIssuerDelete},
			[]Action{SecretGet, SecretList, KeyGet, KeySign}},
		{"Key Vault Certificate User", []Action{CertificateGet, SecretGet, SecretList, KeyGet, KeyVerify}, []Action{CertificateCreate, SecretSet, KeySign}},
		{"Key Vault Reader", []Action{CertificateGet, CertificateIssuersList, KeyGet, KeyRotationPolicyGet, SecretList},
			[]Action{SecretGet, CertificateContactsGet, KeySign, CertificateUpdate}},
		{"Key Vault Crypto Officer", []Action{KeyCreate, KeyRotationPolicySet, KeyPurge, KeyRelease}, []Action{SecretGet, CertificateGet}},
		{"Key Vault Crypto User", []Action{KeySign, KeyUnwrap, KeyBackup}, []Action{KeyRelease, KeyCreate, KeyDelete}},
		{"Key Vault Crypto Service Encryption User", []Action{KeyWrap, KeyUnwrap, KeyGet}, []Action{KeyDecrypt, KeySign}},
		{"Key Vault Crypto Service Release User", []Action{KeyRelease}, []Action{KeyGet}},
		{"Key Vault Secrets Officer", []Action{SecretSet, SecretPurge, SecretGet}, []Action{KeyGet, CertificateGet}},
		{"Key Vault Secrets User", []Action{SecretGet, SecretList}, []Action{SecretSet, SecretBackup}},
		{"Owner", nil, Actions()},
		{"Contributor", nil, Actions()},
		{"Key Vault Contributor", nil, Actions()},
		{"Key Vault Data Access Administrator", nil, Actions()},
	} {
		role, ok := RoleByName(strings.ToUpper(tt.role))
		if !ok {
			t.Errorf("no role %s", tt.role)
			continue
		}
		rules := roles(at(kv1, "/subscriptions/"+sub+"/providers/Microsoft.Authorization/roleDefinitions/"+strings.ToUpper(role.ID)))
		for _, a := range tt.can {
			if !allows(annCaller(), a, name("web"), rules) {
				t.Errorf("%s cannot %v", tt.role, a)
			}
		}
		for _, a := range tt.not {
			if allows(annCaller(), a, name("web"), rules) {
				t.Errorf("%s can %v", tt.role, a)
			}
		}
	}
}

// Acceptance check 4.
func TestPolicyEntriesOfGroupsAddUp(t *testing.T) {
	group := entry(object.Secrets, "get")
	group.ObjectID = strings.ToUpper(team)
	member := annCaller()
	member.Groups = []string{"bbbbbbbb-0000-0000-0000-00000000000f", team} // closed over nesting by identity
	foreign := entry(object.Secrets, "get")
	foreign.TenantID = "aaaaaaaa-0000-0000-0000-000000000002"
	nobody := entry(object.Secrets, "all")
	nobody.ObjectID = ""
	gone := entry(object.Secrets, "all")
	gone.ObjectID = "bbbbbbbb-0000-0000-0000-0000000000ff"
	anonymous := annCaller()
	anonymous.ObjectID, anonymous.Groups = "", []string{""}

	for _, tt := range []struct {
		what  string
		c     Caller
		a     Action
		rules Rules
		want  bool
	}{
		{"a member", member, SecretGet, policies(group), true},
		{"not a member", annCaller(), SecretGet, policies(group), false},
		{"the first of two entries", member, SecretGet, policies(group, entry(object.Secrets, "list")), true},
		{"the second of two entries", member, SecretList, policies(group, entry(object.Secrets, "list")), true},
		{"an entry of another tenant", annCaller(), SecretGet, policies(foreign), false},
		{"an entry of nobody", annCaller(), SecretGet, policies(nobody), false},
		{"an entry of nobody, for a caller without id", anonymous, SecretGet, policies(nobody), false},
		{"an entry of a removed principal", annCaller(), SecretGet, policies(gone), false},
	} {
		if got := allows(tt.c, tt.a, name("db"), tt.rules); got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}

func TestCallersOfAnotherTenantMayNothing(t *testing.T) {
	for _, id := range []string{"", "aaaaaaaa-0000-0000-0000-000000000002"} {
		c := annCaller()
		c.TenantID = id
		if allows(c, SecretGet, name("db"), policies(entry(object.Secrets, "all"))) || allows(c, SecretGet, name("db"), roles(at("/", administrator))) {
			t.Errorf("tenant %q is let in", id)
		}
	}
	noTenant := policies(entry(object.Secrets, "all"))
	noTenant.Vault.TenantID, noTenant.Vault.AccessPolicies[0].TenantID = "", ""
	c := annCaller()
	c.TenantID = ""
	if allows(c, SecretGet, name("db"), noTenant) {
		t.Error("a vault without a tenant lets callers without a tenant in")
	}
}

// Acceptance check 5; the texts are in TestRefusalsAreLiteral.
func TestCompoundEntriesNeedTheirApplication(t *testing.T) {
	compound := entry(object.Secrets, "get")
	compound.ApplicationID = strings.ToUpper(app)
	other, appOnly := annCaller(), annCaller()
	other.AppID = "cccccccc-0000-0000-0000-000000000002"
	appOnly.Delegated = false
	for _, tt := range []struct {
		what  string
		c     Caller
		rules Rules
		want  bool
	}{
		{"through the application", annCaller(), policies(compound), true},
		{"through another", other, policies(compound), false},
		{"the application alone", appOnly, policies(compound), false},
		{"through another, with a plain entry", other, policies(compound, entry(object.Secrets, "get")), true},
	} {
		if got := allows(tt.c, SecretGet, name("db"), tt.rules); got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}

// Acceptance check 6.
func TestPolicyWordsCompareWithoutCase(t *testing.T) {
	if !allows(annCaller(), SecretGet, name("db"), policies(entry(object.Secrets, "Get"))) {
		t.Error("Get")
	}
	if !allows(annCaller(), KeyWrap, name("k"), policies(entry(object.Keys, "WRAPKEY"))) {
		t.Error("WRAPKEY")
	}
	if msg := decide(annCaller(), KeyWrap, name("k"), policies()).Refusal.Msg; !strings.Contains(msg, "does not have keys wrapKey permission") {
		t.Error(msg)
	}
}

// Acceptance check 7.
func TestRolesReachTheirScopeAndBelow(t *testing.T) {
	object1 := kv1 + "/secrets/app"
	for _, tt := range []struct {
		scope           string
		get, list, app2 bool // get of app, list, get of app2
	}{
		{"/", true, true, true},
		{"/providers/Microsoft.Management/managementGroups/" + tenant, true, true, true},
		{"/providers/Microsoft.Management/managementGroups/other", false, false, false},
		{"/providers/Microsoft.Management/managementGroups/", false, false, false},
		{"/subscriptions/" + strings.ToUpper(sub), true, true, true},
		{"/subscriptions/" + sub + "/", true, true, true},
		{"/subscriptions/" + sub[:30], false, false, false},
		{"/subscriptions/" + sub + "/resourcegroups/rg-1", true, true, true},
		{"/subscriptions/" + sub + "/resourceGroups/Rg-", false, false, false},
		{"/subscriptions/" + sub + "/resourceGroups/Rg-1/providers/Microsoft.Storage", false, false, false},
		{strings.ToUpper(kv1), true, true, true},
		{vaults + "kv", false, false, false},
		{vaults + "kv11", false, false, false},
		{object1, true, false, false},
		{strings.ToUpper(object1), true, false, false},
		{kv1 + "/secrets/app2", false, false, true},
		{kv1 + "/certificates/app", false, false, false},
		{object1 + "/0123456789abcdef0123456789abcdef", false, false, false},
		{"", false, false, false},
		{"//", false, false, false},
	} {
		rules := roles(at(tt.scope, secretsUser))
		if got := allows(annCaller(), SecretGet, name("App"), rules); got != tt.get {
			t.Errorf("get at %q: %t", tt.scope, got)
		}
		if got := allows(annCaller(), SecretList, object.Name{}, rules); got != tt.list {
			t.Errorf("list at %q: %t", tt.scope, got)
		}
		if got := allows(annCaller(), SecretGet, name("app2"), rules); got != tt.app2 {
			t.Errorf("get of app2 at %q: %t", tt.scope, got)
		}
	}
}

// A name that is not known yet is asked about on the vault (restore).
func TestRestoreWithoutANameNeedsARightOnTheVault(t *testing.T) {
	if !allows(annCaller(), SecretRestore, object.Name{}, roles(at(kv1, secretsOfficer))) {
		t.Error("refused on the vault")
	}
	for _, scope := range []string{kv1 + "/secrets/app", kv1 + "/secrets"} {
		if allows(annCaller(), SecretRestore, object.Name{}, roles(at(scope, secretsOfficer))) {
			t.Errorf("allowed by a right on %s", scope)
		}
	}
}

// Acceptance check 8.
func TestWildcardsOfRoles(t *testing.T) {
	read := roles(at(kv1, custom))
	read.Roles = []Role{{ID: custom, DataActions: []string{"microsoft.keyvault/VAULTS/*/read"}}}
	for a, want := range map[Action]bool{
		CertificateGet: true, CertificateIssuersList: true, KeyGet: true, KeyRotationPolicyGet: true,
		SecretList: false, SecretGet: false, CertificateContactsGet: false, CertificateDelete: false,
	} {
		if got := allows(annCaller(), a, name("web"), read); got != want {
			t.Errorf("*/read and %v: %t", a, got)
		}
	}

	narrow := []Role{{ID: custom, DataActions: []string{dataPrefix + "*"}, NotDataActions: []string{dataPrefix + "secrets/*"}}}
	alone := roles(at(kv1, custom))
	alone.Roles = narrow
	if allows(annCaller(), SecretGet, name("db"), alone) || !allows(annCaller(), KeyGet, name("k"), alone) {
		t.Error("notDataActions does not narrow its own role")
	}
	both := roles(at(kv1, custom), at(kv1, secretsUser))
	both.Roles = narrow
	if !allows(annCaller(), SecretGet, name("db"), both) {
		t.Error("notDataActions of one role cuts the grant of another")
	}
	two := roles(at(kv1, custom))
	two.Roles = append(narrow, Role{ID: custom, DataActions: []string{dataPrefix + "secrets/*"}})
	if !allows(annCaller(), SecretGet, name("db"), two) {
		t.Error("notDataActions of one block cuts another block")
	}
}

// The condition of a role's block counts as the assignment's does.
func TestRolesMayHaveConditions(t *testing.T) {
	rules := roles(at(kv1, custom))
	rules.Roles = []Role{{ID: custom, DataActions: []string{dataPrefix + "secrets/*"}, Condition: onlyTestApp}}
	if !allows(annCaller(), SecretGet, name("test-app-1"), rules) || allows(annCaller(), SecretGet, name("db"), rules) {
		t.Error("the condition of the role is not looked at")
	}
}

func TestManagementActionsGiveNoData(t *testing.T) {
	rules := roles(at("/", custom), at("/", OwnerID), at("/", "ffffffff-0000-0000-0000-000000000000"), at("/", ""))
	rules.Roles = []Role{{ID: custom, Actions: []string{"*"}}, {ID: "", DataActions: []string{"*"}}}
	if allows(annCaller(), SecretGet, name("db"), rules) {
		t.Error("allowed")
	}
}

func TestACustomRoleCannotReplaceABuiltinOne(t *testing.T) {
	rules := roles(at(kv1, secretsUser))
	rules.Roles = []Role{{ID: secretsUser, DataActions: []string{"*"}}}
	if allows(annCaller(), SecretSet, name("db"), rules) {
		t.Error("allowed")
	}
}

// Acceptance check 11, first half: exactly one model counts.
func TestTheOtherModelIsIgnored(t *testing.T) {
	rules := Rules{Vault: policyVault(entry(object.Secrets, "all")), Assignments: []Assignment{at("/", certificatesOfficer)}}
	for _, rbac := range []bool{false, true, false} {
		rules.Vault.RBAC = rbac
		if got := allows(annCaller(), SecretGet, name("db"), rules); got == rbac {
			t.Errorf("roles %t: the policy gives %t", rbac, got)
		}
		if got := allows(annCaller(), CertificateGet, name("web"), rules); got != rbac {
			t.Errorf("roles %t: the role gives %t", rbac, got)
		}
	}
}

func TestGroupsHoldRoles(t *testing.T) {
	as := at(kv1, secretsUser)
	as.PrincipalID = strings.ToUpper(team)
	member := annCaller()
	member.Groups = []string{team}
	if d := decide(member, SecretGet, name("db"), roles(as)); !d.Allowed || !d.RBAC || d.AssignmentID != "as-1" {
		t.Errorf("a member: %+v", d)
	}
	if allows(annCaller(), SecretGet, name("db"), roles(as)) {
		t.Error("not a member: allowed")
	}
	as.PrincipalID = ""
	if allows(Caller{TenantID: tenant}, SecretGet, name("db"), roles(as)) {
		t.Error("nobody's role counts for a caller without id")
	}
}
