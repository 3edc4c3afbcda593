package access

import "strings"

// assignmentWrite is the action whose assignment is in the request, since it
// need not exist yet.
const assignmentWrite = "Microsoft.Authorization/roleAssignments/write"

// byManagement decides on the management plane, where data actions count for
// nothing (contract management.md, 5).
func byManagement(c Caller, a Action, t Target, r Rules) Decision {
	if c.kind == machine {
		return Decision{Allowed: true, Operator: true}
	}
	id, ok := manages(c, rows[a].action, t, r)
	d := Decision{RBAC: true, Allowed: ok, AssignmentID: id}
	if !ok {
		d.Refusal = refuseManagement(c, rows[a].action, t.Resource)
	}
	return d
}

// manages finds the assignment by which the caller may do an action on a
// resource. Tokens of other tenants do not come this far; an id of one tenant must not
// count in another even so.
func manages(c Caller, action string, t Target, r Rules) (assignmentID string, ok bool) {
	if r.TenantID == "" || !strings.EqualFold(c.TenantID, r.TenantID) {
		return "", false
	}
	f := &facts{action: action}
	about := &f.resource
	if matches(assignmentWrite, action) {
		about = &f.request
	}
	about[roleDefinitionID] = lastSegment(t.Assignment.RoleID)
	about[principalID] = t.Assignment.PrincipalID
	about[principalType] = t.PrincipalType
	ids := c.ids()
	for i := range r.Assignments {
		as := &r.Assignments[i]
		if !covers(as.Scope, t.Resource, r.TenantID) || !ids.has(as.PrincipalID) {
			continue
		}
		blocks(as.RoleID, r.Roles, func(role *Role) bool {
			ok = matchesAny(role.Actions, action) && !matchesAny(role.NotActions, action) &&
				(!t.Unconditional || role.Condition == "" && as.Condition == "") &&
				holds(role.Condition, f) && holds(as.Condition, f)
			return !ok
		})
		if ok {
			return as.ID, true
		}
	}
	return "", false
}
