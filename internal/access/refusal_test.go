package access

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Acceptance check 13, the bodies of 9.2 to 9.5, character by character.
func TestRefusalsAreLiteral(t *testing.T) {
	const (
		iss    = "https://login.test/" + tenant + "/"
		caller = "appid=" + app + ";oid=" + ann + ";iss=" + iss
	)
	c := annCaller()
	c.TokenGroups = 3
	compound := entry(object.Secrets, "get")
	compound.ApplicationID = ann
	conditional := at(kv1, secretsUser)
	conditional.ID, conditional.Condition = "as-7", "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'kv2'"

	closed, behindFirewall, strict := policyVault(), policyVault(), policyVault()
	closed.Network.PublicAccessDisabled = true
	behindFirewall.Network.DefaultDeny = true
	strict.Network.DefaultDeny, strict.Network.BypassNone = true, true
	addr := netip.MustParseAddr("203.0.113.7")

	const rolesHead = "Caller is not authorized to perform action on resource.\r\n" +
		"If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n" +
		"Caller: " + caller + "\r\n"
	const resource = "/subscriptions/" + sub + "/resourcegroups/Rg-1/providers/microsoft.keyvault/vaults/kv1"

	for _, tt := range []struct {
		what   string
		got    *fault.Error
		reason fault.Reason
		want   string
	}{
		{"9.2", decide(c, SecretGet, name("db"), policies()).Refusal, fault.ForbiddenByPolicy,
			"The user, group or application 'appid=" + app + ";oid=" + ann + ";numgroups=3;iss=" + iss +
				"' does not have secrets get permission on key vault 'kv1;location=local'. " +
				"For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"},
		{"9.3", decide(c, SecretGet, name("db"), policies(compound)).Refusal, fault.ForbiddenByPolicy,
			"The policy requires the caller '" + caller + "' to use on-behalf-of (OBO) flow. " +
				"For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"},
		{"9.3 gives way to a plain entry", decide(c, CertificateCreate, name("web"), policies(compound, entry(object.Secrets))).Refusal, fault.ForbiddenByPolicy,
			"The user, group or application 'appid=" + app + ";oid=" + ann + ";numgroups=3;iss=" + iss +
				"' does not have certificates create permission on key vault 'kv1;location=local'. " +
				"For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"},
		{"9.4", decide(c, SecretGet, name("Db"), roles()).Refusal, fault.ForbiddenByRbac,
			rolesHead + "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n" +
				"Resource: '" + resource + "/secrets/Db'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n" +
				"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: kv1;location=local\r\n"},
		{"9.4 on the vault", decide(c, CertificateIssuerGet, name("ca"), roles()).Refusal, fault.ForbiddenByRbac,
			rolesHead + "Action: 'Microsoft.KeyVault/vaults/certificatecas/read'\r\n" +
				"Resource: '" + resource + "'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n" +
				"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: kv1;location=local\r\n"},
		{"9.4 by a condition", decide(c, SecretGet, name("db"), roles(conditional)).Refusal, fault.ForbiddenByRbac,
			rolesHead + "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n" +
				"Resource: '" + resource + "/secrets/db'\r\nAssignment: as-7\r\nDenyAssignmentId: null\r\n" +
				"DecisionReason: 'DeniedByCondition' \r\nVault: kv1;location=local\r\n"},
		{"9.5 address", checkNetwork(behindFirewall, c, addr, false), fault.ForbiddenByFirewall,
			"Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.7\r\n" +
				"Caller: " + caller + "\r\nVault: kv1;location=local"},
		{"9.5 address without bypass", checkNetwork(strict, c, addr, false), fault.ForbiddenByFirewall,
			"Request was not allowed by NSP rules and the client address is not authorized and caller was ignored because bypass is set to None\r\n" +
				"Client address: 203.0.113.7\r\nCaller: " + caller + "\r\nVault: kv1;location=local"},
		{"9.5 connection", checkNetwork(closed, c, addr, false), fault.ForbiddenByConnection,
			"Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\n" +
				"Caller: " + caller + "\r\nVault: kv1;location=local"},
	} {
		want := &fault.Error{Kind: fault.Forbidden, Reason: tt.reason, Msg: tt.want}
		if diff := cmp.Diff(want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.what, diff)
		}
	}
}

// Acceptance check 12, as far as it is decided here.
func TestFirewall(t *testing.T) {
	deny := vault.NetworkRules{DefaultDeny: true, IPRules: []string{
		"198.51.100.7", "192.0.2.0/24", "2001:db8::/32", "::ffff:203.0.113.0/120", "nonsense", "", "10.0.0.0/33", "fe80::1%eth0"}}
	const trusted = true
	for _, tt := range []struct {
		what    string
		rules   vault.NetworkRules
		addr    string
		trusted bool
		want    bool
	}{
		{"no rules", vault.NetworkRules{}, "203.0.113.7", false, true},
		{"allow ignores its rules", vault.NetworkRules{IPRules: []string{"192.0.2.1"}}, "203.0.113.7", false, true},
		{"deny without rules", vault.NetworkRules{DefaultDeny: true}, "192.0.2.1", false, false},
		{"one address", deny, "198.51.100.7", false, true},
		{"its neighbour", deny, "198.51.100.8", false, false},
		{"a prefix", deny, "192.0.2.255", false, true},
		{"IPv4 within IPv6", deny, "::ffff:192.0.2.9", false, true},
		{"a rule that is IPv4 within IPv6", deny, "203.0.113.200", false, true},
		{"IPv6", deny, "2001:db8::1", false, true},
		{"other IPv6", deny, "2001:db9::1", false, false},
		{"a zone of the peer does not matter", deny, "2001:db8::1%eth0", false, true},
		{"no address", deny, "", false, false},
		{"a trusted caller", deny, "203.0.114.7", trusted, true},
		{"a trusted caller without bypass", vault.NetworkRules{DefaultDeny: true, BypassNone: true}, "203.0.113.7", trusted, false},
		{"switched off", vault.NetworkRules{PublicAccessDisabled: true, IPRules: []string{"203.0.113.7"}}, "203.0.113.7", false, false},
		{"switched off, a trusted caller", vault.NetworkRules{PublicAccessDisabled: true}, "203.0.113.7", trusted, true},
	} {
		v := policyVault()
		v.Network = tt.rules
		addr, _ := netip.ParseAddr(tt.addr)
		if got := checkNetwork(v, annCaller(), addr, tt.trusted) == nil; got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}
