package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Tx is what role assignments need of one open transaction.
type Tx interface {
	// InsertAssignment fails with object.ErrExists when the id is taken, or the
	// same role is already given to the same principal at the same scope, in
	// whatever casing.
	InsertAssignment(ctx context.Context, a Assignment) error
	// DeleteAssignment answers object.ErrNotFound when there is none of that id.
	DeleteAssignment(ctx context.Context, id string) error
	// Assignments lists all of the installation, by id.
	Assignments(ctx context.Context) ([]Assignment, error)
}

// Assignments keeps the role assignments of the installation. What it read is
// used for vault.MaxAge; a change made through this process counts at once.
type Assignments struct {
	db  object.DB[Tx]
	now func() time.Time

	mu    sync.RWMutex
	list  []Assignment // guarded by mu; never changed in place
	until time.Time    // guarded by mu
	epoch uint64       // guarded by mu; grows with every change here
}

// NewAssignments keeps what db holds.
func NewAssignments(db object.DB[Tx], now func() time.Time) *Assignments {
	return &Assignments{db: db, now: now}
}

// List lists all assignments by id. The slice must not be changed.
func (s *Assignments) List(ctx context.Context) ([]Assignment, error) {
	now := s.now()
	s.mu.RLock()
	list, fresh, epoch := s.list, now.Before(s.until), s.epoch
	s.mu.RUnlock()
	if fresh {
		return list, nil
	}
	err := s.db.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Assignments(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == epoch { // else what we read may be older than a change
		s.list, s.until = list, now.Add(vault.MaxAge)
	}
	return list, nil
}

// Rules are the rules of a vault as they are now; with nil, of the installation.
func (s *Assignments) Rules(ctx context.Context, v *vault.Vault) (Rules, error) {
	if v != nil && !v.RBAC {
		return Rules{Vault: v}, nil
	}
	list, err := s.List(ctx)
	return Rules{Vault: v, Assignments: list}, err
}

// Assign gives a role to a principal at a scope. role is the name or GUID of a
// built-in role.
func (s *Assignments) Assign(ctx context.Context, id, role, principal, scope, condition string) (Assignment, error) {
	r, ok := RoleByName(role)
	if !ok {
		return Assignment{}, &fault.Error{Kind: fault.Invalid, Field: "role", Msg: "There is no role '" + role + "'."}
	}
	if scope != "/" && !strings.HasPrefix(scope, "/") {
		return Assignment{}, &fault.Error{Kind: fault.Invalid, Field: "scope", Msg: "A scope begins with '/'."}
	}
	if condition != "" {
		if _, err := ParseCondition(condition); err != nil {
			return Assignment{}, &fault.Error{Kind: fault.Invalid, Field: "condition", Msg: err.Error()}
		}
	}
	a := Assignment{ID: id, Scope: scope, RoleID: r.ID, PrincipalID: principal, Condition: condition}
	err := s.update(ctx, func(tx Tx) error { return tx.InsertAssignment(ctx, a) })
	if errors.Is(err, object.ErrExists) {
		return Assignment{}, &fault.Error{Kind: fault.Conflict, Msg: "The role assignment already exists."}
	}
	return a, err
}

// Unassign takes a role assignment away.
func (s *Assignments) Unassign(ctx context.Context, id string) error {
	err := s.update(ctx, func(tx Tx) error { return tx.DeleteAssignment(ctx, id) })
	if errors.Is(err, object.ErrNotFound) {
		return &fault.Error{Kind: fault.NotFound, Msg: "There is no role assignment '" + id + "'."}
	}
	return err
}

// DropBelow removes every assignment at a vault and below it: with the vault go
// the rights on it (contract access-control.md, 6.2).
func (s *Assignments) DropBelow(ctx context.Context, resourceID string) error {
	return s.update(ctx, func(tx Tx) error {
		list, err := tx.Assignments(ctx)
		if err != nil {
			return err
		}
		for _, a := range slices.Backward(list) {
			scope := strings.ToLower(a.Scope)
			base := strings.ToLower(resourceID)
			if scope == base || strings.HasPrefix(scope, base+"/") {
				if err := tx.DeleteAssignment(ctx, a.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *Assignments) update(ctx context.Context, fn func(Tx) error) error {
	err := s.db.Update(ctx, fn)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.until = time.Time{}
	return err
}
