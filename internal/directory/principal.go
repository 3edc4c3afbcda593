package directory

import (
	"net/url"
	"time"

	"coffer/internal/guid"
)

// Kind is what a principal is.
type Kind string

// The kinds of principal. Users are known by name only: they sign in at an
// external issuer, never here.
const (
	ServicePrincipal Kind = "servicePrincipal"
	ManagedIdentity  Kind = "managedIdentity"
	User             Kind = "user"
	Group            Kind = "group"
)

// Principal is one identity of the tenant. Ids are GUIDs in lower case.
type Principal struct {
	ObjectID string // what policies and role assignments name
	AppID    string // the client id; "" for users and groups
	Name     string // for people; not unique
	Kind     Kind
	Enabled  bool
	Created  time.Time // UTC, whole seconds

	// ValidAfter ends the tokens that the principal has: milliseconds since 1970, and
	// more with each revocation; 0: there was none. Tokens of ours carry the value of
	// when they were asked for, so that no clock decides; those of external issuers
	// must have been issued after it.
	ValidAfter int64
}

// revoke ends the tokens that the principal has now.
func (p *Principal) revoke(now time.Time) { p.ValidAfter = max(p.ValidAfter+1, now.UnixMilli()) }

// ResourceID is what a managed identity is called in mi_res_id requests and in
// the xms_mirid claim. The directory has no subscriptions, hence the zero GUID.
func (p *Principal) ResourceID() string {
	return "/subscriptions/" + guid.Zero + "/resourcegroups/coffer/providers/" +
		"Microsoft.ManagedIdentity/userAssignedIdentities/" + url.PathEscape(p.Name)
}

// CredentialKind is how a principal proves itself.
type CredentialKind string

// The kinds of credential (contract identity.md, 5.5, 5.6, 6.3 and 7).
const (
	Secret         CredentialKind = "secret"         // client_secret
	Certificate    CredentialKind = "certificate"    // client_assertion signed with its key
	Federated      CredentialKind = "federated"      // client_assertion of another issuer
	IdentityHeader CredentialKind = "identityHeader" // X-IDENTITY-HEADER of a managed identity
)

// Credential is one proof that a principal can give. It holds nothing that
// could be used in its place.
type Credential struct {
	ID       string // GUID
	ObjectID string // whose it is
	Kind     CredentialKind

	// Hash is the SHA-256 of a secret or identity header, or of a certificate's
	// DER; nil for federated credentials. A plain hash is right: what is hashed
	// is 256 random bits, which no dictionary holds, and a slow hash would only
	// slow the server.
	Hash []byte

	Certificate []byte   // DER
	Issuer      string   // federated: the exact iss
	Subject     string   // federated: the exact sub
	Audiences   []string // federated: one of them must be in aud

	Hint    string     // the first characters of a secret, to tell secrets apart
	Created time.Time  // UTC, whole seconds
	Expires *time.Time // nil: never
}

// Expired reports whether the credential has ended.
func (c *Credential) Expired(now time.Time) bool { return c.Expires != nil && !now.Before(*c.Expires) }

// Proof is a principal with the credential by which it has just proved itself, as one
// transaction read them.
type Proof struct {
	Principal  *Principal
	Credential *Credential
}

// Membership says that a principal or a group belongs to a group.
type Membership struct {
	GroupID  string
	MemberID string
}
