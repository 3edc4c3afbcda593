package management

import (
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
