package config

import (
	"cmp"
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
}

// Limits are how many connections may be open, and how many of them from one
// address.
func (c Connections) Limits() (all, perAddress int) {
	all = cmp.Or(c.Max, 4096)
	return all, cmp.Or(c.PerAddress, max(all/4, 1))
}

func (c Connections) check(m *mistakes) {
	m.within("connections.max", c.Max, maxConnections)
	all, _ := c.Limits()
	m.unless(c.PerAddress >= 0 && (all < 0 || c.PerAddress <= all), "connections.per_address", "must be 0 to connections.max")
}
