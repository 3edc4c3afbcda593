package key

import (
	"bytes"
	"context"
	"crypto"
	"math/bits"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/pki"
	"coffer/internal/vault"
)

// ImportParams is the body of an import. The numbers of the key are big-endian,
// nil when absent; those of the other type are ignored.
type ImportParams struct {
	Type  string // kty, as the caller wrote it
	HSM   bool   // hardware protection was asked for
	Curve *string

	N, E, D, P, Q, DP, DQ, QI []byte
	X, Y                      []byte
	Given
}

// Import stores a key that was made elsewhere as a new version of a name.
func (s *Service) Import(ctx context.Context, g access.Grant, p ImportParams) (*Bundle, error) {
	g.Must(access.KeyImport)
	algorithm, err := parseType("key.kty", p.Type)
	if err != nil {
		return nil, err
	}
	if p.HSM {
		return nil, hardware("Hsm")
	}
	if err := p.check(g.Vault().SKU == vault.Premium); err != nil {
		return nil, err
	}
	private, err := p.private(algorithm)
	if err != nil {
		return nil, err
	}
	attributes, ops, err := p.first("key.key_ops", algorithm, s.now())
	if err != nil {
		return nil, err
	}
	const op = "import"
	if err := s.mayBear(ctx, g, op); err != nil {
		return nil, err
	}
	v, err := s.seal(ctx, birth{g.Vault().ID, g.Name(), private, ops, attributes, p.Tags})
	if err != nil {
		return nil, err
	}
	return s.bear(ctx, v, op)
}

// private puts the key together. Refusals name the member, and repeat nothing.
func (p ImportParams) private(a pki.Algorithm) (crypto.Signer, error) {
	type member struct {
		name  string
		value []byte
	}
	needed := []member{{"n", p.N}, {"e", p.E}, {"d", p.D}, {"p", p.P}, {"q", p.Q}}
	if a == pki.EC {
		needed = []member{{"x", p.X}, {"y", p.Y}, {"d", p.D}}
	}
	missing := ""
	for _, m := range needed {
		if m.value == nil {
			missing += fault.MissingField("key." + m.name).Msg
		}
	}
	if a == pki.EC && p.Curve == nil {
		missing += fault.MissingField("key.crv").Msg
	}
	if missing != "" {
		return nil, invalid("key", missing)
	}
	var key crypto.Signer
	var err error
	if a == pki.EC {
		curve, e := parseCurve("key.crv", *p.Curve)
		if e != nil {
			return nil, e
		}
		key, err = pki.ECComponents{Curve: curve, X: p.X, Y: p.Y, D: p.D}.Key()
	} else {
		if e := checkRSASize("key.n", bitLen(p.N)); e != nil {
			return nil, e
		}
		key, err = pki.RSAComponents{N: p.N, E: p.E, D: p.D, P: p.P, Q: p.Q, DP: p.DP, DQ: p.DQ, QI: p.QI}.Key()
	}
	if err != nil {
		return nil, fault.InvalidField("key", "Its numbers do not make up one key.")
	}
	return key, nil
}

// bitLen is the length of a big-endian number.
func bitLen(b []byte) int {
	b = bytes.TrimLeft(b, "\x00")
	if len(b) == 0 {
		return 0
	}
	return 8*(len(b)-1) + bits.Len8(b[0])
}
