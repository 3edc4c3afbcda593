package key

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"slices"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/fips"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// UseParams is the body of a cryptographic operation.
type UseParams struct {
	Op        Op // which the grant must be for
	Algorithm *Algorithm
	Value     []byte // what is encrypted, decrypted, wrapped, unwrapped or signed; of verify the digest
	Signature []byte // of verify

	// Of AES only: IV and Tag come back from an encryption, AAD is what else is
	// authenticated. nil means absent.
	IV, AAD, Tag []byte

	// KeyID is how the caller names a version, for the messages that do.
	KeyID func(object.Name, object.Version) string
}

// Used is what came of an operation, and the version that did it.
type Used struct {
	Version *Version
	Value   seal.Value

	IV, AAD, Tag []byte // of an encryption with AES, as far as its mode has them
}

// actions are what the gate must have allowed for an operation.
var actions = map[Op]access.Action{
	Encrypt: access.KeyEncrypt, Decrypt: access.KeyDecrypt, WrapKey: access.KeyWrap, UnwrapKey: access.KeyUnwrap,
	Sign: access.KeySign, Verify: access.KeyVerify,
}

// ready reads a version that may be used for an operation now, with an algorithm
// that goes with it. ver "" is the current one, also where an older version made
// what is to be opened (contract keys.md, 9.10).
func (s *Service) ready(ctx context.Context, g access.Grant, ver object.Version, p UseParams) (*Version, error) {
	g.Must(actions[p.Op])
	if fips.Enforced() && !p.Algorithm.approved() {
		return nil, fault.InvalidField("alg", fips.Excludes(p.Algorithm.String())+".")
	}
	b, err := s.recently(ctx, g, ver)
	if err != nil {
		return nil, err
	}
	g.Attempt().ObjectVersion(b.Version.Version)
	g.Attempt().Algorithm(p.Algorithm.String())
	if err := s.allowed(b.Version, p.Op); err != nil {
		return nil, err
	}
	if b.Version.Spec.Algorithm == pki.Oct && g.PublicOnly() { // contract access-control.md, 4.2
		return nil, &fault.Error{Kind: fault.Forbidden, Reason: fault.ForbiddenByRbac,
			Msg: "Caller is not authorized to perform action on resource: who may only read a key may use its public half, and a symmetric key has none."}
	}
	return b.Version, fits(b.Version, p)
}

// allowed is contract keys.md, 5.1: disabled, then the dates, then key_ops. What
// was made while a key was valid can be opened and verified for ever.
func (s *Service) allowed(v *Version, op Op) error {
	refuse := func(reason fault.Reason, text string) error {
		return &fault.Error{Kind: fault.Forbidden, Reason: reason, Msg: fmt.Sprintf(text, op)}
	}
	a, now := v.Attributes, s.cfg.Now()
	makes := op == Encrypt || op == Sign || op == WrapKey
	switch {
	case !a.Enabled:
		return refuse(fault.KeyDisabled, "Operation %s is not allowed on a disabled key.")
	case makes && a.NotBefore != nil && now.Before(*a.NotBefore):
		return refuse(keyNotYetValid, "Operation %s is not allowed on a key that is not yet valid.")
	case makes && a.Expires != nil && !now.Before(*a.Expires):
		return refuse(keyExpired, "Operation %s is not allowed on an expired key.")
	case !slices.Contains(v.Ops, op):
		return refuse(keyOperationForbidden, "Operation %s is not permitted on this key.")
	}
	return nil
}

// fits reports an algorithm that is for other keys (contract keys.md, 8.2).
func fits(v *Version, p UseParams) error {
	a := p.Algorithm
	word := "encryption"
	if a.signs {
		word = "signing"
	}
	mismatch := func(text string, args ...any) error {
		id := p.KeyID(v.Name, v.Version)
		return invalid("alg", fmt.Sprintf("Key and %s algorithm are incompatible. Key %s ", word, id)+fmt.Sprintf(text, args...))
	}
	switch {
	case a.family != v.Spec.Algorithm:
		return mismatch("is of type '%s', and algorithm '%s' can only be used with a key of type '%s' or '%[3]s-HSM'.", v.Type(), a, a.family)
	case a.bits != 0 && a.bits != v.Spec.Size:
		return mismatch("has %d bits, and algorithm '%s' can only be used with a key of %d bits.", v.Spec.Size, a, a.bits)
	case a.mode != 0 && v.Spec.Size > maxAES:
		return mismatch("has %d bits, and algorithm '%s' can only be used with a key of at most %d bits.", v.Spec.Size, a, maxAES)
	case a.curve != v.Spec.Curve:
		return mismatch("uses curve '%s', and algorithm '%s' can only be used with curve '%s'.", v.Spec.Curve, a, a.curve)
	}
	return nil
}

// public is the public half. What needs no more never opens the private one: it
// is also for callers who may only read the key (access.Grant.PublicOnly).
func public(v *Version) (crypto.PublicKey, error) {
	k, err := pki.ParsePublic(v.Public)
	if err != nil {
		return nil, fmt.Errorf("reading the public key of %s/%s: %w", v.Name, v.Version, err)
	}
	return k, nil
}

// Encrypt encrypts, or wraps a key, which is the same with other permissions.
func (s *Service) Encrypt(ctx context.Context, g access.Grant, ver object.Version, p UseParams) (*Used, error) {
	g.Must(access.KeyEncrypt, access.KeyWrap)
	v, err := s.ready(ctx, g, ver, p)
	if err != nil {
		return nil, err
	}
	if p.Algorithm.family == pki.Oct {
		return s.seals(ctx, v, p)
	}
	k, err := public(v)
	if err != nil {
		return nil, err
	}
	return used(v)(encrypt(k, p.Algorithm, p.Value))
}

// Decrypt decrypts, or unwraps a key. Whatever is wrong with the value, the answer
// is one and the same.
func (s *Service) Decrypt(ctx context.Context, g access.Grant, ver object.Version, p UseParams) (*Used, error) {
	g.Must(access.KeyDecrypt, access.KeyUnwrap)
	v, err := s.ready(ctx, g, ver, p)
	if err != nil {
		return nil, err
	}
	if p.Algorithm.family == pki.Oct {
		return s.unseals(ctx, v, p)
	}
	k, err := s.private(ctx, v)
	if err != nil {
		return nil, err
	}
	return used(v)(decrypt(k.Signer, p.Algorithm, p.Value))
}

// Sign signs a digest.
func (s *Service) Sign(ctx context.Context, g access.Grant, ver object.Version, p UseParams) (*Used, error) {
	g.Must(access.KeySign)
	v, err := s.ready(ctx, g, ver, p)
	if err != nil {
		return nil, err
	}
	if err := checkDigest("value", v, p); err != nil {
		return nil, err
	}
	k, err := s.private(ctx, v)
	if err != nil {
		return nil, err
	}
	if p.Algorithm.family == pki.Oct {
		return used(v)(k.Secret.MAC(ctx, p.Algorithm.hash, p.Value))
	}
	return used(v)(sign(k.Signer, p.Algorithm, p.Value))
}

// Verify tells whether a signature is one of the digest. One that is malformed is
// none; a digest of another length than the algorithm's is the caller's mistake.
func (s *Service) Verify(ctx context.Context, g access.Grant, ver object.Version, p UseParams) (bool, error) {
	g.Must(access.KeyVerify)
	v, err := s.ready(ctx, g, ver, p)
	if err != nil {
		return false, err
	}
	if err := checkDigest("digest", v, p); err != nil {
		return false, err
	}
	if p.Algorithm.family == pki.Oct {
		return s.verifyMAC(ctx, v, p)
	}
	k, err := public(v)
	if err != nil {
		return false, err
	}
	return verify(k, p.Algorithm, p.Value, p.Signature), nil
}

// used makes an answer of a value.
func used(v *Version) func([]byte, error) (*Used, error) {
	return func(value []byte, err error) (*Used, error) {
		if err != nil {
			return nil, missing(err)
		}
		return &Used{Version: v, Value: seal.NewValue(value)}, nil
	}
}

// Release answers what it answers for keys that cannot be released, which are all
// of them (contract keys.md, 9.12).
func (s *Service) Release(ctx context.Context, g access.Grant, ver object.Version) error {
	g.Must(access.KeyRelease)
	b, err := s.recently(ctx, g, ver)
	if err != nil {
		return err
	}
	return s.allowed(b.Version, "release")
}

// maxRandom is how many random bytes one call gives (contract keys.md, 9.13).
const maxRandom = 128

// RandomBytes gives bytes of the operating system's generator.
func (s *Service) RandomBytes(_ context.Context, g access.Grant, count int) (seal.Value, error) {
	g.Must(access.KeyGetRandomBytes)
	if count < 1 || count > maxRandom {
		return seal.Value{}, invalid("count", "GetRandomBytesRequest: count cannot be greater than 128 or less than 1.")
	}
	b := make([]byte, count)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return seal.NewValue(b), nil
}
