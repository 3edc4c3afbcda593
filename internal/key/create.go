package key

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/pki"
	"coffer/internal/vault"
)

// CreateParams is the body of a create. nil means absent.
type CreateParams struct {
	Type     string // kty, as the caller wrote it
	Size     *int   // bits; of RSA only
	Curve    *string
	Exponent *int
	Given
}

// Create makes a new version of a key, or a new key. The pair is made outside of
// the transaction, which reads the state again.
func (s *Service) Create(ctx context.Context, g access.Grant, p CreateParams) (*Bundle, error) {
	g.Must(access.KeyCreate)
	spec, err := p.spec()
	if err != nil {
		return nil, err
	}
	if err := p.check(g.Vault().SKU == vault.Premium); err != nil {
		return nil, err
	}
	now := s.now()
	attributes, ops, err := p.first("key_ops", spec.Algorithm, now)
	if err != nil {
		return nil, err
	}
	const op = "create"
	if err := s.mayBear(ctx, g, op); err != nil { // before a key is made for nothing
		return nil, err
	}
	private, err := s.cfg.Maker.Generate(ctx, spec)
	if err != nil {
		return nil, err
	}
	v, err := s.seal(ctx, birth{g.Vault().ID, g.Name(), private, ops, attributes, p.Tags})
	if err != nil {
		return nil, err
	}
	return s.bear(ctx, v, op)
}

func (s *Service) mayBear(ctx context.Context, g access.Grant, op string) error {
	return s.cfg.DB.View(ctx, func(tx Tx) error {
		_, err := mayBear(ctx, tx, g.Vault().ID, g.Name(), op)
		return err
	})
}

// bear stores a sealed version as the current one of its name.
func (s *Service) bear(ctx context.Context, v *Version, op string) (out *Bundle, err error) {
	err = s.update(ctx, func(tx Tx) (err error) {
		out, err = bear(ctx, tx, *v, op, v.Attributes.Created)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// rsaSizes are the sizes of contract keys.md, 9.1, in bits.
var rsaSizes = []int{2048, 3072, 4096}

const (
	defaultRSASize  = 2048
	defaultExponent = 65537
)

func (p CreateParams) spec() (pki.KeySpec, error) {
	algorithm, err := parseType("kty", p.Type)
	if err != nil {
		return pki.KeySpec{}, err
	}
	if algorithm == pki.EC {
		curve := pki.P256
		if p.Curve != nil {
			if curve, err = parseCurve("crv", *p.Curve); err != nil {
				return pki.KeySpec{}, err
			}
		}
		return pki.CurveSpec(curve)
	}
	spec := pki.KeySpec{Algorithm: pki.RSA, Size: defaultRSASize}
	if p.Size != nil {
		spec.Size = *p.Size
	}
	if err := checkRSASize("key_size", spec.Size); err != nil {
		return pki.KeySpec{}, err
	}
	// The Java client sends 0 where nothing was asked for.
	if p.Exponent != nil && *p.Exponent != 0 && *p.Exponent != defaultExponent {
		return pki.KeySpec{}, fault.InvalidField("public_exponent", fmt.Sprintf("The only one supported is %d.", defaultExponent))
	}
	return spec, nil
}

func checkRSASize(field string, bits int) error {
	if slices.Contains(rsaSizes, bits) {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Reason: fault.KeySizeNotSupported, Field: field,
		Msg: fmt.Sprintf("Unsupported key size (%d). Supported sizes are [2048, 3072, 4096]", bits)}
}

// parseType reads a kty. There is no HSM here: its types are refused for a limit
// of the vault (contract keys.md, 9.1; errors.md, question 13), others as unknown.
func parseType(field, kty string) (pki.Algorithm, error) {
	switch strings.ToUpper(kty) {
	case "RSA":
		return pki.RSA, nil
	case "EC":
		return pki.EC, nil
	case "RSA-HSM", "EC-HSM", "OCT-HSM":
		return "", hardware(field)
	}
	const maxEcho = 32 // no type is longer
	if len(kty) > maxEcho {
		kty = strings.ToValidUTF8(kty[:maxEcho], "") + "…"
	}
	return "", &fault.Error{Kind: fault.Invalid, Reason: fault.KeyTypeNotSupported, Field: field, Msg: "Invalid kty value: " + kty}
}

func hardware(field string) error {
	return &fault.Error{Kind: fault.Forbidden, Field: field, Msg: "Hardware key operation not allowed on standard vault"}
}

// parseCurve reads a curve by its name; 2016-10-01 had another one for P-256K.
func parseCurve(field, name string) (pki.Curve, error) {
	if strings.EqualFold(name, "SECP256K1") {
		return pki.P256K, nil
	}
	for _, c := range []pki.Curve{pki.P256, pki.P384, pki.P521, pki.P256K} {
		if strings.EqualFold(name, string(c)) {
			return c, nil
		}
	}
	return "", fault.InvalidField(field, "It is P-256, P-384, P-521 or P-256K.")
}
