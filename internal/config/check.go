package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"coffer/internal/guid"
	"coffer/internal/vault"
)

// Check names every mistake, a line each.
func (c *Config) Check() error {
	m := &mistakes{}
	c.checkAddress(m)
	c.Store.check(m)
	c.HSM.check(m)
	c.RootKey.check(m, c.HSM)
	c.TLS.check(m)
	c.Connections.check(m)
	c.Audit.check(m)
	c.Certificates.check(m)
	c.Keys.check(m)
	c.Identity.check(m, c.Tenant)
	c.Memory.check(m)
	c.Log.check(m)
	for i, id := range c.TrustedCallers {
		m.unless(guid.Valid(id), fmt.Sprintf("trusted_callers[%d]", i), "must be an object id (GUID)")
	}
	return errors.Join(m.errs...)
}

// checkAddress checks what says where the server is and whose it is.
func (c *Config) checkAddress(m *mistakes) {
	_, p, err := net.SplitHostPort(c.Listen)
	m.unless(err == nil && port.MatchString(p), "listen", "must be host:port, such as 127.0.0.1:8443 or :443")
	if c.URL != "" {
		u, ok := httpsURL(c.URL)
		m.unless(ok && strings.Trim(u.Path, "/") == "", "url", "must be https://host or https://host:port")
	}
	if !dnsName(c.Suffix, maxSuffix) {
		m.add("suffix", "must be a DNS name in lower case, such as vault.example.net")
	} else {
		m.unless(strings.Contains(c.Suffix, "."), "suffix", "needs a dot: clients check that a vault's host ends in it")
	}
	m.unless(guid.Valid(c.Tenant), "tenant", "must be a GUID; coffer init makes one")
	m.unless(c.DefaultVault == "" || vault.ParseName(c.DefaultVault) == nil, "default_vault", "is not a vault name")
}

// mistakes collects what is wrong with settings.
type mistakes struct{ errs []error }

func (m *mistakes) add(key, what string) { m.errs = append(m.errs, fmt.Errorf("  %s: %s", key, what)) }

func (m *mistakes) unless(ok bool, key, what string) {
	if !ok {
		m.add(key, what)
	}
}

// within wants 0 to limit.
func (m *mistakes) within(key string, n, limit int) {
	m.unless(n >= 0 && n <= limit, key, fmt.Sprintf("must be 0 to %d", limit))
}

// oneOf wants one of the values, or none.
func (m *mistakes) oneOf(key, value string, allowed ...string) {
	m.unless(value == "" || slices.Contains(allowed, value), key, "must be one of "+strings.Join(allowed, ", "))
}

const (
	maxDNSName = 253             // RFC 1035, section 2.3.4, as text
	maxSuffix  = maxDNSName - 25 // a vault's name and a dot stand before it
)

var (
	port     = regexp.MustCompile(`^[0-9]{1,5}$`)
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

func dnsName(s string, longest int) bool {
	for l := range strings.SplitSeq(s, ".") {
		if !dnsLabel.MatchString(l) {
			return false
		}
	}
	return len(s) <= longest
}

// httpsURL reads an address that names a server or a folder of one.
func httpsURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	return u, err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
