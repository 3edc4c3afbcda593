package management

import (
	"context"
	"errors"
	"slices"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/spelling"
)

// Assign stores the role assignment that the grant is for, at its scope; a vault in
// the scope must exist. role is the name or GUID of a built-in role.
func (s *Service) Assign(ctx context.Context, g access.Grant, role string) (access.Assignment, error) {
	g.Must(access.RoleAssignmentCreate)
	a := g.Assignment()
	a.Scope = g.Resource()
	g.Attempt().Concerns("roleAssignments/" + a.ID)
	r, ok := access.RoleByName(role)
	if !ok {
		return access.Assignment{}, &fault.Error{Kind: fault.Invalid, Field: "role", Msg: "There is no role '" + role + "'." + spelling.Suggest(role, access.RoleNames())}
	}
	a.RoleID = r.ID
	if err := checkScope(a.Scope); err != nil {
		return access.Assignment{}, err
	}
	if a.Condition != "" {
		if _, err := access.ParseCondition(a.Condition); err != nil {
			return access.Assignment{}, &fault.Error{Kind: fault.Invalid, Field: "condition", Msg: err.Error()}
		}
	}
	err := s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if a.Scope, err = scopeOf(ctx, tx, g); err != nil {
			return err
		}
		g.Attempt().Describe(assignment(a))
		return tx.InsertAssignment(ctx, a)
	})
	if errors.Is(err, object.ErrExists) {
		return access.Assignment{}, &fault.Error{Kind: fault.Conflict, Msg: "The role assignment already exists."}
	}
	return a, err
}

// Unassign takes the role assignment away that the grant is for: one at its scope or
// below, whose id the grant names.
func (s *Service) Unassign(ctx context.Context, g access.Grant) error {
	g.Must(access.RoleAssignmentDelete)
	id := g.Assignment().ID
	g.Attempt().Concerns("roleAssignments/" + id)
	return s.cfg.DB.Update(ctx, func(tx Tx) error {
		list, err := tx.Assignments(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(a access.Assignment) bool { return a.ID == id && within(g.Resource(), a.Scope) })
		if i < 0 {
			return &fault.Error{Kind: fault.NotFound, Msg: "There is no role assignment '" + id + "'."}
		}
		g.Attempt().DescribeBefore(assignment(list[i]))
		return tx.DeleteAssignment(ctx, id)
	})
}

// Assignments lists, by id, the role assignments at, above and below the scope of
// the grant, all that count there; a vault in the scope must exist.
func (s *Service) Assignments(ctx context.Context, g access.Grant) (list []access.Assignment, err error) {
	g.Must(access.RoleAssignmentList)
	var all []access.Assignment
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		if _, err := scopeOf(ctx, tx, g); err != nil {
			return err
		}
		all, err = tx.Assignments(ctx)
		return err
	})
	for _, a := range all {
		if within(a.Scope, g.Resource()) || within(g.Resource(), a.Scope) {
			list = append(list, a)
		}
	}
	return list, err
}

// scopeOf is the scope that the grant is for. A vault in it must exist; the scope has
// its casing, and the record is told of it.
func scopeOf(ctx context.Context, tx Tx, g access.Grant) (string, error) {
	id, rest, in := cutVault(g.Resource())
	if !in {
		return g.Resource(), nil
	}
	v, err := findByID(ctx, tx, id)
	if err != nil {
		return "", err
	}
	g.Attempt().ConcernsVault(v)
	return v.ResourceID() + rest, nil
}

// dropBelow removes, and answers, every assignment at a vault and below it: with the
// vault go the rights on it (contract access-control.md, 6.2).
func dropBelow(ctx context.Context, tx Tx, vaultID string) (dropped []access.Assignment, err error) {
	list, err := tx.Assignments(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if within(vaultID, a.Scope) {
			if err := tx.DeleteAssignment(ctx, a.ID); err != nil {
				return nil, err
			}
			dropped = append(dropped, a)
		}
	}
	return dropped, nil
}

// alsoDropped puts each assignment that went with a vault on record.
func alsoDropped(g access.Grant, dropped []access.Assignment) {
	for _, a := range dropped {
		g.Attempt().Also(access.RoleAssignmentDelete.Operation(), assignment(a))
	}
}
