package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

const maxConnections = 1_000_000

// TLS is the listener's certificate. Zero: one of Coffer's own CA, renewed by
// itself.
type TLS struct {
	Certificate string   `yaml:"certificate,omitempty"` // PEM file: leaf, then chain; read again when it changes
	Key         string   `yaml:"key,omitempty"`         // PEM file
	Names       []string `yaml:"names,omitempty"`       // further names and addresses for the certificate of Coffer's own CA
}

func (t TLS) check(m *mistakes) {
	m.unless((t.Certificate == "") == (t.Key == ""), "tls", "certificate and key go together")
	m.unless(t.Certificate == "" || len(t.Names) == 0, "tls.names", "goes with Coffer's own certificate only")
	for i, n := range t.Names {
		_, err := netip.ParseAddr(n)
		m.unless(err == nil || dnsName(strings.TrimPrefix(strings.ToLower(n), "*."), maxDNSName),
			fmt.Sprintf("tls.names[%d]", i), "must be a DNS name or an IP address")
	}
}

// Connections bounds those that are open at one time.
type Connections struct {
	Max        int `yaml:"max,omitempty"`         // zero: 4096
	PerAddress int `yaml:"per_address,omitempty"` // from one address, such as a load balancer's; zero: a quarter of max

	// ProxyFrom are the addresses (CIDR) of load balancers. Each of their connections
	// begins with a PROXY protocol header, which says who the client is.
	ProxyFrom []string `yaml:"proxy_from,omitempty"`
}

// Limits are how many connections may be open, and how many of them from one
// address.
func (c Connections) Limits() (all, perAddress int) {
	all = cmp.Or(c.Max, 4096)
	return all, cmp.Or(c.PerAddress, max(all/4, 1))
}

// Balancers are the addresses of ProxyFrom, which was checked.
func (c Connections) Balancers() []netip.Prefix {
	all := make([]netip.Prefix, 0, len(c.ProxyFrom))
	for _, text := range c.ProxyFrom {
		if p, err := parsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// parsePrefix reads a CIDR or one address; IPv4 written as IPv6 is IPv4.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, e := netip.ParseAddr(text)
		if e != nil || a.Zone() != "" {
			return p, err
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, errors.New("it holds more than IPv4")
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func (c Connections) check(m *mistakes) {
	for i, text := range c.ProxyFrom {
		p, err := parsePrefix(text)
		m.unless(err == nil && p.Bits() > 0, fmt.Sprintf("connections.proxy_from[%d]", i),
			"must be the address of a load balancer or a CIDR of such, and not everybody's, such as 10.0.0.5 or 10.0.0.0/29")
	}
	m.within("connections.max", c.Max, maxConnections)
	all, _ := c.Limits()
	m.unless(c.PerAddress >= 0 && (all < 0 || c.PerAddress <= all), "connections.per_address", "must be 0 to connections.max")
}
