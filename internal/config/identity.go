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
	Issuer     string            `yaml:"issuer"`               // exact iss
	Tenant     string            `yaml:"tenant,omitempty"`     // what the claim tid must be, where a token has one; zero: the tenant of this installation
	JWKSURI    string            `yaml:"jwks_uri,omitempty"`   // zero: from the issuer's discovery document
	CA         string            `yaml:"ca,omitempty"`         // PEM file of the only CAs that its discovery document and keys are fetched under; zero: the system's
	Algorithms []string          `yaml:"algorithms,omitempty"` // that it may sign with; zero: RS256
	Audiences  []string          `yaml:"audiences,omitempty"`  // accepted beside the resource of the vault that is asked
	IDs        string            `yaml:"ids,omitempty"`        // derived (zero): its subjects and groups get ids of their own; own: they are those of a tenant of Entra ID
	Claims     map[string]string `yaml:"claims,omitempty"`     // object_id, app_id, groups: the claims that hold them; those of Entra ID are known
}

// The values of ids.
const (
	DerivedIDs = "derived"
	OwnIDs     = "own"
)

func (is Issuer) check(m *mistakes, key string) {
	_, ok := httpsURL(is.Issuer)
	m.unless(ok, key+"issuer", "must be an https URL without query and fragment")
	if is.JWKSURI != "" {
		u, err := url.Parse(is.JWKSURI)
		m.unless(err == nil && u.Scheme == "https" && u.Host != "", key+"jwks_uri", "must be an https URL")
	}
	m.oneOf(key+"ids", is.IDs, DerivedIDs, OwnIDs)
	for _, k := range slices.Sorted(maps.Keys(is.Claims)) {
		m.unless(k == "object_id" || k == "app_id" || k == "groups", key+"claims."+k, "is not one of object_id, app_id, groups")
	}
}
