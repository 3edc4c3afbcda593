package keyvault

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// Verifier finds the caller of a request from the value of its Authorization
// header. An *identity.Refusal becomes a 401, any other error does not.
type Verifier interface {
	Verify(ctx context.Context, authorization string, audiences []string, tenant string) (access.Caller, error)
}

// Vaults finds a vault by its canonical name; object.ErrNotFound when there is
// none. It is asked once for every request.
type Vaults interface {
	ByName(ctx context.Context, key string) (*vault.Vault, error)
}

// Sealer protects continuation tokens.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext []byte) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}
