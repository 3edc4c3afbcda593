package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"coffer/internal/vault"
)

var (
	guid     = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	port     = regexp.MustCompile(`^[0-9]{1,5}$`)
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// Check names every mistake, a line each.
func (c *Config) Check() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("  %s: %s", key, fmt.Sprintf(format, args...)))
	}
	if _, p, err := net.SplitHostPort(c.Listen); err != nil || !port.MatchString(p) {
		bad("listen", "must be host:port, such as 127.0.0.1:8443 or :443")
	}
	if c.URL != "" {
		if u, ok := httpsURL(c.URL); !ok || strings.Trim(u.Path, "/") != "" {
			bad("url", "must be https://host or https://host:port")
		}
	}
	if !dnsName(c.Suffix, maxSuffix) {
		bad("suffix", "must be a DNS name in lower case, such as vault.example.net")
	} else if !strings.Contains(c.Suffix, ".") {
		bad("suffix", "needs a dot: clients check that a vault's host ends in it")
	}
	if !guid.MatchString(c.Tenant) {
		bad("tenant", "must be a GUID; coffer init makes one")
	}
	if c.DefaultVault != "" && vault.ParseName(c.DefaultVault) != nil {
		bad("default_vault", "is not a vault name")
	}
	switch c.Store.Driver {
	case "", "sqlite":
		if c.Store.URLFile != "" {
			bad("store.url_file", "goes with driver postgres only")
		}
	case "postgres":
		if c.Store.Path != "" {
			bad("store.path", "goes with driver sqlite only")
		}
	default:
		bad("store.driver", "must be sqlite or postgres")
	}
	h := c.HSM
	switch {
	case h.Module == "" && h != HSM{}:
		bad("hsm.module", "is the path of the HSM's PKCS#11 library; without it there is no HSM")
	case h.Module != "" && h.Token == "":
		bad("hsm.token", "must be the token label of the HSM")
	}
	if h.Sessions < 0 || h.Sessions > maxHSMSessions {
		bad("hsm.sessions", "must be 0 to %d", maxHSMSessions)
	}
	if c.RootKey.HSM {
		if h.Module == "" {
			bad("root_key.hsm", "needs an HSM in hsm")
		}
		if c.RootKey.Path != "" || c.RootKey.PassphraseFile != "" {
			bad("root_key.hsm", "goes without path and passphrase_file: there is no file")
		}
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		bad("tls", "certificate and key go together")
	}
	if c.TLS.Certificate != "" && len(c.TLS.Names) > 0 {
		bad("tls.names", "goes with Coffer's own certificate only")
	}
	oneOf := func(key, value string, allowed ...string) {
		for _, a := range append(allowed, "") {
			if value == a {
				return
			}
		}
		bad(key, "must be one of %s", strings.Join(allowed, ", "))
	}
	oneOf("audit.unauthenticated", c.Audit.Unauthenticated, "with-token", "all", "none")
	oneOf("certificates.pkcs12", c.Certificates.PKCS12, "legacy", "modern")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "json", "text")
	if n := c.Audit.MaxMegabytes; n < 0 || n > maxAuditMegabytes {
		bad("audit.max_megabytes", "must be 0 to %d", maxAuditMegabytes)
	}
	if n := c.Connections.Max; n < 0 || n > maxConnections {
		bad("connections.max", "must be 0 to %d", maxConnections)
	}
	if all, _ := c.MaxConnections(); c.Connections.PerAddress < 0 || all >= 0 && c.Connections.PerAddress > all {
		bad("connections.per_address", "must be 0 to connections.max")
	}
	if d := c.SelfSignedDelay(); d < 0 || d > time.Minute {
		bad("certificates.self_signed_delay", "must be 0s to 1m")
	}
	if n := c.Certificates.KeyWorkers; n < 0 || n > 256 {
		bad("certificates.key_workers", "must be 0 to 256")
	}
	if d := c.KeepKeysOpen(); d < 0 || d > time.Hour {
		bad("keys.keep_open", "must be 0s to 1h")
	}
	if t := c.Identity.ChallengeTenant; t != "" && t != "adfs" && !strings.EqualFold(t, c.Tenant) {
		bad("identity.challenge_tenant", "must be adfs or the tenant")
	}
	for i, is := range c.Identity.Issuers {
		if _, ok := httpsURL(is.Issuer); !ok {
			bad(fmt.Sprintf("identity.issuers[%d].issuer", i), "must be an https URL without query and fragment")
		}
		if slices.ContainsFunc(c.Identity.Issuers[:i], func(o Issuer) bool { return o.Issuer == is.Issuer }) {
			bad(fmt.Sprintf("identity.issuers[%d].issuer", i), "is named twice")
		}
		if u, err := url.Parse(is.JWKSURI); is.JWKSURI != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			bad(fmt.Sprintf("identity.issuers[%d].jwks_uri", i), "must be an https URL")
		}
		for _, k := range slices.Sorted(maps.Keys(is.Claims)) {
			if k != "object_id" && k != "app_id" && k != "groups" {
				bad(fmt.Sprintf("identity.issuers[%d].claims.%s", i, k), "is not one of object_id, app_id, groups")
			}
		}
	}
	for i, id := range c.TrustedCallers {
		if !guid.MatchString(id) {
			bad(fmt.Sprintf("trusted_callers[%d]", i), "must be an object id (GUID)")
		}
	}
	for i, n := range c.TLS.Names {
		if _, err := netip.ParseAddr(n); err != nil && !dnsName(strings.TrimPrefix(strings.ToLower(n), "*."), maxDNSName) {
			bad(fmt.Sprintf("tls.names[%d]", i), "must be a DNS name or an IP address")
		}
	}
	return errors.Join(errs...)
}

// Bounds of settings.
const (
	maxDNSName        = 253             // RFC 1035, section 2.3.4, as text
	maxSuffix         = maxDNSName - 25 // a vault's name and a dot stand before it
	maxAuditMegabytes = 1_000_000
	maxConnections    = 1_000_000
	maxHSMSessions    = 1024
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
