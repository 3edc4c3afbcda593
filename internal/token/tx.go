package token

import (
	"context"
	"time"

	"coffer/internal/seal"
)

// SigningKey is an RSA key of the token service.
type SigningKey struct {
	ID       string   // the kid
	Private  seal.Box // PKCS #8; the box is bound to the ID
	Public   []byte   // SubjectPublicKeyInfo, DER
	Created  time.Time
	RetireAt time.Time // no token that it signed is good after this
}

// Tx is what the token service needs of one open transaction.
type Tx interface {
	// InsertSigningKey fails with object.ErrExists when the ID is taken.
	InsertSigningKey(ctx context.Context, k *SigningKey) error
	// SigningKeys lists all, oldest first, then by ID.
	SigningKeys(ctx context.Context) ([]*SigningKey, error)
	// DeleteSigningKey removes a key; absent is not an error.
	DeleteSigningKey(ctx context.Context, id string) error
}
