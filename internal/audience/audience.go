package audience

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// VaultResource is the audience of vaults in the public cloud, and here that of
// vaults reached by an address or a name without a dot.
const VaultResource = "https://vault.azure.net"

// VaultAppID is the id of the vault application, which some clients have as the
// audience (contract identity.md, 4).
const VaultAppID = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"

// Public are the names of the public cloud's vaults. It is not to be changed.
var Public = []string{VaultResource, VaultResource + "/", VaultAppID}

// Challenge is the value of the one WWW-Authenticate header of a 401 (contract
// identity.md, 3.2). authority is the base URL of the token service, without a
// path; tenant is a GUID or "adfs"; resource comes from Resource. The form
// satisfies the parsers of five languages at once: one comma and one space
// between parameters, quotes around values, no scope, exactly one path segment.
func Challenge(authority, tenant, resource string) string {
	return `Bearer authorization="` + authority + "/" + tenant + `", resource="` + resource + `"`
}

// Renewal is the value in place of Challenge that has a client get another token although
// the one it has is good for its clock (contract identity.md, 3.6): one that is not
// good before now.
func Renewal(authority, tenant string, now time.Time) string {
	claims := fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, now.Unix())
	return `Bearer realm="", authorization="` + authority + "/" + tenant + `", error="insufficient_claims", claims="` +
		base64.StdEncoding.EncodeToString([]byte(claims)) + `"`
}

// Resource is the audience that a challenge names for a Host header: the host
// without its first label, port kept unless it is 443 (contract identity.md,
// 3.5). overrides maps a host name, or a host name without its first label, to
// a resource of the operator's choice. Whatever the header holds, the result
// has no character that would break the challenge.
func Resource(host string, overrides map[string]string) string {
	name, port := splitHost(host)
	if name == "" {
		return VaultResource
	}
	_, suffix, dotted := strings.Cut(name, ".")
	for _, key := range []string{name, suffix} {
		if r := overrides[key]; r != "" && key != "" {
			return r
		}
	}
	if _, err := netip.ParseAddr(name); err == nil || !dotted {
		return VaultResource
	}
	if port != "" && port != "443" {
		suffix += ":" + port
	}
	return "https://" + suffix
}

// splitHost takes a Host header apart, in lower case; an empty name when it is
// not a host with an optional port.
func splitHost(host string) (name, port string) {
	name = strings.ToLower(host)
	if h, p, err := net.SplitHostPort(name); err == nil {
		name, port = h, p
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 || len(port) > 5 || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" || strings.Trim(port, "0123456789") != "" {
		return "", ""
	}
	return name, port
}

// Of is what a token for this Host header may be made for: the resource
// that the challenge names, what the operator names for other hosts, and the
// public cloud's names; each also with one trailing slash, except the
// application id.
func Of(host string, overrides map[string]string) []string {
	resource := strings.TrimSuffix(Resource(host, overrides), "/")
	list := []string{resource, resource + "/"}
	for _, r := range overrides {
		r = strings.TrimSuffix(r, "/")
		list = append(list, r, r+"/")
	}
	list = append(list, Public...)
	slices.Sort(list[2:])
	return append(list[:2], slices.Compact(list[2:])...)
}
