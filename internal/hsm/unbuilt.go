//go:build !hsm

package hsm

import (
	"context"
	"crypto"
	"io"
	"time"

	"coffer/internal/pki"
	"coffer/internal/seal"
)

// Built says whether this binary speaks PKCS#11.
const Built = false

// Device is an HSM in use. Without the tag there is none.
type Device struct{}

// Open fails with ErrNotBuilt.
func Open(Config) (*Device, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*Device) Close() error { return nil }

// Ready fails with ErrNotBuilt.
func (*Device) Ready(context.Context) error { return ErrNotBuilt }

// Generate fails with ErrNotBuilt.
func (*Device) Generate(context.Context, ID, pki.KeySpec) (crypto.PublicKey, error) {
	return nil, ErrNotBuilt
}

// Import fails with ErrNotBuilt.
func (*Device) Import(context.Context, ID, crypto.Signer) error { return ErrNotBuilt }

// ImportSecret fails with ErrNotBuilt.
func (*Device) ImportSecret(context.Context, ID, seal.Value) error { return ErrNotBuilt }

// UnwrapTransfer fails with ErrNotBuilt.
func (*Device) UnwrapTransfer(context.Context, ID, ID, []byte, pki.Algorithm) (crypto.PublicKey, error) {
	return nil, ErrNotBuilt
}

// Destroy fails with ErrNotBuilt.
func (*Device) Destroy(context.Context, ID) error { return ErrNotBuilt }

// Signer gives a signer that fails with ErrNotBuilt.
func (*Device) Signer(_ ID, public crypto.PublicKey) crypto.Signer { return noSigner{public} }

type noSigner struct{ public crypto.PublicKey }

func (s noSigner) Public() crypto.PublicKey { return s.public }

func (noSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, ErrNotBuilt }

// Secret is a symmetric key in the HSM.
type Secret struct{}

// Secret gives a key whose every use fails with ErrNotBuilt.
func (*Device) Secret(ID) *Secret { return &Secret{} }

// Bits fails with ErrNotBuilt.
func (*Secret) Bits(context.Context) (int, error) { return 0, ErrNotBuilt }

// SealGCM fails with ErrNotBuilt.
func (*Secret) SealGCM(_ context.Context, _, _, _ []byte) (ciphertext, tag []byte, err error) {
	return nil, nil, ErrNotBuilt
}

// OpenGCM fails with ErrNotBuilt.
func (*Secret) OpenGCM(_ context.Context, _, _, _, _ []byte) ([]byte, error) { return nil, ErrNotBuilt }

// EncryptCBC fails with ErrNotBuilt.
func (*Secret) EncryptCBC(_ context.Context, _, _ []byte) ([]byte, error) { return nil, ErrNotBuilt }

// DecryptCBC fails with ErrNotBuilt.
func (*Secret) DecryptCBC(_ context.Context, _, _ []byte) ([]byte, error) { return nil, ErrNotBuilt }

// EncryptCBCPad fails with ErrNotBuilt.
func (*Secret) EncryptCBCPad(_ context.Context, _, _ []byte) ([]byte, error) { return nil, ErrNotBuilt }

// DecryptCBCPad fails with ErrNotBuilt.
func (*Secret) DecryptCBCPad(_ context.Context, _, _ []byte) ([]byte, error) { return nil, ErrNotBuilt }

// Wrap fails with ErrNotBuilt.
func (*Secret) Wrap(context.Context, []byte) ([]byte, error) { return nil, ErrNotBuilt }

// Unwrap fails with ErrNotBuilt.
func (*Secret) Unwrap(context.Context, []byte) ([]byte, error) { return nil, ErrNotBuilt }

// WrapPad fails with ErrNotBuilt.
func (*Secret) WrapPad(context.Context, []byte) ([]byte, error) { return nil, ErrNotBuilt }

// UnwrapPad fails with ErrNotBuilt.
func (*Secret) UnwrapPad(context.Context, []byte) ([]byte, error) { return nil, ErrNotBuilt }

// MAC fails with ErrNotBuilt.
func (*Secret) MAC(context.Context, crypto.Hash, []byte) ([]byte, error) { return nil, ErrNotBuilt }

// RootKey is the root key in the HSM; without the tag there is none.
type RootKey struct{}

// CreateRootKey fails with ErrNotBuilt.
func CreateRootKey(context.Context, *Device) (*RootKey, error) { return nil, ErrNotBuilt }

// OpenRootKey fails with ErrNotBuilt.
func OpenRootKey(context.Context, *Device) (*RootKey, error) { return nil, ErrNotBuilt }

// Wrap fails with ErrNotBuilt.
func (*RootKey) Wrap(context.Context, string, string, seal.Value) (string, []byte, error) {
	return "", nil, ErrNotBuilt
}

// Unwrap fails with ErrNotBuilt.
func (*RootKey) Unwrap(context.Context, seal.DataKey) (seal.Value, error) {
	return seal.Value{}, ErrNotBuilt
}

// Rotate fails with ErrNotBuilt.
func (*RootKey) Rotate(context.Context, time.Time) error { return ErrNotBuilt }

// Keep fails with ErrNotBuilt.
func (*RootKey) Keep(context.Context) error { return ErrNotBuilt }

// Retire fails with ErrNotBuilt.
func (*RootKey) Retire(context.Context) error { return ErrNotBuilt }

// CurrentID names no key.
func (*RootKey) CurrentID() string { return "" }

var _ seal.Keeper = (*RootKey)(nil)
