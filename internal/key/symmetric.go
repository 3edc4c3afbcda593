package key

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"coffer/internal/fault"
	"coffer/internal/hsm"
	"coffer/internal/seal"
)

// The cryptography of symmetric keys (contract keys.md, 8.3), which are in the
// HSM always.

// The lengths of AES, in bytes.
const (
	block  = 16
	half   = block / 2 // what RFC 3394 wraps in
	gcmIV  = 12
	gcmTag = 16
)

// seals encrypts, or wraps a key.
func (s *Service) seals(ctx context.Context, v *Version, p UseParams) (*Used, error) {
	if err := checkPlain(p); err != nil {
		return nil, err
	}
	out := &Used{Version: v}
	switch m := p.Algorithm.mode; {
	case m == gcm: // an IV that came twice would give the key away: the vault makes it
		out.IV, out.AAD = random(gcmIV), p.AAD
	case !m.wraps():
		if out.IV = p.IV; out.IV == nil {
			out.IV = random(block)
		}
	}
	k, err := s.private(ctx, v)
	if err != nil {
		return nil, err
	}
	var value []byte
	switch p.Algorithm.mode {
	case gcm:
		value, out.Tag, err = k.Secret.SealGCM(ctx, out.IV, p.AAD, p.Value)
	case cbc:
		value, err = k.Secret.EncryptCBC(ctx, out.IV, p.Value)
	case cbcPad:
		value, err = k.Secret.EncryptCBCPad(ctx, out.IV, p.Value)
	case wrap:
		value, err = k.Secret.Wrap(ctx, p.Value)
	case wrapPad:
		value, err = k.Secret.WrapPad(ctx, p.Value)
	}
	if err != nil {
		return nil, missing(err)
	}
	out.Value = seal.NewValue(value)
	return out, nil
}

// unseals decrypts, or unwraps a key. Whatever is wrong with the value, the answer
// is one and the same.
func (s *Service) unseals(ctx context.Context, v *Version, p UseParams) (*Used, error) {
	if err := checkSealed(p); err != nil {
		return nil, err
	}
	k, err := s.private(ctx, v)
	if err != nil {
		return nil, err
	}
	var value []byte
	switch p.Algorithm.mode {
	case gcm:
		value, err = k.Secret.OpenGCM(ctx, p.IV, p.AAD, p.Value, p.Tag)
	case cbc:
		value, err = k.Secret.DecryptCBC(ctx, p.IV, p.Value)
	case cbcPad:
		value, err = k.Secret.DecryptCBCPad(ctx, p.IV, p.Value)
	case wrap:
		value, err = k.Secret.Unwrap(ctx, p.Value)
	case wrapPad:
		value, err = k.Secret.UnwrapPad(ctx, p.Value)
	}
	if errors.Is(err, hsm.ErrRefused) {
		return nil, invalid("value", msgPKCS1v15)
	}
	return used(v)(value, err)
}

// verifyMAC compares in constant time; a code of another length is no code.
func (s *Service) verifyMAC(ctx context.Context, v *Version, p UseParams) (bool, error) {
	k, err := s.private(ctx, v)
	if err != nil {
		return false, err
	}
	mac, err := k.Secret.MAC(ctx, p.Algorithm.hash, p.Value)
	if err != nil {
		return false, missing(err)
	}
	return hmac.Equal(mac, p.Signature), nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// foreign refuses members that a mode does not have: they would be ignored, and
// the caller would take them for protected.
func foreign(p UseParams, own ...string) error {
	for _, m := range []struct {
		name  string
		value []byte
	}{{"iv", p.IV}, {"aad", p.AAD}, {"tag", p.Tag}} {
		if m.value != nil && !slices.Contains(own, m.name) {
			return fault.InvalidField(m.name, fmt.Sprintf("%s does not take it here.", p.Algorithm))
		}
	}
	return nil
}

// checkPlain checks what is to be encrypted or wrapped.
func checkPlain(p UseParams) error {
	n := len(p.Value)
	switch m := p.Algorithm.mode; m {
	case gcm:
		return foreign(p, "aad")
	case cbc, cbcPad:
		if err := foreign(p, "iv"); err != nil {
			return err
		}
		if p.IV != nil && len(p.IV) != block {
			return badLength("iv", len(p.IV), p.Algorithm, "16 bytes")
		}
		if m == cbc && (n == 0 || n%block != 0) {
			return badLength("value", n, p.Algorithm, "a multiple of 16 bytes")
		}
		return nil
	}
	if err := foreign(p); err != nil {
		return err
	}
	if p.Algorithm.mode == wrap && (n < 2*half || n%half != 0) {
		return badLength("value", n, p.Algorithm, "a multiple of 8 bytes, at least 16")
	}
	if n == 0 {
		return badLength("value", n, p.Algorithm, "at least one byte")
	}
	return nil
}

// checkSealed checks the lengths of what is to be decrypted or unwrapped, which
// are no secret.
func checkSealed(p UseParams) error {
	n := len(p.Value)
	switch m := p.Algorithm.mode; m {
	case gcm:
		switch {
		case p.IV == nil:
			return fault.MissingField("iv")
		case p.Tag == nil:
			return fault.MissingField("tag")
		case len(p.IV) != gcmIV:
			return badLength("iv", len(p.IV), p.Algorithm, "12 bytes")
		case len(p.Tag) != gcmTag:
			return badLength("tag", len(p.Tag), p.Algorithm, "16 bytes")
		}
		return nil
	case cbc, cbcPad:
		switch err := foreign(p, "iv"); {
		case err != nil:
			return err
		case p.IV == nil:
			return fault.MissingField("iv")
		case len(p.IV) != block:
			return badLength("iv", len(p.IV), p.Algorithm, "16 bytes")
		case n == 0 || n%block != 0:
			return badLength("value", n, p.Algorithm, "a multiple of 16 bytes")
		}
		return nil
	}
	if err := foreign(p); err != nil {
		return err
	}
	least := 3 * half // RFC 3394: two halves and the check
	if p.Algorithm.mode == wrapPad {
		least = 2 * half // RFC 5649, section 4.1: one half
	}
	if n < least || n%half != 0 {
		return badLength("value", n, p.Algorithm, fmt.Sprintf("a multiple of 8 bytes, at least %d", least))
	}
	return nil
}

func badLength(field string, got int, a *Algorithm, want string) error {
	return invalid(field, fmt.Sprintf("Invalid length of '%s': %d bytes. %s requires %s.", field, got, a, want))
}
