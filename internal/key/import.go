package key

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"coffer/internal/access"
	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/hsm"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// ImportParams is the body of an import. The numbers of the key are big-endian,
// nil when absent, those that are secret inside their Value; those of the other
// type are ignored.
type ImportParams struct {
	Type  string // kty, as the caller wrote it
	HSM   bool   // hardware protection was asked for
	Curve *string

	N, E, X, Y             []byte
	D, P, Q, DP, DQ, QI, K seal.Value // K is of oct
	Transfer               *Transfer
	Given
}

// Transfer is a key that was wrapped for a key of this vault's HSM elsewhere, for
// none but it to read (contract keys.md, 9.2).
type Transfer struct {
	KEK        object.Name // which it was wrapped for, and its version
	Version    object.Version
	Ciphertext []byte
}

// Import stores a key that was made elsewhere as a new version of a name.
func (s *Service) Import(ctx context.Context, g access.Grant, p ImportParams) (*Bundle, error) {
	g.Must(access.KeyImport)
	algorithm, inHSM, err := p.parseType()
	if err != nil {
		return nil, err
	}
	if err := s.custody.Check(g.Vault(), inHSM, "key.kty"); err != nil {
		return nil, err
	}
	if err := p.check(g.Vault().SKU == vault.Premium, inHSM); err != nil {
		return nil, err
	}
	take, spec, err := s.material(ctx, g, p, algorithm, inHSM)
	if err != nil {
		return nil, err
	}
	attributes, ops, err := p.first("key.key_ops", spec, inHSM, s.now())
	if err != nil {
		return nil, err
	}
	const op = "import"
	if err := s.mayInsert(ctx, g, op); err != nil {
		return nil, err
	}
	private, err := take()
	if err != nil {
		return nil, missing(err)
	}
	if len(p.Ops) == 0 { // of a wrapped key the size is known only now
		ops = defaultOps(private.Spec)
	}
	return s.insertNew(ctx, g, inputs{g.Vault().ID, g.Name(), private, ops, attributes, p.Tags}, op)
}

// parseType reads the type; with Hsm a plain one means that of the HSM, oct too.
func (p ImportParams) parseType() (pki.Algorithm, bool, error) {
	if p.HSM && !strings.HasSuffix(strings.ToUpper(p.Type), hsmSuffix) {
		if a, inHSM, err := parseType("key.kty", p.Type+hsmSuffix); err == nil {
			return a, inHSM, nil
		}
	}
	return parseType("key.kty", p.Type)
}

// material checks what is to be imported, and gives what takes it in and the kind
// of key it will be, without the size of a symmetric key that is wrapped.
func (s *Service) material(ctx context.Context, g access.Grant, p ImportParams, a pki.Algorithm, inHSM bool) (take func() (*Private, error), spec pki.KeySpec, err error) {
	spec.Algorithm = a
	switch {
	case p.Transfer != nil && !inHSM:
		return nil, spec, fault.InvalidField("key.key_hsm", "It goes with an HSM type.")
	case p.Transfer != nil:
		kek, err := s.kek(ctx, g, p.Transfer)
		return func() (*Private, error) { return s.unwrap(ctx, p, kek, a) }, spec, err
	case a == pki.Oct && p.K.Reveal() == nil:
		return nil, spec, fault.MissingField("key.k")
	case a == pki.Oct:
		spec.Size = 8 * len(p.K.Reveal())
		return func() (*Private, error) { return s.custody.ImportSecret(ctx, p.K) }, spec, checkSize("key.k", spec)
	}
	k, err := compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (crypto.Signer, error) { return p.private(a) })
	return func() (*Private, error) { return s.custody.Import(ctx, k, inHSM) }, spec, err
}

// kek is the key for which a key was wrapped: one of this vault that is for
// nothing else.
func (s *Service) kek(ctx context.Context, g access.Grant, t *Transfer) (hsm.ID, error) {
	var v *Version
	err := s.cfg.DB.View(ctx, func(tx Tx) error {
		h, found, err := tx.Key(ctx, g.Vault().ID, t.KEK, t.Version)
		if errors.Is(err, object.ErrNotFound) || err == nil && h.Deletion != nil {
			return fault.InvalidField("key.key_hsm", "It is wrapped for a key that this vault does not have.")
		}
		v = found
		return err
	})
	switch {
	case err != nil:
		return hsm.ID{}, err
	case v.HSM.IsZero() || !forTransfer(v.Ops):
		return hsm.ID{}, fault.InvalidField("key.key_hsm", "It is wrapped for a key that is not for import.")
	}
	if err := s.allowed(v, importOp); err != nil {
		return hsm.ID{}, err
	}
	// Opening shows that the handle is that key's.
	p, err := s.custody.Open(ctx, PrivatePlace(v.Vault, v.Name, v.Version), v.Private, v.HSM, v.Public)
	if err != nil {
		return hsm.ID{}, fmt.Errorf("opening key %s/%s: %w", v.Name, v.Version, err)
	}
	return p.HSM, nil
}

// unwrap has the HSM take a wrapped key in, which must be what the caller says.
func (s *Service) unwrap(ctx context.Context, p ImportParams, kek hsm.ID, a pki.Algorithm) (*Private, error) {
	private, err := s.custody.Unwrap(ctx, kek, p.Transfer.Ciphertext, a)
	if errors.Is(err, hsm.ErrRefused) || errors.Is(err, pki.ErrKeyType) {
		return nil, fault.InvalidField("key.key_hsm", "It does not hold such a key for the key that it names.")
	}
	if err != nil {
		return nil, err
	}
	switch {
	case private.Spec.Algorithm != a:
		err = fault.InvalidField("key.key_hsm", "It holds a key of another type.")
	case a == pki.Oct:
		err = checkSize("key.key_hsm", private.Spec)
	case a == pki.EC && p.Curve != nil:
		var curve pki.Curve
		if curve, err = parseCurve("key.crv", *p.Curve); err == nil && curve != private.Spec.Curve {
			err = fault.InvalidField("key.crv", "The key is on another curve.")
		}
	}
	if err == nil && private.Signer != nil { // of the private half only the HSM knows
		err = weakKey("key.key_hsm", pki.CheckPublicStrength(private.Signer.Public()))
	}
	if err != nil {
		s.custody.Drop(ctx, private)
		return nil, err
	}
	return private, nil
}

// private puts a key pair together. Refusals name the member, and repeat nothing.
func (p ImportParams) private(a pki.Algorithm) (crypto.Signer, error) {
	type member struct {
		name  string
		value []byte
	}
	needed := []member{{"n", p.N}, {"e", p.E}, {"d", p.D.Reveal()}, {"p", p.P.Reveal()}, {"q", p.Q.Reveal()}}
	if a == pki.EC {
		needed = []member{{"x", p.X}, {"y", p.Y}, {"d", p.D.Reveal()}}
	}
	absent := ""
	for _, m := range needed {
		if m.value == nil {
			absent += fault.MissingField("key." + m.name).Msg
		}
	}
	if a == pki.EC && p.Curve == nil {
		absent += fault.MissingField("key.crv").Msg
	}
	if absent != "" {
		return nil, invalid("key", absent)
	}
	var key crypto.Signer
	var err error
	if a == pki.EC {
		curve, e := parseCurve("key.crv", *p.Curve)
		if e != nil {
			return nil, e
		}
		key, err = pki.ECComponents{Curve: curve, X: p.X, Y: p.Y, D: p.D.Reveal()}.Key()
	} else {
		if e := checkSize("key.n", pki.KeySpec{Algorithm: a, Size: bitLen(p.N)}); e != nil {
			return nil, e
		}
		key, err = pki.RSAComponents{N: p.N, E: p.E, D: p.D.Reveal(), P: p.P.Reveal(), Q: p.Q.Reveal(),
			DP: p.DP.Reveal(), DQ: p.DQ.Reveal(), QI: p.QI.Reveal()}.Key()
	}
	if err == nil {
		err = pki.CheckStrength(key)
	}
	if weak := weakKey("key", err); weak != nil {
		return nil, weak
	}
	switch {
	case err != nil && a == pki.EC:
		return nil, fault.InvalidField("key", "Its numbers do not make up one key. The cause: "+err.Error()+".")
	case err != nil:
		return nil, fault.InvalidField("key", "Its numbers do not make up one key.")
	}
	return key, nil
}

// weakKey is the refusal of a key that is weak; nil when err says nothing of that.
func weakKey(field string, err error) error {
	if weak, ok := errors.AsType[*pki.WeakKeyError](err); ok {
		return fault.InvalidField(field, "The key is weak: "+weak.Error()+".")
	}
	return nil
}

// bitLen is the length of a big-endian number.
func bitLen(b []byte) int {
	b = bytes.TrimLeft(b, "\x00")
	if len(b) == 0 {
		return 0
	}
	return 8*(len(b)-1) + bits.Len8(b[0])
}
