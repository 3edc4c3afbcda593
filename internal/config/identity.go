package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Identity steers tokens.
type Identity struct {
	ChallengeTenant string   `yaml:"challenge_tenant,omitempty"` // what the 401 names: adfs (zero), or the tenant for clients that switch instance discovery off
	Issuers         []Issuer `yaml:"issuers,omitempty"`          // OIDC issuers beside the built-in one
}

func (s Identity) check(m *mistakes, tenant string) {
	t := s.ChallengeTenant
	m.unless(t == "" || t == "adfs" || strings.EqualFold(t, tenant), "identity.challenge_tenant", "must be adfs or the tenant")
	for i, is := range s.Issuers {
		key := fmt.Sprintf("identity.issuers[%d].", i)
		is.check(m, key)
		twice := slices.ContainsFunc(s.Issuers[:i], func(o Issuer) bool { return o.Issuer == is.Issuer })
		m.unless(!twice, key+"issuer", "is named twice")
	}
}

// Issuer is an external OIDC issuer.
type Issuer struct {
	Issuer    string            `yaml:"issuer"`             // exact iss
	JWKSURI   string            `yaml:"jwks_uri,omitempty"` // zero: from the issuer's discovery document
	Audiences []string          `yaml:"audiences,omitempty"`
	Claims    map[string]string `yaml:"claims,omitempty"` // object_id, app_id, groups: the claims that hold them
}

func (is Issuer) check(m *mistakes, key string) {
	_, ok := httpsURL(is.Issuer)
	m.unless(ok, key+"issuer", "must be an https URL without query and fragment")
	if is.JWKSURI != "" {
		u, err := url.Parse(is.JWKSURI)
		m.unless(err == nil && u.Scheme == "https" && u.Host != "", key+"jwks_uri", "must be an https URL")
	}
	for _, k := range slices.Sorted(maps.Keys(is.Claims)) {
		m.unless(k == "object_id" || k == "app_id" || k == "groups", key+"claims."+k, "is not one of object_id, app_id, groups")
	}
}
