package management

import (
	"slices"
	"strings"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/vault"
)

// settings are a vault's settings as records tell them (contract observability.md,
// 1.2).
func settings(v *vault.Vault) audit.Details {
	network := &audit.NetworkProperties{PublicNetworkAccess: "Enabled", DefaultAction: "Allow", Bypass: "AzureServices", IPRules: v.Network.IPRules}
	if v.Network.PublicAccessDisabled {
		network.PublicNetworkAccess = "Disabled"
	}
	if v.Network.DefaultDeny {
		network.DefaultAction = "Deny"
	}
	if v.Network.BypassNone {
		network.Bypass = "None"
	}
	return audit.Details{
		Vault:   &audit.VaultProperties{SKU: string(v.SKU), AccessPolicies: len(v.AccessPolicies)},
		Network: network, RetentionDays: new(v.RetentionDays), PurgeProtection: new(v.PurgeProtection), RBACAuthorization: new(v.RBAC),
	}
}

// policyOf is the access policy of an identity in a vault, nothing when it has none.
func policyOf(v *vault.Vault, objectID, applicationID string) (d audit.Details) {
	i := slices.IndexFunc(v.AccessPolicies, func(p vault.AccessPolicy) bool {
		return strings.EqualFold(p.ObjectID, objectID) && strings.EqualFold(p.ApplicationID, applicationID)
	})
	if i >= 0 {
		p := v.AccessPolicies[i]
		d.AccessPolicy = &audit.AccessPolicyProperties{
			ObjectID: p.ObjectID, ApplicationID: p.ApplicationID,
			Certificates: orEmpty(p.Certificates), Keys: orEmpty(p.Keys), Secrets: orEmpty(p.Secrets),
		}
	}
	return d
}

// orEmpty makes it plain that there is no permission, where a nil list would be null.
func orEmpty(list []string) []string { return append([]string{}, list...) }

// assignment is a role assignment as records tell it.
func assignment(a access.Assignment) audit.Details {
	p := &audit.AssignmentProperties{ID: a.ID, RoleDefinitionID: a.RoleID, PrincipalID: a.PrincipalID, Scope: a.Scope, Condition: audit.Clip(a.Condition)}
	if r, ok := access.RoleByID(a.RoleID); ok {
		p.RoleName = r.Name
	}
	return audit.Details{Assignment: p}
}
