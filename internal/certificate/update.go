package certificate

import (
	"context"
	"errors"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// UpdateParams is the body of an update. nil means absent; empty Tags clear.
type UpdateParams struct {
	Enabled *bool
	Tags    object.Tags
	Policy  *issuance.Patch // only without a version
}

// Update changes one version, and its key and secret with it; "" means the
// current one.
func (s *Service) Update(ctx context.Context, g access.Grant, ver object.Version, p UpdateParams) (*Bundle, error) {
	g.Must(access.CertificateUpdate)
	if err := p.Tags.Check(object.Certificates); err != nil {
		return nil, fault.InvalidField("tags", "At most 15 tags; names and values have at most 256 characters.")
	}
	v, n, now := g.Vault().ID, g.Name(), s.now()
	var out *Bundle
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, n)
		if err != nil {
			return err
		}
		if st.live(n) != nil {
			return notFound(n, ver)
		}
		if ver != "" && ver != st.current.Version {
			if st.current, err = tx.CertificateVersion(ctx, v, n, ver); errors.Is(err, object.ErrNotFound) {
				return notFound(n, ver)
			} else if err != nil {
				return err
			}
		}
		cur := st.current
		cur.Attributes.Updated = now
		if p.Tags != nil {
			cur.Tags = p.Tags
		}
		if cur.Completed {
			if p.Enabled != nil {
				cur.Attributes.Enabled = *p.Enabled
			}
			if err := mirror(ctx, tx, cur); err != nil {
				return err
			}
		} else if err := patchPending(ctx, tx, st, p); err != nil {
			return err
		}
		if err := tx.UpdateVersion(ctx, cur); err != nil {
			return err
		}
		if ver == "" && p.Policy != nil {
			policy, err := s.patched(g.Vault(), st.cert.Policy, p.Policy, now)
			if err != nil {
				return err
			}
			if err := setPolicy(ctx, tx, st, policy); err != nil {
				return err
			}
		}
		out = &Bundle{Certificate: st.cert, Version: cur}
		return nil
	})
	if err != nil {
		return nil, err
	}
	describe(g, out.Version)
	if ver == "" && p.Policy != nil {
		describePolicy(g, out.Certificate.Policy)
	}
	return out, nil
}

// patched is the policy after a patch. One that was refused for want of an HSM is
// not refused again for another change.
func (s *Service) patched(v *vault.Vault, old *issuance.Policy, p *issuance.Patch, now time.Time) (*issuance.Policy, error) {
	policy, err := old.Merge(p, now)
	if err == nil && !old.Key.HSM() {
		err = s.mayHold(v, policy)
	}
	return policy, err
}

// mirror gives the key and the secret of a version the attributes of the
// certificate.
func mirror(ctx context.Context, tx versionsTx, c *Version) error {
	k, err := tx.KeyVersion(ctx, c.Vault, c.Name, c.Version)
	if err != nil {
		return err
	}
	k.Attributes = c.Attributes
	if err := tx.UpdateKeyVersion(ctx, k); err != nil {
		return err
	}
	sec, err := tx.SecretVersion(ctx, c.Vault, c.Name, c.Version)
	if err != nil {
		return err
	}
	sec.Attributes = c.Attributes
	return tx.UpdateSecretVersion(ctx, sec)
}

// patchPending keeps what a change of the placeholder means for the version that
// will replace it (contract certificates.md, question 43).
func patchPending(ctx context.Context, tx Tx, st state, p UpdateParams) error {
	if st.op == nil || st.op.Status == issuance.Completed {
		return nil
	}
	if p.Enabled != nil {
		st.op.Enabled = *p.Enabled
	}
	if p.Tags != nil {
		st.op.Tags = p.Tags
	}
	return tx.PutOperation(ctx, st.op)
}

// UpdatePolicy merges a patch into the policy of a name.
func (s *Service) UpdatePolicy(ctx context.Context, g access.Grant, p *issuance.Patch) (*Certificate, error) {
	g.Must(access.CertificatePolicyUpdate)
	v, n, now := g.Vault().ID, g.Name(), s.now()
	var out *Certificate
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, n)
		if err != nil {
			return err
		}
		if err := st.live(n); err != nil {
			return err
		}
		policy, err := s.patched(g.Vault(), st.cert.Policy, p, now)
		if err != nil {
			return err
		}
		out = st.cert
		return setPolicy(ctx, tx, st, policy)
	})
	if err != nil {
		return nil, err
	}
	describePolicy(g, out.Policy)
	return out, nil
}
