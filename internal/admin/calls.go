package admin

import (
	"time"

	"coffer/internal/directory"
	"coffer/internal/vault"
)

// The calls, by name, with what they take and answer. Names of fields are those
// of the JSON that --json prints.
const (
	VaultCreate = "vault.create" // NewVault -> VaultView
	VaultList   = "vault.list"   // None -> []VaultView
	VaultShow   = "vault.show"   // ByName -> VaultView
	VaultUpdate = "vault.update" // VaultChange -> VaultView
	VaultDelete = "vault.delete" // ByName -> None

	PolicySet    = "access.set"    // Policy -> VaultView
	PolicyRemove = "access.remove" // Policy -> VaultView

	RoleAssign   = "access.assign"      // NewAssignment -> AssignmentView
	RoleUnassign = "access.unassign"    // ByID -> None
	RoleList     = "access.assignments" // ByName (zero: all) -> []AssignmentView

	IdentityCreate  = "identity.create"  // NewIdentity -> IdentityView
	IdentityList    = "identity.list"    // None -> []IdentityView
	IdentityShow    = "identity.show"    // ByID -> IdentityView
	IdentityEnable  = "identity.enable"  // ByID -> IdentityView
	IdentityDisable = "identity.disable" // ByID -> IdentityView
	IdentityDelete  = "identity.delete"  // ByID -> None
	IdentityRevoke  = "identity.revoke"  // Revocation -> IdentityView

	SecretAdd        = "identity.secret"      // NewSecret -> SecretView
	HeaderAdd        = "identity.header"      // NewSecret -> SecretView
	CertificateAdd   = "identity.certificate" // NewCertificate -> CredentialView
	FederatedAdd     = "identity.federated"   // NewFederated -> CredentialView
	CredentialRemove = "identity.forget"      // Forget -> None
	MemberAdd        = "identity.join"        // Membership -> None
	MemberRemove     = "identity.leave"       // Membership -> None

	TokenKeys       = "token.keys"        // None -> []TokenKeyView
	TokenKeyRotate  = "token.rotate-key"  // None -> []TokenKeyView
	TokenKeysRevoke = "token.revoke-keys" // KeyIDs -> []TokenKeyView

	CAShow   = "ca.show"   // None -> []CAView
	CARotate = "ca.rotate" // None -> []CAView
	CASwitch = "ca.switch" // None -> []CAView
	CARetire = "ca.retire" // None -> []CAView

	Rotate         = "rotate"           // Rotation -> Rotated
	RotateDataKeys = "rotate.data-keys" // DataKeyRotation -> DataKeysRotated
	RotateStatus   = "rotate.status"    // None -> []DataKeyView
	Backup         = "backup"           // ToFile -> None

	AuditShow = "audit.head" // None -> AuditHead

	HealthShow = "health.show" // None -> HealthView

	JobList  = "jobs.list"  // None -> []JobView: those that were given up
	JobRetry = "jobs.retry" // ByID -> None
)

// None is the empty input or answer.
type None struct{}

// ByName names a vault.
type ByName struct {
	Name string `json:"name"`
}

// ByID names a principal (object id, client id or unique name) or an assignment.
type ByID struct {
	ID string `json:"id"`
}

// NewVault describes a vault to create; zero fields take the defaults.
type NewVault struct {
	Name            string `json:"name"`
	Location        string `json:"location,omitempty"`
	SKU             string `json:"sku,omitempty"`
	RBAC            bool   `json:"rbac,omitempty"`
	RetentionDays   int    `json:"retentionDays,omitempty"`
	PurgeProtection bool   `json:"purgeProtection,omitempty"`
}

// VaultChange changes what is not nil.
type VaultChange struct {
	Name                string    `json:"name"`
	SKU                 *string   `json:"sku,omitempty"`
	RBAC                *bool     `json:"rbac,omitempty"`
	PurgeProtection     *bool     `json:"purgeProtection,omitempty"`
	PublicNetworkAccess *bool     `json:"publicNetworkAccess,omitempty"`
	DefaultDeny         *bool     `json:"defaultDeny,omitempty"`
	IPRules             *[]string `json:"ipRules,omitempty"`
}

// VaultView is a vault as shown.
type VaultView struct {
	Name            string       `json:"name"`
	ID              string       `json:"id"`  // of the resource
	URL             string       `json:"url"` // where clients reach it
	TenantID        string       `json:"tenantId"`
	Location        string       `json:"location"`
	SKU             string       `json:"sku"`
	Model           string       `json:"model"` // "policy" or "rbac"
	RetentionDays   int          `json:"retentionDays"`
	PurgeProtection bool         `json:"purgeProtection"`
	DefaultDeny     bool         `json:"defaultDeny"`
	PublicAccess    bool         `json:"publicNetworkAccess"`
	IPRules         []string     `json:"ipRules"`
	Policies        []PolicyView `json:"accessPolicies"`
	Created         time.Time    `json:"created"`
}

// PolicyView is one access policy as shown.
type PolicyView struct {
	ObjectID      string   `json:"objectId"`
	Name          string   `json:"name,omitempty"` // of the principal, where a list says so; "": the directory has none
	ApplicationID string   `json:"applicationId,omitempty"`
	Certificates  []string `json:"certificates"`
	Keys          []string `json:"keys"`
	Secrets       []string `json:"secrets"`
}

// Policy sets or removes the access policy of one identity.
type Policy struct {
	Vault         string   `json:"vault"`
	Principal     string   `json:"principal"`
	ApplicationID string   `json:"applicationId,omitempty"`
	Certificates  []string `json:"certificates,omitempty"`
	Keys          []string `json:"keys,omitempty"`
	Secrets       []string `json:"secrets,omitempty"`
}

// NewAssignment gives a role. Exactly one of Vault and Scope is not empty;
// Object ("secrets/app") narrows Vault.
type NewAssignment struct {
	Role      string `json:"role"`
	Principal string `json:"principal"`
	Vault     string `json:"vault,omitempty"`
	Object    string `json:"object,omitempty"`
	Scope     string `json:"scope,omitempty"`
	Condition string `json:"condition,omitempty"`
}

// AssignmentView is a role assignment as shown.
type AssignmentView struct {
	ID        string `json:"id"`
	Role      string `json:"role"`
	Principal string `json:"principalId"`
	Name      string `json:"principalName,omitempty"` // as PolicyView.Name
	Scope     string `json:"scope"`
	Condition string `json:"condition,omitempty"`
}

// NewIdentity describes a principal to create; Kind is "application", "managed"
// or "group".
type NewIdentity struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// IdentityView is a principal as shown.
type IdentityView struct {
	ObjectID    string           `json:"objectId"`
	ClientID    string           `json:"clientId,omitempty"`
	Name        string           `json:"name"`
	Kind        string           `json:"kind"`
	Enabled     bool             `json:"enabled"`
	Created     time.Time        `json:"created"`
	ValidAfter  *time.Time       `json:"validAfter,omitempty"` // tokens of before are refused
	Credentials []CredentialView `json:"credentials,omitempty"`
	Members     []string         `json:"members,omitempty"`
	Groups      []string         `json:"groups,omitempty"`
}

// CredentialView is a credential as shown: never what proves it.
type CredentialView struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	Hint    string     `json:"hint,omitempty"`
	Issuer  string     `json:"issuer,omitempty"`
	Subject string     `json:"subject,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
}

// NewSecret asks for a random credential; a zero Expires is never.
type NewSecret struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires,omitzero"`
}

// SecretView is a new credential with its value, which is shown this once.
type SecretView struct {
	CredentialView
	Value string `json:"value"`
}

// NewCertificate registers a certificate, PEM.
type NewCertificate struct {
	ID  string `json:"id"`
	PEM string `json:"pem"`
}

// NewFederated trusts tokens of another issuer.
type NewFederated struct {
	ID        string   `json:"id"`
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences,omitempty"`
}

// Forget removes a credential.
type Forget struct {
	ID         string `json:"id"`
	Credential string `json:"credential"`
}

// Membership puts a principal into a group.
type Membership struct {
	Group  string `json:"group"`
	Member string `json:"member"`
}

// Revocation ends the tokens of an identity. External says that ID may be the object id
// of a user whom only an external issuer knows.
type Revocation struct {
	ID       string `json:"id"`
	External bool   `json:"external,omitempty"`
}

// KeyIDs names keys that sign tokens; none stands for all.
type KeyIDs struct {
	IDs []string `json:"ids,omitempty"`
}

// TokenKeyView is a key that signs tokens.
type TokenKeyView struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Ends    time.Time `json:"ends"`  // no token that it signed is good after this
	Signs   bool      `json:"signs"` // new tokens
}

// CAView is a CA of the listener's certificate that clients trust.
type CAView struct {
	State    string    `json:"state"` // "current", "next" or "former"
	Subject  string    `json:"subject"`
	SHA256   string    `json:"sha256"` // of the certificate, as hex
	NotAfter time.Time `json:"notAfter"`
	Names    []string  `json:"names,omitempty"` // what it may sign; none: anything
}

// Rotation replaces the root key.
type Rotation struct {
	ForgetOld bool `json:"forgetOld,omitempty"` // backups from before do not open with the new file
}

// Rotated tells what a rotation did.
type Rotated struct {
	RootKey  string `json:"rootKey"`
	DataKeys int    `json:"dataKeys"`
	InHSM    bool   `json:"inHsm,omitempty"` // the root key is in the HSM
}

// DataKeyRotation gives data keys a successor.
type DataKeyRotation struct {
	Vault     string `json:"vault,omitempty"`     // "": of every vault, and of the installation
	ForgetOld bool   `json:"forgetOld,omitempty"` // backups of objects from before do not restore any more
}

// DataKeysRotated tells how many data keys got a successor, and how many boxes are to be
// sealed again.
type DataKeysRotated struct {
	DataKeys int   `json:"dataKeys"`
	Boxes    int64 `json:"boxes"`
}

// DataKeyView is a data key as shown. Of one that was replaced, Left boxes of the Total of
// its scope are still to be sealed by its successor.
type DataKeyView struct {
	Scope    string    `json:"scope"` // the vault's name, or "installation", "backups", "continuations"
	ID       string    `json:"id"`
	RootID   string    `json:"rootId"` // of the root key that wraps it
	State    string    `json:"state"`  // "current", "replaced", "closed" or "kept"
	Created  time.Time `json:"created"`
	Replaced time.Time `json:"replaced,omitzero"`
	Sealed   int64     `json:"sealed"` // boxes that it may have sealed, at the most
	Left     int64     `json:"left"`
	Total    int64     `json:"total"`
}

// AuditHead is what the database has seen of the audit log: the number of a line, 0
// for none, and its SHA-256 in hex. Disturbed is what the running server found done to
// the log's files; "" for nothing.
type AuditHead struct {
	Sequence  uint64 `json:"sequence"`
	Hash      string `json:"hash"`
	Disturbed string `json:"disturbed,omitempty"`
}

// HealthView is what is wrong with the running process; Ready is what /healthstatus tells.
type HealthView struct {
	Ready    bool            `json:"ready"`
	Findings []HealthFinding `json:"findings"`
}

// HealthFinding is a check that fails: a sentence, and whether the vault serves all the same.
type HealthFinding struct {
	Check  string    `json:"check"`
	What   string    `json:"what"`
	Since  time.Time `json:"since"`
	Serves bool      `json:"serves"`
}

// JobView is a job that was given up.
type JobView struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Vault    string    `json:"vault,omitempty"` // its id; "": of the installation
	Name     string    `json:"name,omitempty"`
	Ref      string    `json:"ref,omitempty"`
	Failures int       `json:"failures"`
	Error    string    `json:"error"`
	GaveUp   time.Time `json:"gaveUp"`
}

// ToFile names a file on the server's machine.
type ToFile struct {
	Path string `json:"path"`
}

func (s *Service) viewVault(v *vault.Vault) VaultView {
	view := VaultView{
		Name: v.Name, ID: v.ResourceID(), URL: s.cfg.URL(v), TenantID: v.TenantID, Location: v.Location, SKU: string(v.SKU), Model: "policy",
		RetentionDays: v.RetentionDays, PurgeProtection: v.PurgeProtection,
		DefaultDeny: v.Network.DefaultDeny, PublicAccess: !v.Network.PublicAccessDisabled, IPRules: orEmpty(v.Network.IPRules),
		Policies: []PolicyView{}, Created: v.Created,
	}
	if v.RBAC {
		view.Model = "rbac"
	}
	for _, p := range v.AccessPolicies {
		view.Policies = append(view.Policies, PolicyView{ObjectID: p.ObjectID, ApplicationID: p.ApplicationID,
			Certificates: orEmpty(p.Certificates), Keys: orEmpty(p.Keys), Secrets: orEmpty(p.Secrets)})
	}
	return view
}

func viewIdentity(p *directory.Principal) IdentityView {
	v := IdentityView{ObjectID: p.ObjectID, ClientID: p.AppID, Name: p.Name, Kind: string(p.Kind), Enabled: p.Enabled, Created: p.Created}
	if p.ValidAfter != 0 {
		v.ValidAfter = new(time.UnixMilli(p.ValidAfter).UTC())
	}
	return v
}

func viewCredential(c *directory.Credential) CredentialView {
	return CredentialView{ID: c.ID, Kind: string(c.Kind), Hint: c.Hint, Issuer: c.Issuer, Subject: c.Subject, Created: c.Created, Expires: c.Expires}
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
