package authn

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
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
	TenantID   string   // GUID of the tenant that its subjects belong to here
	TID        string   // what the tid of its tokens must be; "": TenantID
	OwnIDs     bool     // its object ids and groups are GUIDs that count as they are; for a tenant of Entra ID only
	Audiences  []string // accepted beside the resource of the vault that is asked
	Algorithms []string // nil: RS256. Also RS384, RS512, PS256, PS384, PS512, ES256, ES384
	Claims     ClaimMap // of an issuer that is not Entra ID

	// HTTP fetches its keys, as Config.HTTP does for issuers without; nil: that one.
	HTTP *http.Client
}

// ClaimMap names the claims of an issuer that is not Entra ID (contract
// identity.md, 8). Entra ID's own names are known.
type ClaimMap struct {
	ObjectID string // "": sub
	AppID    string // "": azp, else client_id
	Groups   string // "": none
}

const (
	maxIssuers = 50
	maxTID     = 128 // bytes
)

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
	tenant     string // that its subjects belong to
	tid        string // what its tokens call it
	algorithms []jose.SignatureAlgorithm
	audiences  []string
	claims     ClaimMap
	entra      bool // Entra ID's claim names, or ours, which are the same
	ownIDs     bool // its GUIDs count as they are
	builtIn    bool
	key        func(ctx context.Context, id keyID) (crypto.PublicKey, error)
	// renewed is the key once more after a signature did not verify: the issuer may
	// have replaced it under the same id. nil: ids are never used again.
	renewed func(ctx context.Context, id keyID) crypto.PublicKey
}

// CheckIssuers names every mistake, by its setting; of one issuer the first.
func CheckIssuers(list []Issuer) error {
	var errs []error
	own := "" // the tenant of Entra ID whose ids count as they are
	for n, c := range list {
		i, err := newIssuer(c)
		switch {
		case err != nil:
		case slices.ContainsFunc(list[:n], func(o Issuer) bool { return o.URL == c.URL }):
			err = errors.New("url: named twice")
		case i.ownIDs && own != "" && !strings.EqualFold(own, i.tid):
			err = errors.New("ids: own is for one tenant; two do not share a name space")
		case i.ownIDs:
			own = i.tid
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("identity.issuers[%d].%w", n, err))
		}
	}
	return errors.Join(errs...)
}

func newIssuer(c Issuer) (*issuer, error) {
	i := &issuer{url: c.URL, tid: c.TID, audiences: c.Audiences, claims: c.Claims, entra: isEntra(c.URL), ownIDs: c.OwnIDs}
	if err := directory.CheckIssuerURL(c.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if c.JWKSURI != "" {
		if u, err := url.Parse(c.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("jwks_uri: it must be an https URL")
		}
	}
	var ok bool
	if i.tenant, ok = guid.Parse(c.TenantID); !ok {
		return nil, errors.New("tenant: it must be a GUID")
	}
	if i.tid == "" {
		i.tid = i.tenant
	}
	if len(i.tid) > maxTID || i.tid != quoted(i.tid, maxTID) {
		return nil, fmt.Errorf("tenant: it is what the claim tid holds, at most %d characters", maxTID)
	}
	if c.OwnIDs && (!i.entra || !strings.EqualFold(tenantOf(c.URL), i.tid)) {
		return nil, errors.New("ids: own is for the issuer of a tenant of Entra ID, whose GUID stands in its URL and in tenant")
	}
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
	return i, nil
}

// keysOf has the issuer's keys come from a set.
func (i *issuer) keysOf(keys *keySet) {
	i.key = func(ctx context.Context, id keyID) (crypto.PublicKey, error) { return keys.find(ctx, id), nil }
	i.renewed = keys.renewed
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

// tenantOf is the tenant in the URL of an issuer of Entra ID.
func tenantOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return tenant
}

// builtIn is our token service as an issuer.
func builtIn(s *token.Service) *issuer {
	return &issuer{
		url: s.Issuer(), tenant: s.TenantID(), tid: s.TenantID(), entra: true, ownIDs: true, builtIn: true,
		algorithms: []jose.SignatureAlgorithm{jose.RS256},
		key: func(ctx context.Context, id keyID) (crypto.PublicKey, error) {
			if id.kid == "" {
				id.kid = id.x5t // ours are equal
			}
			return s.PublicKey(ctx, id.kid)
		},
	}
}

// subject gives the object id that a subject of this issuer has here; false for one
// that it may not name.
func (i *issuer) subject(value string) (string, bool) {
	if i.ownIDs {
		return guid.Parse(value)
	}
	return guid.OfSubject(i.url, value), true
}

// group is subject for a group.
func (i *issuer) group(value string) (string, bool) {
	if i.ownIDs {
		return guid.Parse(value)
	}
	return guid.OfGroup(i.url, value), true
}

// groups are the ids of the groups that a token names; those that the issuer may not
// name are left out.
func (i *issuer) groups(values []string) (ids []string) {
	for _, value := range values {
		if id, ok := i.group(value); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// GUIDsAreDerived tells of a tenant of Entra ID whose object ids get others here: that
// is safe, and seldom meant.
func (c Issuer) GUIDsAreDerived() bool { return isEntra(c.URL) && !c.OwnIDs }

// ObjectID is the object id that an issuer's subject, or group, has here; "" when its
// ids are its own and the value is no GUID.
func (c Issuer) ObjectID(value string, isGroup bool) string {
	i := issuer{url: c.URL, ownIDs: c.OwnIDs}
	id, _ := i.subject(value)
	if isGroup {
		id, _ = i.group(value)
	}
	return id
}
