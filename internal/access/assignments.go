package access

import (
	"context"
	"errors"
	"sync"
	"time"

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
	// Spelling is the name of an object, live or deleted, in the casing of its
	// creation; object.ErrNotFound when there is none.
	Spelling(ctx context.Context, v object.VaultID, f object.Family, n object.Name) (object.Name, error)
}

// Assignments keeps the role assignments of the installation as decisions need
// them. What it read is used for vault.MaxAge; a change made through this process
// counts at once, by Forget.
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

// Forget drops what is kept: after a change of any assignment, before it is
// answered.
func (s *Assignments) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.until = time.Time{}
}
