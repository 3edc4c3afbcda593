package access

import (
	"net/netip"
	"strings"

	"coffer/internal/fault"
	"coffer/internal/vault"
)

// checkNetwork is the vault's firewall on the data plane, asked after
// authentication and before permission (contract access-control.md, 8). It
// returns nil to let the caller pass. addr is the client's address: the peer's,
// or what a trusted proxy says. A connection by a private path is not asked
// about. exempt callers are trusted services, which the rules do not bind.
func checkNetwork(v *vault.Vault, c Caller, addr netip.Addr, exempt bool) *fault.Error {
	switch addr = addr.Unmap().WithZone(""); {
	case v.Network.PublicAccessDisabled:
		if exempt {
			return nil
		}
		return refuseConnection(c, v)
	case !v.Network.DefaultDeny:
		return nil // the rules are not consulted
	case allowed(v.Network.IPRules, addr):
		return nil
	case exempt && !v.Network.BypassNone:
		return nil
	}
	return refuseAddress(c, v, addr)
}

// allowed tells whether a rule holds the address. A rule that does not parse
// holds none.
func allowed(rules []string, addr netip.Addr) bool {
	for _, r := range rules {
		if p, ok := parseRule(r); ok && p.Contains(addr) {
			return true
		}
	}
	return false
}

// IsIPRule tells whether a text can be a rule of a vault's firewall.
func IsIPRule(s string) bool {
	_, ok := parseRule(s)
	return ok
}

// parseRule reads an address or a prefix. IPv4 written as IPv6 counts as IPv4.
func parseRule(s string) (netip.Prefix, bool) {
	const mapped = 96 // bits before the IPv4 address (RFC 4291, section 2.5.5.2)
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), err == nil && a.Zone() == ""
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p, true
}
