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
	// Rules answers for a vault, or, with nil, for the installation. current wants what
	// the database holds now, of the vault's settings too: nothing that is kept.
	Rules(ctx context.Context, v *vault.Vault, current bool) (Rules, error)
}

// Speller is a RuleSource that also knows how the name of an object, live or
// deleted, was written at its creation; of one that is not there, it returns the
// name as asked. Conditions compare names with case. With a source that is no
// Speller, assignments with a condition do not count: whoever may choose the
// casing could slip past them.
type Speller interface {
	Spelling(ctx context.Context, v *vault.Vault, f object.Family, name object.Name) (object.Name, error)
}

// GateConfig is what a Gate is made of.
type GateConfig struct {
	Rules    RuleSource
	TenantID string // of the installation; needed by management actions only
	// Trusted says whom the firewall lets pass as a trusted service; nil: nobody.
	Trusted func(Caller) bool
}

// Gate is what every attempt passes, whatever door it came through. It decides,
// puts the attempt on record and gives a Grant.
type Gate struct{ cfg GateConfig }

// NewGate makes the gate over a source of rules.
func NewGate(cfg GateConfig) *Gate { return &Gate{cfg} }

// Grant is the proof that the gate allowed exactly this. Only a Gate makes one,
// out of an attempt that is recorded; the zero Grant is for nothing.
type Grant struct {
	attempt    *Attempt
	caller     Caller
	action     Action
	vault      *vault.Vault
	name       object.Name
	resource   string
	assignment Assignment
	publicOnly bool
}

// Attempt is what was allowed, with its record. The rule may tell it more.
func (g Grant) Attempt() *Attempt { return g.attempt }

// Vault is the vault that the grant is for, with the settings it was decided by.
func (g Grant) Vault() *vault.Vault { return g.vault }

// Caller is who was allowed.
func (g Grant) Caller() Caller { return g.caller }

// Action is what was allowed.
func (g Grant) Action() Action { return g.action }

// Name is the object that it was allowed on, as the caller wrote it; zero for
// the vault as a whole.
func (g Grant) Name() object.Name { return g.name }

// Resource is the id of what a management action was allowed on, as the caller
// wrote it; "" on the data plane.
func (g Grant) Resource() string { return g.resource }

// Assignment is the role assignment whose writing or deletion was allowed.
func (g Grant) Assignment() Assignment { return g.assignment }

// PublicOnly tells that the caller may only read the key, which includes using
// its public half: encrypting, wrapping and verifying are for asymmetric keys
// only then (contract access-control.md, 4.2).
func (g Grant) PublicOnly() bool { return g.publicOnly }

// Must panics unless the grant is for one of the actions, and its attempt goes on: what
// is done after the outcome is on record would be on none. Every method of a domain
// that takes a grant begins with it.
func (g Grant) Must(a ...Action) {
	if g.action == 0 || !slices.Contains(a, g.action) {
		panic(fmt.Sprintf("access: a grant for %q where one of %v is needed", g.action, a))
	}
	if g.attempt.finished {
		panic(fmt.Sprintf("access: a grant for %q after the outcome is on record", g.action))
	}
}

// MustEverywhere is Must, of a grant on the installation as a whole: what is in no
// vault is no matter of a right on one.
func (g Grant) MustEverywhere(a ...Action) {
	g.Must(a...)
	if g.resource != Everywhere {
		panic(fmt.Sprintf("access: a grant for %q on %q where one on everything is needed", g.action, g.resource))
	}
}

// CheckNetwork asks the firewall of the attempt's vault. It comes before whatever
// reads a route; Allow asks by itself when nobody has. The error is a
// *fault.Error.
func (g *Gate) CheckNetwork(a *Attempt) error {
	if a == nil || a.target.Vault == nil {
		return errNoAttempt
	}
	exempt := g.cfg.Trusted != nil && g.cfg.Trusted(a.caller)
	refusal := checkNetwork(a.target.Vault, a.caller, a.client, exempt)
	a.address, a.firewall = new(refusal == nil), a.target.Vault
	if refusal != nil {
		return refusal
	}
	return nil
}

// Allow decides about an attempt. For what changes state or reveals a secret, the
// intent is durably on record when Allow returns a grant. The error is a
// *fault.Error: Forbidden with the reason, or Unavailable when the rules or the
// record cannot be had; any other is a bug.
//
// The zero name asks about the vault. An attempt gets one grant: of two, the record
// would tell of the last only.
func (g *Gate) Allow(ctx context.Context, a *Attempt) (Grant, error) {
	if err := a.decidable(); err != nil {
		return Grant{}, err
	}
	if rows[a.action].plane == dataPlane && (a.firewall != a.target.Vault || !*a.address) {
		if err := g.CheckNetwork(a); err != nil {
			return Grant{}, err
		}
	}
	rules, err := g.rulesFor(ctx, a)
	if err != nil {
		return Grant{}, &fault.Error{Kind: fault.Unavailable, Msg: "The permissions cannot be read now.",
			Err: fmt.Errorf("rules of %s: %w", a.action, err)}
	}
	d := Decide(a.caller, a.action, a.target, rules)
	if !d.Operator && d.reached() {
		a.permission = &audit.Permission{RBAC: d.RBAC, Allowed: d.Allowed, AssignmentID: d.AssignmentID}
	}
	if !d.Allowed {
		return Grant{}, d.Refusal
	}
	if a.action.Durable() {
		if err := a.intend(ctx); err != nil {
			return Grant{}, err
		}
	}
	a.granted = true
	return Grant{
		attempt: a, caller: a.caller, action: a.action, vault: rules.Vault, name: a.target.Name,
		resource: a.target.Resource, assignment: a.target.Assignment, publicOnly: d.PublicOnly,
	}, nil
}

// Weigh finds out whether the caller of an attempt that was refused has any right at all
// on its vault, for the record: those who have none can be refused as often as they
// like. When that cannot be told, it has.
func (g *Gate) Weigh(ctx context.Context, a *Attempt) {
	v := a.target.Vault
	if a.granted || v == nil || a.caller.kind != principal {
		return
	}
	rules, err := g.cfg.Rules.Rules(ctx, v, false)
	if err != nil {
		return
	}
	if rules.Vault == nil {
		rules.Vault = v
	}
	a.powerless = !rules.names(a.caller)
}

// names tells whether anything in the vault's permission model names the caller.
func (r *Rules) names(c Caller) bool {
	ids, v := c.ids(), r.Vault
	if !v.RBAC {
		return slices.ContainsFunc(v.AccessPolicies, func(e vault.AccessPolicy) bool { return ids.has(e.ObjectID) })
	}
	id := v.ResourceID()
	return slices.ContainsFunc(r.Assignments, func(as Assignment) bool {
		return ids.has(as.PrincipalID) && (covers(as.Scope, id, v.TenantID) || covers(id, as.Scope, v.TenantID))
	})
}

// rulesFor reads the rules, and the spelling where a condition may depend on it.
// Nobody but a principal needs them.
func (g *Gate) rulesFor(ctx context.Context, a *Attempt) (Rules, error) {
	v, name := a.target.Vault, a.target.Name
	if a.caller.kind != principal {
		return Rules{Vault: v, TenantID: g.cfg.TenantID}, nil
	}
	rules, err := g.cfg.Rules.Rules(ctx, v, a.action.Irrevocable())
	if err != nil {
		return Rules{}, err
	}
	rules.TenantID = g.cfg.TenantID
	if rules.Vault == nil {
		rules.Vault = v
	}
	if v == nil {
		return rules, nil
	}
	if rules.Vault.ID != v.ID {
		return Rules{}, errors.New("they are those of another vault")
	}
	rules.Spelling = object.Name{}
	if !rules.Vault.RBAC || a.action.Family() != object.Secrets || name.IsZero() || !rules.conditional() {
		return rules, nil
	}
	speller, ok := g.cfg.Rules.(Speller)
	if !ok {
		rules.Assignments = slices.DeleteFunc(slices.Clone(rules.Assignments), rules.isConditional)
		return rules, nil
	}
	rules.Spelling, err = speller.Spelling(ctx, rules.Vault, a.action.Family(), name)
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
