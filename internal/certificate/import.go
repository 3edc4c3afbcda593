package certificate

import (
	"context"
	"crypto"
	"strings"
	"time"
	"unicode/utf8"

	"coffer/internal/access"
	"coffer/internal/bundle"
	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// ImportParams is the body of an import. nil means absent.
type ImportParams struct {
	Value         seal.Value // PFX in base64, PEM, or PEM in base64
	Password      seal.Value
	Policy        *issuance.Patch
	Enabled       *bool
	Tags          object.Tags
	PreserveOrder bool
}

// maxPassword is the longest password of an import, in characters.
const maxPassword = 200

// Import stores a certificate with its key as the current version of a name. A
// crash before the commit leaves nothing of it.
func (s *Service) Import(ctx context.Context, g access.Grant, p ImportParams) (*Bundle, error) {
	g.Must(access.CertificateImport)
	if err := p.Tags.Check(object.Certificates); err != nil {
		return nil, fault.InvalidField("tags", "At most 15 tags; names and values have at most 256 characters.")
	}
	if len(p.Value.Reveal()) == 0 {
		return nil, fault.MissingField("value")
	}
	if utf8.RuneCount(p.Password.Reveal()) > maxPassword {
		return nil, fault.InvalidField("pwd", "A password has at most 200 characters.")
	}
	v, n, now := g.Vault().ID, g.Name(), s.now()

	want, err := wantedFormat(p.Policy)
	if err != nil {
		return nil, err
	}
	m, err := compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (*imported, error) {
		return read(string(p.Value.Reveal()), string(p.Password.Reveal()), want, now)
	})
	if err != nil {
		return nil, err
	}
	policy, err := issuance.Derive(m.leaf, m.format.String(), p.Policy, now)
	if err != nil {
		return nil, err
	}
	if err := s.mayHold(g.Vault(), policy); err != nil {
		return nil, err
	}
	private, err := s.custody.Import(ctx, m.key, policy.Key.HSM())
	if err != nil {
		return nil, err
	}
	out, err := s.storeImported(ctx, inputs{
		caller: g.Caller().ID(),
		vault:  v, name: n, policy: policy, leaf: m.leaf, others: m.others, leafAt: m.leafAt,
		private: private, preserve: p.PreserveOrder,
		enabled: p.Enabled == nil || *p.Enabled, tags: p.Tags, created: now,
	})
	if err != nil {
		s.custody.Drop(ctx, private)
		return nil, err
	}
	describe(g, out.Version)
	describeFirstPolicy(g, out.Certificate.Policy, p.Policy != nil)
	return out, nil
}

// imported is what an import holds.
type imported struct {
	*material
	key    crypto.Signer
	format bundle.Format
}

// read takes the value of an import apart, and checks that key and certificate are
// sound and belong together. It takes up to seconds.
func read(value, password string, want *bundle.Format, now time.Time) (*imported, error) {
	in, err := bundle.ReadImport(value, password, want)
	if err != nil {
		return nil, content("value", err)
	}
	given, err := pki.ParsePKCS8(in.KeyPKCS8)
	if err != nil {
		return nil, content("value", err)
	}
	if err := strong(given); err != nil {
		return nil, content("value", err)
	}
	certs, err := parseCertificates(in.Certificates)
	if err != nil {
		return nil, content("value", err)
	}
	m, err := match("value", certs, given.Public(), in.LeafHint, now)
	if err != nil {
		return nil, err
	}
	return &imported{m, given, in.Format}, nil
}

// strong refuses a private key that is weak. A small public exponent is refused of
// certificates alone: of keys the contract takes it (contract keys.md, 12, question 16).
func strong(k crypto.Signer) error {
	if err := pki.CheckExponent(k.Public()); err != nil {
		return err
	}
	return pki.CheckStrength(k)
}

// storeImported stores what was imported.
func (s *Service) storeImported(ctx context.Context, p inputs) (*Bundle, error) {
	built, err := s.build(ctx, p)
	if err != nil {
		return nil, buildError("value", err)
	}
	v, n := p.vault, p.name
	var out *Bundle
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		if err := p.private.Keep(ctx, tx); err != nil {
			return err
		}
		st, err := load(ctx, tx, v, n)
		if err != nil {
			return err
		}
		if err := st.mayBegin(ctx, tx, v, n); err != nil {
			return err
		}
		kept := p.policy.Clone()
		if st.cert == nil {
			st.cert = &Certificate{Head: object.Head{Vault: v, Name: n}, Policy: kept}
			if err := insertHeads(ctx, tx, st.cert); err != nil {
				return err
			}
		} else {
			kept.Created = st.cert.Policy.Created
			st.cert.Policy = kept
			if st.op != nil {
				if err := key.Discard(ctx, tx, st.op.HSM); err != nil {
					return err
				}
			}
			if err := tx.DeleteOperation(ctx, v, n); err != nil {
				return err
			}
		}
		if err := s.insertCurrent(ctx, tx, st, built); err != nil {
			return err
		}
		st.cert.Pending = false
		shown := *built.certificate
		shown.Name = st.cert.Head.Name // the casing of the first use
		out = &Bundle{Certificate: st.cert, Version: &shown}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// wantedFormat is the format that the caller states, nil when none is.
func wantedFormat(p *issuance.Patch) (*bundle.Format, error) {
	if p == nil || p.ContentType == nil {
		return nil, nil
	}
	for _, f := range []bundle.Format{bundle.PKCS12, bundle.PEM} {
		if strings.EqualFold(f.String(), *p.ContentType) {
			return &f, nil
		}
	}
	return nil, fault.InvalidField("policy.secret_props", "contentType is "+issuance.PKCS12+" or "+issuance.PEM+".")
}
