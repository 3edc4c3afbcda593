package rest

import (
	"net/netip"
	"strconv"
	"strings"
)

// Address is where the client found us, from a Host header that has been
// checked. Clients take the address of later calls out of ids and links, so
// both repeat what they used (contract keys.md, 1; certificates.md, 17.26).
type Address struct {
	Host  string // as given, with its port
	Base  string // https://host[:port]: the prefix of ids, without :443
	Port  string // "" when none was given
	Label string // the first label in lower case; "" for localhost and IP addresses
}

// Link is the prefix of links that clients will dial: https://host:port, the port
// always written (contract certificates.md, 2.6).
func (a Address) Link() string {
	if a.Port == "" {
		return "https://" + a.Host + ":443"
	}
	return "https://" + a.Host
}

// Name is the host in lower case, without its port.
func (a Address) Name() string { return strings.ToLower(strings.TrimSuffix(a.Host, ":"+a.Port)) }

// maxHost is the longest DNS name (RFC 1035, section 2.3.4).
const maxHost = 253

// ParseHost checks a Host header: localhost, an IP address, or a DNS name, with a
// port or without. Which of them are ours is for the door to say.
func ParseHost(header string) (Address, bool) {
	host, port, ok := splitPort(header)
	if !ok {
		return Address{}, false
	}
	a := Address{Host: header, Base: "https://" + strings.TrimSuffix(header, ":443"), Port: port}
	if host[0] == '[' || strings.EqualFold(host, "localhost") {
		return a, true
	}
	if last := host[len(host)-1]; last >= '0' && last <= '9' { // as every IPv4 address ends
		if _, err := netip.ParseAddr(host); err == nil {
			return a, true
		}
	}
	if !isDNSName(host) {
		return Address{}, false
	}
	label, _, _ := strings.Cut(host, ".")
	a.Label = strings.ToLower(label)
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
