package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Recorder begins attempts. Every door has one, and so has background work: there
// is no other way to an Attempt, and without an Attempt there is no Grant.
type Recorder struct{ log *audit.Log }

// NewRecorder begins attempts that are recorded in log, which must not be nil.
func NewRecorder(log *audit.Log) *Recorder {
	if log == nil {
		panic("access: a recorder without a log")
	}
	return &Recorder{log}
}

// Healthy returns nil when attempts can be recorded.
func (r *Recorder) Healthy() error { return r.log.Healthy() }

// Attempt is one thing that somebody tries to do: who, on what, which action,
// from where, and the record that will tell of it. A door makes one when a
// request arrives and says what it finds out, step by step; [Gate.Allow] decides
// about it; [Attempt.Finish] puts the outcome on record. It is not safe for
// concurrent use, and its zero value is refused everywhere.
type Attempt struct {
	entry *audit.Entry

	request  audit.Request
	client   netip.Addr // the caller's address; zero when it is not known
	version  string     // api-version as sent
	caller   Caller     // zero until Authenticated
	vaultURL string
	target   Target
	action   Action

	granted   bool         // it was decided about: what was decided stays as it is
	finished  bool         // the outcome is on record
	powerless bool         // the caller has no right on the vault; see Gate.Weigh
	firewall  *vault.Vault // whose firewall was asked; see address

	// What came of the checks, for the record.
	unauthenticated *audit.Unauthenticated
	address         *bool
	permission      *audit.Permission

	// What the operation told of itself.
	object        string // "": as the target says
	objectVersion string
	algorithm     string
	details       audit.Details
	before        *audit.Details
	also          []audit.Also
}

// Everywhere is the resource id of the installation as a whole.
const Everywhere = "/"

// Target is what an attempt is on.
type Target struct {
	// Vault is the vault, or the one that an object is in; nil on the management
	// plane where there is none, or none yet.
	Vault *vault.Vault
	// Name is the object in it, as the caller wrote it; zero for the vault.
	Name object.Name
	// Resource is the id of what a management action is on. Data actions leave it
	// empty.
	Resource string
	// Assignment is the role assignment that is written or deleted, and
	// PrincipalType what it names: "User", "Group", "ServicePrincipal".
	Assignment    Assignment
	PrincipalType string
	// Unconditional asks for a role assignment without any condition, as changing
	// a vault's permission model does (contract management.md, 5.1).
	Unconditional bool
}

// Begin opens an attempt that arrived at the given time.
func (r *Recorder) Begin(arrival time.Time) *Attempt {
	return &Attempt{entry: r.log.Begin(arrival)}
}

// ID is the id of the attempt, which serves as x-ms-request-id.
func (a *Attempt) ID() string { return a.entry.RequestID() }

// Arrived says what arrived, and from where.
func (a *Attempt) Arrived(r audit.Request, client netip.Addr, apiVersion string) {
	a.mustBeOpen()
	a.request, a.client, a.version = r, client.Unmap().WithZone(""), apiVersion
}

// In says which vault is meant, and under which URL clients know it.
func (a *Attempt) In(v *vault.Vault, url string) {
	a.mustBeOpen()
	a.target.Vault, a.vaultURL = v, url
}

// Unauthenticated says that nobody could be found who calls. failure is the AKV
// number, "" if there is none; withToken tells whether there was a token at all.
func (a *Attempt) Unauthenticated(failure string, withToken bool) {
	a.mustBeOpen()
	a.caller, a.unauthenticated = Caller{}, &audit.Unauthenticated{Failure: failure, WithToken: withToken}
}

// Authenticated says who calls.
func (a *Attempt) Authenticated(c Caller) {
	a.mustBeOpen()
	a.caller, a.unauthenticated = c, nil
	a.firewall = nil // it asks who calls
}

// On says which action is attempted, on which object of the vault; the zero name
// is the vault itself, or an object whose name is not known yet.
func (a *Attempt) On(action Action, name object.Name) {
	a.mustBeOpen()
	a.action, a.target.Name = action, name
	a.object, a.objectVersion = "", ""
}

// OnResource says which management action is attempted, and on what.
func (a *Attempt) OnResource(action Action, t Target) {
	a.mustBeOpen()
	a.action, a.target = action, t
	a.object, a.objectVersion = "", ""
}

// mustBeOpen panics once there is a grant: a record must tell of what was decided, and
// of nothing else.
func (a *Attempt) mustBeOpen() {
	if a.granted {
		panic(fmt.Sprintf("access: an attempt of %q is changed after its grant", a.action))
	}
}

// Caller is who calls; zero until that is known.
func (a *Attempt) Caller() Caller { return a.caller }

// OfNobody says that whoever tried could not prove to be anybody.
func (a *Attempt) OfNobody() { a.powerless = true }

// Powerless tells that the caller has no right at all on the vault, as far as
// Gate.Weigh was asked.
func (a *Attempt) Powerless() bool { return a.powerless }

// Concerns names what the operation turned out to be on, as a path for the
// record: "identities/{id}".
func (a *Attempt) Concerns(path string) { a.object, a.objectVersion = path, "" }

// ConcernsVault names the vault that the operation turned out to be on.
func (a *Attempt) ConcernsVault(v *vault.Vault) { a.target.Vault = v }

// ObjectVersion notes the version returned or acted on.
func (a *Attempt) ObjectVersion(v object.Version) { a.objectVersion = string(v) }

// Algorithm notes the algorithm of a cryptographic operation.
func (a *Attempt) Algorithm(name string) { a.algorithm = name }

// Describe adds members that belong to the operation; nil ones change nothing.
func (a *Attempt) Describe(d audit.Details) { a.details.Merge(d) }

// DescribeBefore adds the old values of members that the operation changes.
func (a *Attempt) DescribeBefore(d audit.Details) {
	if a.before == nil {
		a.before = new(audit.Details)
	}
	a.before.Merge(d)
}

// Also asks for a second record of this attempt, with the same outcome.
func (a *Attempt) Also(operation string, d audit.Details) {
	a.also = append(a.also, audit.Also{Operation: operation, Details: d})
}

// errNoAttempt reports an attempt that no Recorder made, that is over, that gave its
// grant already, or that does not say what it is on: a bug, never a caller's fault.
var errNoAttempt = errors.New("access: not an attempt that can be decided about")

// decidable reports errNoAttempt.
func (a *Attempt) decidable() error {
	if a == nil || a.entry == nil || a.granted || a.finished {
		return errNoAttempt
	}
	switch rows[a.action].plane {
	case noPlane:
		return errNoAttempt
	case dataPlane:
		if a.target.Vault == nil {
			return errNoAttempt
		}
	case ownWork:
		if a.target.Vault == nil && a.target.Resource != Everywhere {
			return errNoAttempt
		}
	}
	return nil
}

// Announce makes the intent durable of what nobody is asked about: that the token
// service gives a token to a client that has proved itself. The error is a *fault.Error.
func (a *Attempt) Announce(ctx context.Context) error {
	if a == nil || a.entry == nil || a.granted || a.finished || a.action != TokenIssue {
		return errNoAttempt
	}
	return a.intend(ctx)
}

// intend makes the intent durable.
func (a *Attempt) intend(ctx context.Context) error {
	f := a.facts()
	if err := a.entry.Intent(ctx, &f); err != nil {
		return &fault.Error{Kind: fault.Unavailable, Msg: "The operation cannot be recorded now.", Err: err}
	}
	return nil
}

// Finish writes the record. An error means that there is none: do not answer
// success. Then Finish may be called again with the outcome that is answered
// instead. After success, further calls do nothing.
func (a *Attempt) Finish(o audit.Outcome) error {
	f := a.facts()
	err := a.entry.Finish(&f, o)
	a.finished = a.finished || err == nil
	return err
}

// facts are the record of the attempt: the one place that fills it.
func (a *Attempt) facts() audit.Facts {
	f := audit.Facts{
		Request: a.request,
		Caller: audit.Claims{ObjectID: a.caller.ObjectID, UPN: a.caller.UPN, AppID: a.caller.AppID, UID: a.caller.UID,
			TokenID: a.caller.TokenID, KeyID: a.caller.KeyID, Credential: a.caller.Credential},
		VaultURL:   a.vaultURL,
		Operation:  a.action.Operation(),
		APIVersion: a.version,

		Object: a.object, ObjectVersion: a.objectVersion, Algorithm: a.algorithm,
		AddressAuthorized: a.address, Permission: a.permission, Unauthenticated: a.unauthenticated,
		Powerless: a.powerless,
		Details:   a.details, Before: a.before, Also: a.also,
	}
	if v := a.target.Vault; v != nil {
		f.ResourceID = v.ResourceID()
	}
	if f.Object == "" {
		f.Object = path(a.action, a.target.Name)
	}
	return f
}

// path is the object as ids name it, below the vault's URL; "" for the vault.
func path(a Action, name object.Name) string {
	switch a {
	case CertificateContactsGet, CertificateContactsSet, CertificateContactsDelete:
		return "certificates/contacts"
	case CertificateIssuerGet, CertificateIssuerSet, CertificateIssuerUpdate, CertificateIssuerDelete:
		return "certificates/issuers/" + name.String()
	}
	if name.IsZero() {
		return ""
	}
	return string(a.Family()) + "/" + name.String()
}
