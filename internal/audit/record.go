package audit

import "time"

// record is one line of the log (contract observability.md, 1.2).
type record struct {
	Time              string     `json:"time"`
	Category          string     `json:"category"`
	ResourceID        string     `json:"resourceId"`
	OperationName     string     `json:"operationName"`
	OperationVersion  string     `json:"operationVersion"`
	ResultType        string     `json:"resultType"`
	ResultSignature   string     `json:"resultSignature"`
	ResultDescription string     `json:"resultDescription"`
	DurationMs        string     `json:"durationMs"` // whole milliseconds, as a string
	CallerIPAddress   string     `json:"callerIpAddress"`
	CorrelationID     string     `json:"correlationId"`
	Identity          identity   `json:"identity"`
	Properties        properties `json:"properties"`
}

// timeForm has the seven decimals of the service's own records.
const timeForm = "2006-01-02T15:04:05.0000000Z"

type identity struct {
	Claim Claims `json:"claim"`
}

// Claims say who called; empty ones are left out. All are empty when the caller
// was not authenticated.
type Claims struct {
	ObjectID string `json:"http://schemas.microsoft.com/identity/claims/objectidentifier,omitempty"`
	UPN      string `json:"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn,omitempty"`
	AppID    string `json:"appid,omitempty"`
	UID      string `json:"uid,omitempty"` // of an operator, from the operating system; UPN is what it calls itself

	TokenID    string `json:"uti,omitempty"`          // of the token that was used
	KeyID      string `json:"kid,omitempty"`          // of the key that signed it
	Credential string `json:"credentialId,omitempty"` // of the credential that obtained it; "": an external issuer's
}

type properties struct {
	ID                       string `json:"id"`
	ClientInfo               string `json:"clientInfo"`
	RequestURI               string `json:"requestUri"`
	HTTPStatusCode           int    `json:"httpStatusCode,omitempty"`
	TLSVersion               string `json:"tlsVersion,omitempty"`
	SubnetID                 string `json:"subnetId"`
	IsRbacAuthorized         *bool  `json:"isRbacAuthorized,omitempty"`
	IsAccessPolicyMatch      *bool  `json:"isAccessPolicyMatch,omitempty"`
	IsAddressAuthorized      *bool  `json:"isAddressAuthorized,omitempty"`
	AddressAuthorizationType string `json:"addressAuthorizationType,omitempty"`
	AppliedAssignmentID      string `json:"appliedAssignmentId,omitempty"`
	Algorithm                string `json:"algorithm,omitempty"`
	RequestID                string `json:"requestId"`
	ErrorCode                string `json:"errorCode,omitempty"`
	InnerErrorCode           string `json:"innerErrorCode,omitempty"`
	AuthenticationFailure    string `json:"authenticationFailure,omitempty"`
	Details
	Before *Details `json:"before,omitempty"`
}

// Details are the members that belong to some operations only. A nil member is
// left out. None has room for a secret.
type Details struct {
	Key         *KeyProperties         `json:"keyProperties,omitempty"`
	Secret      *SecretProperties      `json:"secretProperties,omitempty"`
	Certificate *CertificateProperties `json:"certificateProperties,omitempty"`
	Policy      *PolicyProperties      `json:"certificatePolicyProperties,omitempty"`
	Issuer      *IssuerProperties      `json:"certificateIssuerProperties,omitempty"`
	Request     *RequestProperties     `json:"certificateRequestProperties,omitempty"`
	Differences *DifferenceProperties  `json:"certificateDifferences,omitempty"`

	Vault             *VaultProperties   `json:"vaultProperties,omitempty"`
	Network           *NetworkProperties `json:"networkAcls,omitempty"`
	RetentionDays     *int               `json:"softDeleteRetentionInDays,omitempty"`
	PurgeProtection   *bool              `json:"enablePurgeProtection,omitempty"`
	RBACAuthorization *bool              `json:"enableRbacAuthorization,omitempty"`

	AccessPolicy *AccessPolicyProperties `json:"accessPolicy,omitempty"`
	Assignment   *AssignmentProperties   `json:"roleAssignment,omitempty"`
	Principal    *PrincipalProperties    `json:"principal,omitempty"`
	Credential   *CredentialProperties   `json:"credential,omitempty"`
	Membership   *MembershipProperties   `json:"membership,omitempty"`
	RootKey      *RootKeyProperties      `json:"rootKey,omitempty"`
	DataKeys     *DataKeysProperties     `json:"dataKeys,omitempty"`
	Backup       *BackupProperties       `json:"backup,omitempty"`
	SigningKeys  *SigningKeysProperties  `json:"signingKeys,omitempty"`
	Token        *TokenProperties        `json:"token,omitempty"`
}

// Merge takes over the members that d has.
func (t *Details) Merge(d Details) {
	take(&t.Key, d.Key)
	take(&t.Secret, d.Secret)
	take(&t.Certificate, d.Certificate)
	take(&t.Policy, d.Policy)
	take(&t.Issuer, d.Issuer)
	take(&t.Request, d.Request)
	take(&t.Differences, d.Differences)
	take(&t.Vault, d.Vault)
	take(&t.Network, d.Network)
	take(&t.RetentionDays, d.RetentionDays)
	take(&t.PurgeProtection, d.PurgeProtection)
	take(&t.RBACAuthorization, d.RBACAuthorization)
	take(&t.AccessPolicy, d.AccessPolicy)
	take(&t.Assignment, d.Assignment)
	take(&t.Principal, d.Principal)
	take(&t.Credential, d.Credential)
	take(&t.Membership, d.Membership)
	take(&t.RootKey, d.RootKey)
	take(&t.DataKeys, d.DataKeys)
	take(&t.Backup, d.Backup)
	take(&t.SigningKeys, d.SigningKeys)
	take(&t.Token, d.Token)
}

func take[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}

// KeyProperties describe a key that was created, imported or rotated.
type KeyProperties struct {
	Type  string   `json:"type"`
	Size  int      `json:"size,omitempty"` // bits
	Curve string   `json:"curve,omitempty"`
	Ops   []string `json:"ops,omitempty"`
}

// SecretProperties describe a secret that was set: never its value or length.
type SecretProperties struct {
	ContentType string `json:"contentType"`
}

// CertificateProperties describe a certificate version. Fingerprints are hex.
type CertificateProperties struct {
	Subject string `json:"subject"`
	SHA1    string `json:"sha1"`
	SHA256  string `json:"sha256"`
	NBF     int64  `json:"nbf"` // seconds since 1970
	EXP     int64  `json:"exp"` // seconds since 1970
	Enabled bool   `json:"enabled"`
}

// DifferenceProperties describe how a certificate differs from what its policy ordered,
// in words.
type DifferenceProperties struct {
	Wider    []string `json:"wider,omitempty"`
	Narrower []string `json:"narrower,omitempty"`
}

// PolicyProperties describe a certificate policy.
type PolicyProperties struct {
	Key            *KeyProperties `json:"keyProperties,omitempty"`
	Exportable     *bool          `json:"exportable,omitempty"`
	ReuseKey       *bool          `json:"reuseKey,omitempty"`
	Subject        string         `json:"subject,omitempty"`
	DNSNames       []string       `json:"dnsNames,omitempty"`
	Emails         []string       `json:"emails,omitempty"`
	UPNs           []string       `json:"upns,omitempty"`
	EKUs           []string       `json:"ekus,omitempty"`
	KeyUsage       []string       `json:"keyUsage,omitempty"`
	ValidityMonths int            `json:"validityMonths,omitempty"`
	Issuer         string         `json:"issuer,omitempty"`
}

// IssuerProperties describe an issuer: never its account or password.
type IssuerProperties struct {
	Provider       string `json:"provider"`
	OrganizationID string `json:"organizationId,omitempty"`
}

// RequestProperties describe a pending certificate operation.
type RequestProperties struct {
	Status                string `json:"status"`
	RequestID             string `json:"requestId"`
	CancellationRequested bool   `json:"cancellationRequested"`
}

// VaultProperties describe a vault's settings beside those with members of
// their own.
type VaultProperties struct {
	SKU            string `json:"sku,omitempty"`
	AccessPolicies int    `json:"accessPolicies"` // how many entries
}

// NetworkProperties describe a vault's firewall.
type NetworkProperties struct {
	PublicNetworkAccess string   `json:"publicNetworkAccess,omitempty"`
	DefaultAction       string   `json:"defaultAction"`
	Bypass              string   `json:"bypass"`
	IPRules             []string `json:"ipRules,omitempty"`
}

// AccessPolicyProperties are one identity's permissions in a vault.
type AccessPolicyProperties struct {
	ObjectID      string   `json:"objectId"`
	ApplicationID string   `json:"applicationId,omitempty"`
	Certificates  []string `json:"certificates"`
	Keys          []string `json:"keys"`
	Secrets       []string `json:"secrets"`
}

// AssignmentProperties describe a role assignment.
type AssignmentProperties struct {
	ID               string `json:"id"`
	RoleDefinitionID string `json:"roleDefinitionId"`
	RoleName         string `json:"roleName,omitempty"`
	PrincipalID      string `json:"principalId"`
	Scope            string `json:"scope"`
	Condition        string `json:"condition,omitempty"` // cut to 4096 characters
}

// PrincipalProperties describe a principal of the directory.
type PrincipalProperties struct {
	ObjectID string `json:"objectId"`
	AppID    string `json:"appId,omitempty"`
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Enabled  bool   `json:"enabled"`

	// ValidAfter ends the tokens of before: milliseconds since 1970; 0 is none.
	ValidAfter int64 `json:"validAfter,omitempty"`
}

// CredentialProperties say which credential it is: never its value, nor a part of it.
type CredentialProperties struct {
	ObjectID  string   `json:"objectId"` // whose it is
	ID        string   `json:"id"`
	Kind      string   `json:"kind"`
	Expires   *int64   `json:"expires,omitempty"` // seconds since 1970; nil: never
	SHA256    string   `json:"sha256,omitempty"`  // of a certificate, hex
	Issuer    string   `json:"issuer,omitempty"`
	Subject   string   `json:"subject,omitempty"`
	Audiences []string `json:"audiences,omitempty"`
}

// MembershipProperties say who is in which group.
type MembershipProperties struct {
	GroupID  string `json:"groupId"`
	MemberID string `json:"memberId"`
}

// RootKeyProperties say which root key wraps how many data keys.
type RootKeyProperties struct {
	ID       string `json:"id"`
	DataKeys int    `json:"dataKeys,omitempty"`
}

// DataKeysProperties say which data keys got a successor, or were destroyed.
type DataKeysProperties struct {
	Count     int              `json:"count"`
	Keys      []DataKeyChanged `json:"keys"`                // at most MaxDataKeys of them
	ForgetOld bool             `json:"forgetOld,omitempty"` // those of backups of objects too
}

// MaxDataKeys is how many data keys a record names.
const MaxDataKeys = 100

// DataKeyChanged is one of them.
type DataKeyChanged struct {
	Scope     string `json:"scope"` // a vault's id, or one of the installation's
	ID        string `json:"id"`
	Successor string `json:"successor,omitempty"`
}

// BackupProperties say where a copy of the database went.
type BackupProperties struct {
	Path string `json:"path"` // cut to 4096 characters
}

// SigningKeysProperties are the ids of the keys that sign tokens.
type SigningKeysProperties struct {
	IDs []string `json:"ids"`
}

// TokenProperties describe a token that was issued: what it is for, and what obtained it.
// Its own id is that of the claims.
type TokenProperties struct {
	Audience       string `json:"audience"`
	CredentialKind string `json:"credentialKind"`
	Expires        int64  `json:"exp"` // seconds since 1970
}

// Clip cuts a text of a caller to what a record has room for: 4096 characters.
func Clip(s string) string { return clip(s, maxURI) }

func stamp(t time.Time) string { return t.UTC().Format(timeForm) }
