package key

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/fips"
	"coffer/internal/pki"
	"coffer/internal/vault"
)

// CreateParams is the body of a create. nil means absent.
type CreateParams struct {
	Type     string // kty, as the caller wrote it
	Size     *int   // bits; of RSA and oct
	Curve    *string
	Exponent *int
	Given
}

// Create makes a new version of a key, or a new key. The pair is made outside of
// the transaction, which reads the state again.
func (s *Service) Create(ctx context.Context, g access.Grant, p CreateParams) (*Bundle, error) {
	g.Must(access.KeyCreate)
	algorithm, inHSM, err := parseType("kty", p.Type)
	if err != nil {
		return nil, err
	}
	if err := s.custody.Check(g.Vault(), inHSM, "kty"); err != nil {
		return nil, err
	}
	spec, err := p.spec(algorithm)
	if err != nil {
		return nil, err
	}
	if err := p.check(g.Vault().SKU == vault.Premium, inHSM); err != nil {
		return nil, err
	}
	attributes, ops, err := p.first("key_ops", spec, inHSM, s.now())
	if err != nil {
		return nil, err
	}
	const op = "create"
	if err := s.mayInsert(ctx, g, op); err != nil { // before a key is made for nothing
		return nil, err
	}
	private, err := s.custody.Generate(ctx, spec, inHSM)
	if err != nil {
		return nil, err
	}
	return s.insertNew(ctx, g, inputs{g.Vault().ID, g.Name(), private, ops, attributes, p.Tags}, op)
}

func (s *Service) mayInsert(ctx context.Context, g access.Grant, op string) error {
	return s.cfg.DB.View(ctx, func(tx Tx) error {
		_, err := heads(tx).Free(ctx, g.Vault().ID, g.Name(), op)
		return err
	})
}

// insertNew stores a key that was made as the current version of its name.
func (s *Service) insertNew(ctx context.Context, g access.Grant, in inputs, op string) (*Bundle, error) {
	var out *Bundle
	v, err := s.seal(ctx, in)
	if err == nil {
		err = s.update(ctx, func(tx Tx) (err error) {
			if err := in.private.Keep(ctx, tx); err != nil {
				return err
			}
			out, err = s.insertCurrent(ctx, tx, *v, op, v.Attributes.Created)
			return err
		})
	}
	if err != nil {
		s.custody.Drop(ctx, in.private)
		return nil, err
	}
	describe(g, out.Version)
	return out, nil
}

// sizes are those of contract keys.md, 9.1, in bits: the first one is the default.
// The last two of oct are for HMAC only (question 6).
var sizes = map[pki.Algorithm][]int{
	pki.RSA: {2048, 3072, 4096},
	pki.Oct: {256, 128, 192, 384, 512},
}

const defaultExponent = 65537

func (p CreateParams) spec(algorithm pki.Algorithm) (pki.KeySpec, error) {
	if algorithm == pki.EC {
		curve := pki.P256
		if p.Curve != nil {
			var err error
			if curve, err = parseCurve("crv", *p.Curve); err != nil {
				return pki.KeySpec{}, err
			}
		}
		return pki.CurveSpec(curve)
	}
	spec := pki.KeySpec{Algorithm: algorithm, Size: sizes[algorithm][0]}
	if p.Size != nil {
		spec.Size = *p.Size
	}
	if err := checkSize("key_size", spec); err != nil || algorithm != pki.RSA {
		return spec, err
	}
	// The Java client sends 0 where nothing was asked for.
	if p.Exponent != nil && *p.Exponent != 0 && *p.Exponent != defaultExponent {
		return pki.KeySpec{}, fault.InvalidField("public_exponent", fmt.Sprintf("The only one supported is %d.", defaultExponent))
	}
	return spec, nil
}

func checkSize(field string, spec pki.KeySpec) error {
	known := slices.Sorted(slices.Values(sizes[spec.Algorithm]))
	if slices.Contains(known, spec.Size) {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Reason: fault.KeySizeNotSupported, Field: field,
		Msg: fmt.Sprintf("Unsupported key size (%d). Supported sizes are %s", spec.Size, strings.ReplaceAll(fmt.Sprint(known), " ", ", "))}
}

// parseType reads a kty. Symmetric keys are in an HSM, or nowhere (contract
// keys.md, 9.1).
func parseType(field, kty string) (a pki.Algorithm, inHSM bool, err error) {
	switch strings.ToUpper(kty) {
	case "RSA":
		return pki.RSA, false, nil
	case "EC":
		return pki.EC, false, nil
	case "RSA-HSM":
		return pki.RSA, true, nil
	case "EC-HSM":
		return pki.EC, true, nil
	case "OCT-HSM":
		return pki.Oct, true, nil
	}
	return "", false, invalidType(field, kty)
}

func invalidType(field, kty string) error {
	const maxEcho = 32 // no type is longer
	if len(kty) > maxEcho {
		kty = strings.ToValidUTF8(kty[:maxEcho], "") + "…"
	}
	return &fault.Error{Kind: fault.Invalid, Reason: fault.KeyTypeNotSupported, Field: field, Msg: "Invalid kty value: " + kty}
}

// parseCurve reads a curve by its name; 2016-10-01 had another one for P-256K.
func parseCurve(field, name string) (pki.Curve, error) {
	if strings.EqualFold(name, "SECP256K1") {
		name = string(pki.P256K)
	}
	if fips.Enforced() && strings.EqualFold(name, string(pki.P256K)) {
		return "", fault.InvalidField(field, fips.Excludes("P-256K")+".")
	}
	for _, c := range []pki.Curve{pki.P256, pki.P384, pki.P521, pki.P256K} {
		if strings.EqualFold(name, string(c)) {
			return c, nil
		}
	}
	return "", fault.InvalidField(field, "It is P-256, P-384, P-521 or P-256K.")
}
