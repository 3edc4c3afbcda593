package access

// Management is one call on the management plane.
type Management struct {
	Action string // "Microsoft.KeyVault/vaults/write"
	Scope  string // id of what is acted on

	// Of the role assignment that is written or deleted; else "".
	RoleID        string // GUID, or an id that ends in it
	PrincipalID   string
	PrincipalType string

	// Unconditional asks for an assignment without any condition, as changing a
	// vault's model does (contract management.md, 5.1).
	Unconditional bool
}

// assignmentWrite is the action whose assignment is in the request, since it
// need not exist yet.
const assignmentWrite = "Microsoft.Authorization/roleAssignments/write"

// Manages tells whether the caller may make a call on the management plane, and
// by which assignment. Data actions count for nothing there. tenant is the
// installation's; the caller has been checked against it.
func Manages(c Caller, m Management, tenant string, assignments []Assignment, custom []Role) (assignmentID string, ok bool) {
	f := &facts{action: m.Action}
	about := &f.resource
	if matches(assignmentWrite, m.Action) {
		about = &f.request
	}
	about[roleDefinitionID] = lastSegment(m.RoleID)
	about[principalID] = m.PrincipalID
	about[principalType] = m.PrincipalType
	ids := c.ids()
	for i := range assignments {
		as := &assignments[i]
		if !covers(as.Scope, m.Scope, tenant) || !ids.has(as.PrincipalID) {
			continue
		}
		blocks(as.RoleID, custom, func(role *Role) bool {
			ok = matchesAny(role.Actions, m.Action) && !matchesAny(role.NotActions, m.Action) &&
				(!m.Unconditional || role.Condition == "" && as.Condition == "") &&
				holds(role.Condition, f) && holds(as.Condition, f)
			return !ok
		})
		if ok {
			return as.ID, true
		}
	}
	return "", false
}
