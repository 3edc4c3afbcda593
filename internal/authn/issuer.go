package authn

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"coffer/internal/directory"
	"coffer/internal/guid"
	"coffer/internal/token"
)

// Issuer is an external OpenID Connect issuer whose tokens are accepted.
type Issuer struct {
	URL        string   // the exact iss
	JWKSURI    string   // "": from the issuer's discovery document
	TenantID   string   // GUID of the tenant that its subjects belong to
	Audiences  []string // accepted beside the resource of the vault that is asked
	Algorithms []string // nil: RS256. Also RS384, RS512, PS256, PS384, PS512, ES256, ES384
	Claims     ClaimMap
}

// ClaimMap names the claims of an issuer that is not Entra ID (contract
// identity.md, 8). Entra ID's own names are known.
type ClaimMap struct {
	ObjectID string // "": sub
	AppID    string // "": azp, else client_id
	Groups   string // "": none
}

const maxIssuers = 50

// asymmetric is every algorithm that an issuer can be allowed. Neither none nor
// the HMACs are among them.
var asymmetric = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384,
}

// armAudiences are Azure's management plane. A token for it opens whole
// subscriptions; a vault has no business with one.
var armAudiences = []string{"https://management.azure.com", "https://management.core.windows.net"}

// issuer is a trusted issuer at work: a configured one, or the directory.
type issuer struct {
	url        string
	tenant     string
	algorithms []jose.SignatureAlgorithm
	audiences  []string
	claims     ClaimMap
	entra      bool // Entra ID's claim names, or ours, which are the same
	builtIn    bool
	key        func(ctx context.Context, kid, x5t string) (crypto.PublicKey, error)
}

func newIssuer(c Issuer, keys *keySet) (*issuer, error) {
	if err := directory.CheckIssuerURL(c.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if c.JWKSURI != "" {
		if u, err := url.Parse(c.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("jwks_uri: it must be an https URL")
		}
	}
	tenant, ok := guid.Parse(c.TenantID)
	if !ok {
		return nil, errors.New("tenant: it must be a GUID")
	}
	i := &issuer{url: c.URL, tenant: tenant, audiences: c.Audiences, claims: c.Claims, entra: isEntra(c.URL)}
	for _, a := range c.Audiences {
		if a == "" || slices.Contains(armAudiences, strings.TrimSuffix(strings.ToLower(a), "/")) {
			return nil, errors.New("audiences: empty, or Azure's management plane")
		}
	}
	for _, name := range c.Algorithms {
		alg := jose.SignatureAlgorithm(name)
		if !slices.Contains(asymmetric, alg) {
			return nil, fmt.Errorf("algorithms: %q is not one of %v", name, asymmetric)
		}
		i.algorithms = append(i.algorithms, alg)
	}
	if i.algorithms == nil {
		i.algorithms = []jose.SignatureAlgorithm{jose.RS256}
	}
	i.key = func(ctx context.Context, kid, x5t string) (crypto.PublicKey, error) {
		return keys.find(ctx, kid, x5t), nil
	}
	return i, nil
}

// isEntra recognizes Entra ID by its issuers, v1 and v2, of all clouds.
func isEntra(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	return slices.Contains([]string{
		"sts.windows.net", "login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "sts.chinacloudapi.cn",
	}, u.Host)
}

// builtIn is our token service as an issuer.
func builtIn(s *token.Service) *issuer {
	return &issuer{
		url: s.Issuer(), tenant: s.TenantID(), entra: true, builtIn: true,
		algorithms: []jose.SignatureAlgorithm{jose.RS256},
		key: func(ctx context.Context, kid, x5t string) (crypto.PublicKey, error) {
			if kid == "" {
				kid = x5t // ours are equal
			}
			return s.PublicKey(ctx, kid)
		},
	}
}
