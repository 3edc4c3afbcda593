package management

import (
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
	// Deleted is called for a vault that is gone.
	Deleted func(v *vault.Vault)
	Now     func() time.Time
}

// Service holds the rules of resources. It is safe for concurrent use.
type Service struct{ cfg Config }

// NewService checks the configuration; it starts nothing.
func NewService(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.TenantID == "" || cfg.Deleted == nil || cfg.Now == nil {
		return nil, errors.New("management: DB, TenantID, Deleted and Now are required")
	}
	return &Service{cfg}, nil
}
