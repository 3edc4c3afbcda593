package audit

import "strings"

// Facts are all that a record tells of an attempt beside its outcome. They are
// composed in one place, access.Attempt, when an intent or a record is written.
// Nothing in them is believed: texts are cut and made printable here.
type Facts struct {
	Request Request
	Caller  Claims // verified; empty for nobody

	ResourceID    string // of the vault in the management plane; "" outside of a vault
	VaultURL      string // to which Object is joined
	Operation     string // contract observability.md, 2; "": not known
	APIVersion    string
	Object        string // path below the vault's URL, "certificates/web"; "" for the vault
	ObjectVersion string // returned or acted on
	Algorithm     string // of a cryptographic operation

	AddressAuthorized *bool            // the firewall's answer; nil: it was not asked
	Permission        *Permission      // nil: not reached, or decided by neither roles nor policies
	Unauthenticated   *Unauthenticated // not nil: the request was answered with 401

	// Powerless tells that the caller is not known, or has no right at all on what it
	// tried to reach. Such records have a budget, and
	// beyond it they are counted. Unauthenticated
	// implies it.
	Powerless bool

	Details Details // as it is after the operation
	Before  *Details
	Also    []Also
}

// Request is what arrived, before anything of it was believed.
type Request struct {
	Address       string // the caller's, without port
	URI           string // as received; secrets in its query are masked
	UserAgent     string
	CorrelationID string // x-ms-client-request-id; of background work, the job
	TLSVersion    uint16 // as crypto/tls numbers it; 0 without TLS
}

// Permission is the answer of roles or of access policies.
type Permission struct {
	RBAC         bool // by roles; else by access policies
	Allowed      bool
	AssignmentID string // the role assignment that decided, "" for none
}

// Unauthenticated makes the record that of a 401: no identity, operation
// Authentication.
type Unauthenticated struct {
	Failure   string // the AKV number, "" if there is none
	WithToken bool   // a token was sent at all
}

// Also is a second record of the same request, with the same outcome: a create
// that carries a policy is recorded as CertificatePolicySet as well.
type Also struct {
	Operation string
	Details   Details
}

// record is the line that the facts make, without an outcome. Texts are cut to
// 512 characters, the URI to 4096.
func (f *Facts) record() record {
	r := record{Category: "AuditEvent", OperationName: "Unknown", ResourceID: strings.ToUpper(f.ResourceID)}
	if f.Operation != "" {
		r.OperationName = f.Operation
	}
	r.OperationVersion = clip(valid(f.APIVersion), maxText)
	r.CallerIPAddress = clip(valid(f.Request.Address), maxText)
	r.CorrelationID = clip(valid(f.Request.CorrelationID), maxText)
	r.Identity.Claim = Claims{
		ObjectID: clip(valid(f.Caller.ObjectID), maxText), UPN: clip(valid(f.Caller.UPN), maxText), AppID: clip(valid(f.Caller.AppID), maxText),
		UID: clip(valid(f.Caller.UID), maxText), TokenID: clip(valid(f.Caller.TokenID), maxText),
		KeyID: clip(valid(f.Caller.KeyID), maxText), Credential: clip(valid(f.Caller.Credential), maxText),
	}
	p := &r.Properties
	p.ID = f.id()
	p.ClientInfo = clip(valid(f.Request.UserAgent), maxText)
	p.RequestURI = maskURI(valid(f.Request.URI))
	p.TLSVersion = tlsName(f.Request.TLSVersion)
	p.SubnetID = "(unknown)"
	p.Algorithm = clip(valid(f.Algorithm), maxText)
	if f.AddressAuthorized != nil {
		p.IsAddressAuthorized, p.AddressAuthorizationType = f.AddressAuthorized, "Public IP"
	}
	if d := f.Permission; d != nil {
		byRole, byPolicy := d.RBAC && d.Allowed, !d.RBAC && d.Allowed
		p.IsRbacAuthorized, p.IsAccessPolicyMatch, p.AppliedAssignmentID = &byRole, &byPolicy, d.AssignmentID
	}
	if u := f.Unauthenticated; u != nil {
		r.OperationName, r.Identity.Claim, p.AuthenticationFailure = "Authentication", Claims{}, u.Failure
	}
	p.Details, p.Before = f.Details, f.Before
	return r
}

func (f *Facts) powerless() bool { return f.Powerless || f.Unauthenticated != nil }

// id is the identifier of the object, or the vault's URL.
func (f *Facts) id() string {
	id := strings.TrimSuffix(f.VaultURL, "/")
	if f.Object == "" {
		return id
	}
	id += "/" + f.Object
	if f.ObjectVersion != "" {
		id += "/" + f.ObjectVersion
	}
	return id
}
