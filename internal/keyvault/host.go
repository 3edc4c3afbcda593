package keyvault

import (
	"net/netip"
	"strconv"
	"strings"

	"coffer/internal/vault"
)

// address is where the client found us, from a Host header that has been
// checked. Clients take the address of later calls out of ids and links, so
// both repeat what they used (contract keys.md, 1; certificates.md, 17.26).
type address struct {
	host  string // as given, with its port
	base  string // https://host[:port]: the prefix of ids, without :443
	port  string // "" when none was given
	label string // canonical first label; "" for localhost and IP addresses
}

// link is the prefix of nextLink: https://host:port, the port always written.
func (a address) link() string {
	if a.port == "" {
		return "https://" + a.host + ":443"
	}
	return "https://" + a.host
}

// maxHost is the longest DNS name (RFC 1035, section 2.3.4).
const maxHost = 253

// parseHost checks the Host header. Only a host that can name a vault passes:
// localhost, an IP address, or a DNS name whose first label is a vault name.
func parseHost(header string) (address, bool) {
	host, port, ok := splitPort(header)
	if !ok {
		return address{}, false
	}
	a := address{host: header, base: "https://" + strings.TrimSuffix(header, ":443"), port: port}
	if host[0] == '[' || strings.EqualFold(host, "localhost") {
		return a, true
	}
	if last := host[len(host)-1]; last >= '0' && last <= '9' { // as every IPv4 address ends
		if _, err := netip.ParseAddr(host); err == nil {
			return a, true
		}
	}
	if !isDNSName(host) {
		return address{}, false
	}
	label, _, _ := strings.Cut(host, ".")
	if vault.ParseName(label) != nil {
		return address{}, false
	}
	a.label = strings.ToLower(label)
	return a, true
}

// splitPort cuts a numeric port off; host keeps the brackets of IPv6.
func splitPort(s string) (host, port string, ok bool) {
	host = s
	if end := strings.LastIndexByte(s, ']'); end >= 0 {
		ip, err := netip.ParseAddr(strings.TrimPrefix(s[:end], "["))
		if err != nil || s[0] != '[' || !ip.Is6() || ip.Zone() != "" {
			return "", "", false
		}
		host, port = s[:end+1], s[end+1:]
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 {
		host, port = s[:colon], s[colon:]
	}
	if port != "" {
		port = port[1:]
		if n, err := strconv.ParseUint(port, 10, 16); s[len(host)] != ':' || err != nil || n == 0 {
			return "", "", false
		}
	}
	return host, port, host != "" && len(host) <= maxHost
}

func isDNSName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-') {
				return false
			}
		}
	}
	return true
}
