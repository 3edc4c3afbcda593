package access

import (
	"context"
	"errors"

	"coffer/internal/fresh"
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
	// VaultByID answers object.ErrNotFound when there is no such vault.
	VaultByID(ctx context.Context, id object.VaultID) (*vault.Vault, error)
	// Spelling is the name of an object, live or deleted, in the casing of its
	// creation; object.ErrNotFound when there is none.
	Spelling(ctx context.Context, v object.VaultID, f object.Family, n object.Name) (object.Name, error)
}

// Assignments knows the role assignments of the installation, and keeps what it read
// as its Source allows.
type Assignments struct {
	db   object.DB[Tx]
	kept *fresh.Cache[struct{}, []Assignment]
}

// NewAssignments makes Assignments over db.
func NewAssignments(db object.DB[Tx], s fresh.Source) *Assignments {
	return &Assignments{db, fresh.NewCache[struct{}, []Assignment](s, fresh.Assignments, 2, nil)}
}

// List lists all assignments by id. The slice must not be changed.
func (s *Assignments) List(ctx context.Context) ([]Assignment, error) {
	return s.kept.Get(struct{}{}, func() (list []Assignment, err error) {
		err = s.db.View(ctx, func(tx Tx) error {
			list, err = tx.Assignments(ctx)
			return err
		})
		return list, err
	})
}

// Rules implements RuleSource.
func (s *Assignments) Rules(ctx context.Context, v *vault.Vault, current bool) (Rules, error) {
	if current {
		return s.current(ctx, v)
	}
	if v != nil && !v.RBAC {
		return Rules{Vault: v}, nil
	}
	list, err := s.List(ctx)
	return Rules{Vault: v, Assignments: list}, err
}

// current reads the rules and the vault's settings in one state of the database.
func (s *Assignments) current(ctx context.Context, v *vault.Vault) (r Rules, err error) {
	err = s.db.View(ctx, func(tx Tx) error {
		if v != nil {
			if r.Vault, err = tx.VaultByID(ctx, v.ID); err != nil {
				return err
			}
		}
		if r.Vault == nil || r.Vault.RBAC {
			r.Assignments, err = tx.Assignments(ctx)
		}
		return err
	})
	return r, err
}

// Spelling is a name in the casing of the object's creation; as it is asked when
// there is no such object.
func (s *Assignments) Spelling(ctx context.Context, v *vault.Vault, f object.Family, n object.Name) (spelling object.Name, err error) {
	err = s.db.View(ctx, func(tx Tx) error {
		spelling, err = tx.Spelling(ctx, v.ID, f, n)
		return err
	})
	if errors.Is(err, object.ErrNotFound) {
		return n, nil
	}
	return spelling, err
}
