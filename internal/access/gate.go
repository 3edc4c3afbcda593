package access

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// RuleSource knows the rules of a vault as they are now: a change counts for
// every call that starts after it was answered, revocations no later than
// grants.
type RuleSource interface {
	Rules(ctx context.Context, v *vault.Vault) (Rules, error)
}

// Speller is a RuleSource that also knows how the name of an object, live or
// deleted, was written at its creation; of one that is not there, it returns the
// name as asked. Conditions compare names with case. With a source that is no
// Speller, assignments with a condition do not count: whoever may choose the
// casing could slip past them.
type Speller interface {
	Spelling(ctx context.Context, v *vault.Vault, f object.Family, name object.Name) (object.Name, error)
}

// Gate is what every operation on an object passes. It decides, puts the attempt
// on record and gives a Grant.
type Gate struct{ rules RuleSource }

// NewGate makes the gate over a source of rules.
func NewGate(rules RuleSource) *Gate { return &Gate{rules} }

// Grant is the proof that the gate allowed exactly this. Only a Gate makes one;
// the zero Grant is for nothing.
type Grant struct {
	caller     Caller
	action     Action
	vault      *vault.Vault
	name       object.Name
	publicOnly bool
}

// Vault is the vault that the grant is for, with the settings it was decided by.
func (g Grant) Vault() *vault.Vault { return g.vault }

// Caller is who was allowed.
func (g Grant) Caller() Caller { return g.caller }

// Action is what was allowed.
func (g Grant) Action() Action { return g.action }

// Name is the object that it was allowed on, as the caller wrote it; zero for
// the vault as a whole.
func (g Grant) Name() object.Name { return g.name }

// PublicOnly tells that the caller may only read the key, which includes using
// its public half: encrypting, wrapping and verifying are for asymmetric keys
// only then (contract access-control.md, 4.2).
func (g Grant) PublicOnly() bool { return g.publicOnly }

// Must panics unless the grant is for one of the actions. Every method of a
// domain that takes a grant begins with it.
func (g Grant) Must(a ...Action) {
	if g.action == 0 || !slices.Contains(a, g.action) {
		panic(fmt.Sprintf("access: a grant for %q where one of %v is needed", g.action, a))
	}
}

// Allow decides whether the caller may do this, and tells the audit entry of ctx.
// For what changes state or reveals a secret, the intent is durably on record
// when Allow returns a grant. The error is a *fault.Error: Forbidden with the
// reason, or Unavailable when the rules or the record cannot be had.
//
// The zero name asks about the vault. A restore, whose name is in the backup,
// asks so first and again with the name.
func (g *Gate) Allow(ctx context.Context, c Caller, v *vault.Vault, a Action, name object.Name) (Grant, error) {
	entry := audit.FromContext(ctx)
	entry.SetVault(v.ResourceID(), "")
	entry.SetOperation(a.Operation())
	entry.SetObject(path(a, name))
	entry.SetCaller(audit.Claims{ObjectID: c.ObjectID, UPN: c.UPN, AppID: c.AppID})

	rules, err := g.rulesFor(ctx, v, a, name)
	if err != nil {
		return Grant{}, &fault.Error{Kind: fault.Unavailable, Msg: "The permissions cannot be read now.",
			Err: fmt.Errorf("rules of vault %s: %w", v.ID, err)}
	}
	d := Decide(c, a, name, rules)
	entry.SetAuthorized(d.RBAC, d.Allowed, d.AssignmentID)
	if !d.Allowed {
		return Grant{}, d.Refusal
	}
	if a.Durable() {
		if err := entry.Intent(ctx); err != nil {
			return Grant{}, &fault.Error{Kind: fault.Unavailable, Msg: "The operation cannot be recorded now.", Err: err}
		}
	}
	return Grant{caller: c, action: a, vault: rules.Vault, name: name, publicOnly: d.PublicOnly}, nil
}

// System is the grant of background work. Nobody is asked; whoever starts the
// work records it.
func (g *Gate) System(_ context.Context, v *vault.Vault, a Action, name object.Name) Grant {
	c := Caller{TenantID: v.TenantID, AppID: "vault", System: true}
	return Grant{caller: c, action: a, vault: v, name: name}
}

// rulesFor reads the rules, and the spelling where a condition may depend on it.
func (g *Gate) rulesFor(ctx context.Context, v *vault.Vault, a Action, name object.Name) (Rules, error) {
	rules, err := g.rules.Rules(ctx, v)
	if err != nil {
		return Rules{}, err
	}
	if rules.Vault == nil {
		rules.Vault = v
	}
	if rules.Vault.ID != v.ID {
		return Rules{}, errors.New("they are those of another vault")
	}
	rules.Spelling = object.Name{}
	if !rules.Vault.RBAC || a.Family() != object.Secrets || name.IsZero() || !rules.conditional() {
		return rules, nil
	}
	speller, ok := g.rules.(Speller)
	if !ok {
		rules.Assignments = slices.DeleteFunc(slices.Clone(rules.Assignments), rules.isConditional)
		return rules, nil
	}
	rules.Spelling, err = speller.Spelling(ctx, rules.Vault, a.Family(), name)
	if err == nil && rules.Spelling.Key() != name.Key() {
		err = errors.New("the spelling is that of another object")
	}
	return rules, err
}

// conditional tells whether a condition may have a say.
func (r *Rules) conditional() bool { return slices.ContainsFunc(r.Assignments, r.isConditional) }

func (r *Rules) isConditional(as Assignment) bool {
	found := as.Condition != ""
	blocks(as.RoleID, r.Roles, func(role *Role) bool {
		found = found || role.Condition != ""
		return !found
	})
	return found
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
