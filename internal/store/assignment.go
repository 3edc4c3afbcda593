package store

import (
	"context"
	"strings"

	"coffer/internal/access"
	"coffer/internal/object"
)

const (
	insertAssignment = `INSERT INTO role_assignments (id, scope_key, scope, role_id, principal_id, condition)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`
	deleteAssignment = `DELETE FROM role_assignments WHERE id = $1`
	listAssignments  = `SELECT id, scope, role_id, principal_id, condition FROM role_assignments /* each row */ ORDER BY id`
)

var spellings = map[object.Family]string{
	object.Certificates: `SELECT display FROM certificates WHERE vault = $1 AND name = $2`,
	object.Keys:         `SELECT display FROM keys WHERE vault = $1 AND name = $2`,
	object.Secrets:      `SELECT display FROM secrets WHERE vault = $1 AND name = $2`,
}

// InsertAssignment stores a role assignment; object.ErrExists when the id is
// taken, or the same principal has the same role at the same scope already,
// whatever the casing of the scope.
func (tx *Tx) InsertAssignment(ctx context.Context, a access.Assignment) error {
	condition, err := toJSON(a.Condition)
	if err != nil {
		return err
	}
	return tx.insert(ctx, "InsertAssignment", insertAssignment,
		a.ID, strings.ToLower(a.Scope), a.Scope, a.RoleID, a.PrincipalID, condition)
}

// DeleteAssignment answers object.ErrNotFound when there is none.
func (tx *Tx) DeleteAssignment(ctx context.Context, id string) error {
	return tx.change(ctx, object.ErrNotFound, "DeleteAssignment", deleteAssignment, id)
}

// Assignments lists all role assignments by id.
func (tx *Tx) Assignments(ctx context.Context) (list []access.Assignment, err error) {
	err = tx.rows(ctx, listAssignments, nil, func(s scanner) error {
		var a access.Assignment
		var condition string
		if err := s.Scan(&a.ID, &a.Scope, &a.RoleID, &a.PrincipalID, &condition); err != nil {
			return err
		}
		list = append(list, a)
		return fromJSON(condition, &list[len(list)-1].Condition)
	})
	return list, err
}

// Spelling implements access.Tx.
func (tx *Tx) Spelling(ctx context.Context, v object.VaultID, f object.Family, n object.Name) (object.Name, error) {
	var display string
	if err := tx.row(ctx, spellings[f], []any{string(v), n.Key()}, &display); err != nil {
		return object.Name{}, err
	}
	return storedName(display)
}
