package management

import (
	"context"
	"errors"
	"time"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Tx is what resources need of one open transaction.
type Tx interface {
	vault.Tx
	access.Tx
}

// Config is what a Service is made of; every field is required.
type Config struct {
	DB       object.DB[Tx]
	TenantID string // GUID of the installation's tenant
	// Changed is called after every change and before it is answered: what is kept
	// in memory of vaults and assignments is no longer to be used.
	Changed func()
	// Deleted is called for a vault that is gone.
	Deleted func(v *vault.Vault)
	Now     func() time.Time
}

// Service holds the rules of resources. It is safe for concurrent use.
type Service struct{ cfg Config }

// NewService checks the configuration; it starts nothing.
func NewService(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.TenantID == "" || cfg.Changed == nil || cfg.Deleted == nil || cfg.Now == nil {
		return nil, errors.New("management: DB, TenantID, Changed, Deleted and Now are required")
	}
	return &Service{cfg}, nil
}

// update runs fn in a transaction. What is kept in memory is dropped after a
// failure too: a commit whose answer was lost may have happened.
func (s *Service) update(ctx context.Context, fn func(Tx) error) error {
	err := s.cfg.DB.Update(ctx, fn)
	s.cfg.Changed()
	return err
}
