package access

import (
	"strings"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Rules are all that a decision depends on beside the request.
type Rules struct {
	Vault       *vault.Vault // nil: a management action outside of one
	TenantID    string       // of the installation
	Assignments []Assignment // those at, above and below the target; others do no harm
	Roles       []Role       // custom roles; the built-in ones are known

	// Spelling is the object's name in the casing of its creation, for the
	// conditions, which compare with case. Zero: as asked, for there is no such
	// object yet. Only Gate sets it.
	Spelling object.Name
}

// Decision is the answer, with its reason.
type Decision struct {
	Allowed      bool
	RBAC         bool         // decided by roles; else by access policies, unless Operator
	Operator     bool         // decided by what the caller is: the operator, or the vault itself
	AssignmentID string       // the role assignment that allowed, or whose condition refused
	PublicOnly   bool         // allowed with the public half of an asymmetric key only
	Refusal      *fault.Error // why not; nil when allowed
}

// reached tells whether roles or policies were asked at all.
func (d Decision) reached() bool { return d.Allowed || d.Refusal.Reason != "" }

// Decide tells whether the caller may do this to the target; it is the one
// decision of every door and of background work. On the data plane the vault is
// that of the rules, and a zero name is the vault itself, or an object whose name
// is not known yet; it never tells whether the object exists (contract
// access-control.md, 2, 5, 6).
func Decide(c Caller, a Action, t Target, r Rules) Decision {
	switch rows[a].plane {
	case ownWork:
		if c.kind == ownSelf {
			return Decision{Allowed: true, Operator: true}
		}
	case managementPlane:
		if c.kind != ownSelf {
			return byManagement(c, a, t, r)
		}
	case dataPlane:
		if c.kind == principal && r.Vault != nil {
			return byData(c, a, t.Name, r)
		}
	}
	return Decision{Refusal: refuseKind(a)}
}

// byData decides by the vault's permission model.
func byData(c Caller, a Action, name object.Name, r Rules) Decision {
	// Tokens of other tenants do not come this far; an id of one tenant must not
	// count in another even so.
	foreign := r.Vault.TenantID == "" || !strings.EqualFold(c.TenantID, r.Vault.TenantID)
	if r.Vault.RBAC {
		return byRoles(c, a, name, r, foreign)
	}
	return byPolicies(c, a, r.Vault, foreign)
}

// byPolicies adds up all entries that name the caller (section 5).
func byPolicies(c Caller, a Action, v *vault.Vault, foreign bool) Decision {
	var matched, compound bool
	ids := c.ids()
	for i := range v.AccessPolicies {
		e := &v.AccessPolicies[i]
		if foreign || !strings.EqualFold(e.TenantID, v.TenantID) || !ids.has(e.ObjectID) {
			continue
		}
		if e.ApplicationID != "" && !(c.Delegated && strings.EqualFold(c.AppID, e.ApplicationID)) {
			compound = true
			continue
		}
		matched = true
		if grants(wordsFor(e, a.Family()), rows[a].permissions) {
			return Decision{Allowed: true}
		}
	}
	if compound && !matched {
		return Decision{Refusal: refuseCompound(c)}
	}
	return Decision{Refusal: refuseByPolicy(c, a, v)}
}

// wordsFor are the entry's words for a family.
func wordsFor(e *vault.AccessPolicy, f object.Family) []string {
	switch f {
	case object.Certificates:
		return e.Certificates
	case object.Keys:
		return e.Keys
	case object.Secrets:
		return e.Secrets
	}
	return nil
}

// grants tells whether one of the granted words is needed. "all" is every word
// of its group, purge included (section 13.1).
func grants(granted, needed []string) bool {
	for _, g := range granted {
		for _, n := range needed {
			if strings.EqualFold(g, n) || strings.EqualFold(g, "all") {
				return true
			}
		}
	}
	return false
}

// byRoles looks for one assignment that allows (section 6.1).
func byRoles(c Caller, a Action, name object.Name, r Rules, foreign bool) Decision {
	d := Decision{RBAC: true}
	if !foreign {
		wanted := a.DataAction()
		target := target(r.Vault, a, name)
		f := dataFacts(a, name, r)
		ids := c.ids()
		id, allowed := r.search(ids, target, f, wanted)
		if !allowed && rows[a].publicData != "" {
			f.action = dataPrefix + rows[a].publicData
			if other, ok := r.search(ids, target, f, f.action); ok {
				id, allowed, d.PublicOnly = other, true, true
			}
		}
		d.Allowed, d.AssignmentID = allowed, id
	}
	if !d.Allowed {
		d.Refusal = refuseByRole(c, a, name, r.Vault, d.AssignmentID)
	}
	return d
}

// search finds an assignment that allows the data action on the target. When
// there is none, id is the first that only a condition kept from it.
func (r *Rules) search(ids ids, target string, f *facts, wanted string) (id string, allowed bool) {
	for i := range r.Assignments {
		as := &r.Assignments[i]
		if !covers(as.Scope, target, r.Vault.TenantID) || !ids.has(as.PrincipalID) {
			continue
		}
		blocks(as.RoleID, r.Roles, func(role *Role) bool {
			if !matchesAny(role.DataActions, wanted) || matchesAny(role.NotDataActions, wanted) {
				return true
			}
			if holds(role.Condition, f) && holds(as.Condition, f) {
				id, allowed = as.ID, true
				return false
			}
			if id == "" {
				id = as.ID
			}
			return true
		})
		if allowed {
			return id, true
		}
	}
	return id, false
}

// target is the id that roles are asked about: of the object, without a version,
// or of the vault.
func target(v *vault.Vault, a Action, name object.Name) string {
	if !a.OnObject() || name.IsZero() {
		return v.ResourceID()
	}
	return v.ResourceID() + "/" + string(a.Family()) + "/" + name.Key()
}

// managementGroup precedes the id of a management group.
const managementGroup = "/providers/microsoft.management/managementgroups/"

// covers tells whether the scope is the target or above it, by whole segments
// and without case. Of management groups only the root is known, which has the
// id of the tenant and is above all its subscriptions.
func covers(scope, target, tenant string) bool {
	if scope == "/" {
		return true
	}
	scope = strings.ToLower(strings.TrimSuffix(scope, "/"))
	if scope == "" {
		return false
	}
	target = strings.ToLower(target)
	if root, ok := strings.CutPrefix(scope, managementGroup); ok {
		return root != "" && root == strings.ToLower(tenant)
	}
	return target == scope || strings.HasPrefix(target, scope+"/")
}

// dataFacts are what a condition can ask about a request on the data plane
// (section 6.5). The name of a secret is that of the request where the secret
// may not exist yet, else that of the resource.
func dataFacts(a Action, name object.Name, r Rules) *facts {
	f := &facts{action: a.DataAction()}
	f.resource[vaultName] = r.Vault.Name
	if a.Family() != object.Secrets {
		return f
	}
	if !r.Spelling.IsZero() {
		name = r.Spelling
	}
	if a == SecretSet || a == SecretRestore {
		f.request[secretName] = name.String()
	} else {
		f.resource[secretName] = name.String()
	}
	return f
}
