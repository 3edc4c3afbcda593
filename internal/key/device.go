package key

import (
	"context"
	"crypto"
	"errors"
	"time"

	"coffer/internal/fault"
	"coffer/internal/hsm"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// Device is an HSM that keeps keys and uses them inside (an *hsm.Device, with
// Secret as an interface). Its errors are a *fault.Error, Unavailable, while the
// HSM cannot be used; hsm.ErrNoKey for an id that it does not have; and
// hsm.ErrRefused for what one of its keys does not decrypt or unwrap.
type Device interface {
	// Ready fails fast when the HSM cannot be used now.
	Ready(ctx context.Context) error
	// Generate makes a key inside; the public key of a symmetric one is nil.
	Generate(ctx context.Context, id hsm.ID, spec pki.KeySpec) (crypto.PublicKey, error)
	Import(ctx context.Context, id hsm.ID, private crypto.Signer) error
	ImportSecret(ctx context.Context, id hsm.ID, raw seal.Value) error
	// UnwrapTransfer imports a key that was wrapped for kek elsewhere (contract
	// keys.md, 9.2).
	UnwrapTransfer(ctx context.Context, id, kek hsm.ID, blob []byte, kind pki.Algorithm) (crypto.PublicKey, error)
	// Signer is a crypto.Decrypter too when the key is RSA. It asks the HSM at
	// its first use.
	Signer(id hsm.ID, public crypto.PublicKey) crypto.Signer
	Secret(id hsm.ID) Secret
	// Destroy removes all of a key; absent is not an error.
	Destroy(ctx context.Context, id hsm.ID) error
}

// Secret is a symmetric key in the HSM. Lengths have been checked; what else is
// wrong with a ciphertext is hsm.ErrRefused.
type Secret interface {
	Bits(ctx context.Context) (int, error)
	SealGCM(ctx context.Context, iv, aad, plain []byte) (ciphertext, tag []byte, err error)
	OpenGCM(ctx context.Context, iv, aad, ciphertext, tag []byte) ([]byte, error)
	EncryptCBC(ctx context.Context, iv, plain []byte) ([]byte, error)
	DecryptCBC(ctx context.Context, iv, ciphertext []byte) ([]byte, error)
	EncryptCBCPad(ctx context.Context, iv, plain []byte) ([]byte, error)
	DecryptCBCPad(ctx context.Context, iv, ciphertext []byte) ([]byte, error)
	Wrap(ctx context.Context, plain []byte) ([]byte, error)        // RFC 3394
	Unwrap(ctx context.Context, wrapped []byte) ([]byte, error)    // RFC 3394
	WrapPad(ctx context.Context, plain []byte) ([]byte, error)     // RFC 5649
	UnwrapPad(ctx context.Context, wrapped []byte) ([]byte, error) // RFC 5649
	MAC(ctx context.Context, hash crypto.Hash, message []byte) ([]byte, error)
}

// hsmSuffix ends the kty of a key in the HSM.
const hsmSuffix = "-HSM"

// hardware is the refusal of a kty that the vault has no HSM for (contract
// keys.md, 9.1; errors.md, question 13).
func hardware(field string) error {
	return &fault.Error{Kind: fault.Forbidden, Field: field, Msg: "Hardware key operation not allowed on standard vault"}
}

// noDevice is the answer of a vault that has keys in an HSM and was started
// without it.
func noDevice() error {
	return &fault.Error{Kind: fault.Unavailable, Msg: "The key is in an HSM, and this vault runs without one.", RetryAfter: absence}
}

// missing makes an answer of a key that the HSM does not have: somebody has put
// in another HSM, or removed the key behind the vault's back.
func missing(err error) error {
	if errors.Is(err, hsm.ErrNoKey) {
		return &fault.Error{Kind: fault.Unavailable, Msg: "The HSM does not have this key.", RetryAfter: absence, Err: err}
	}
	return err
}

// absence is when to ask again for what an operator must bring back.
const absence = 10 * time.Second
