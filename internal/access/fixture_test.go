package access

import (
	"coffer/internal/object"
	"coffer/internal/vault"
)

const (
	tenant = "aaaaaaaa-0000-0000-0000-000000000001"
	ann    = "bbbbbbbb-0000-0000-0000-000000000001" // a user
	team   = "bbbbbbbb-0000-0000-0000-000000000002" // a group
	app    = "cccccccc-0000-0000-0000-000000000001" // an application
	sub    = "dddddddd-0000-0000-0000-000000000001"
	vaults = "/subscriptions/" + sub + "/resourceGroups/Rg-1/providers/Microsoft.KeyVault/vaults/"
	kv1    = vaults + "kv1"

	custom = "eeeeeeee-0000-0000-0000-000000000001" // a custom role

	administrator       = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
	reader              = "21090545-7ca7-4776-b22c-e363652d74d2"
	certificatesOfficer = "a4417e6f-fecd-4de8-b567-7b0420556985"
	certificateUser     = "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba"
	cryptoUser          = "12338af0-0e69-4776-bea7-57ae8d297424"
	secretsOfficer      = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
	secretsUser         = "4633458b-17de-408a-b874-0445c86b69e6"
	dataAccessAdmin     = "8b54135c-b56d-4d72-a534-26097cfdc8d8"
)

func policyVault(entries ...vault.AccessPolicy) *vault.Vault {
	return &vault.Vault{
		ID: "0123456789abcdef0123456789abcdef", Name: "kv1", TenantID: tenant, Subscription: sub,
		ResourceGroup: "Rg-1", Location: "local", SKU: vault.Standard, AccessPolicies: entries,
	}
}

func roleVault() *vault.Vault {
	v := policyVault()
	v.RBAC = true
	return v
}

// annCaller is a user without groups.
func annCaller() Caller {
	return Caller{TenantID: tenant, ObjectID: ann, AppID: app, Issuer: "https://login.test/" + tenant + "/", Delegated: true}
}

// roles are the rules of a vault with these assignments.
func roles(assignments ...Assignment) Rules {
	return Rules{Vault: roleVault(), Assignments: assignments}
}

// at assigns a role to ann.
func at(scope, role string) Assignment {
	return Assignment{ID: "as-1", Scope: scope, RoleID: role, PrincipalID: ann}
}

func policies(entries ...vault.AccessPolicy) Rules { return Rules{Vault: policyVault(entries...)} }

// entry grants ann words of one family.
func entry(f object.Family, words ...string) vault.AccessPolicy {
	e := vault.AccessPolicy{TenantID: tenant, ObjectID: ann}
	switch f {
	case object.Certificates:
		e.Certificates = words
	case object.Keys:
		e.Keys = words
	case object.Secrets:
		e.Secrets = words
	}
	return e
}

func name(s string) object.Name { return object.MustName(s) }

// decide is Decide on an object of the vault.
func decide(c Caller, a Action, n object.Name, r Rules) Decision {
	return Decide(c, a, Target{Name: n}, r)
}

func allows(c Caller, a Action, n object.Name, r Rules) bool { return decide(c, a, n, r).Allowed }
