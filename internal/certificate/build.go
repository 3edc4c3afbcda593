package certificate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"coffer/internal/bundle"
	"coffer/internal/compute"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/secret"
)

// inputs is what a new version is made of.
type inputs struct {
	caller   string // whose work it is; "": the vault's own
	vault    object.VaultID
	name     object.Name
	policy   *issuance.Policy
	leaf     *pki.Certificate
	others   []*pki.Certificate // in input order, without the leaf
	leafAt   int                // where the leaf stood in the input
	private  *key.Private
	preserve bool
	rootless bool // the secret leaves roots out (contract issuers.md, 1.4)
	enabled  bool
	tags     object.Tags
	created  time.Time
}

// newVersion is a complete version of all three families, sealed and ready to be
// stored.
type newVersion struct {
	certificate *Version
	key         *key.Version
	secret      *secret.Version
	differences issuance.Differences // from what its policy ordered
}

// Bounds of a version.
const (
	maxSecret       = 100 << 10 // of its PFX (in base64) or PEM, in bytes (contract certificates.md, 14)
	maxCertificates = 100       // what a PFX holds at most
)

// errTooLong reports certificates beyond these bounds.
var errTooLong = errors.New("certificate: the secret would be too long")

// build makes and seals a new version, outside of any transaction. errTooLong is the fault of the certificates.
func (s *Service) build(ctx context.Context, p inputs) (*newVersion, error) {
	if len(p.others) >= maxCertificates {
		return nil, errTooLong
	}
	ver := object.NewVersion()
	notBefore, notAfter := p.leaf.NotBefore.UTC(), p.leaf.NotAfter.UTC()
	attributes := object.Attributes{
		Enabled: p.enabled, NotBefore: &notBefore, Expires: &notAfter,
		Created: p.created, Updated: p.created,
	}
	written, err := compute.Do(ctx, s.cfg.Workers, p.caller, func() (*written, error) { return s.write(p) })
	if err != nil {
		return nil, fmt.Errorf("building the secret of %s: %w", p.name, err)
	}
	spec, err := pki.SpecOf(p.leaf.PublicKey)
	if err != nil {
		return nil, err
	}
	thumb := p.leaf.Thumbprint()
	n := &newVersion{
		certificate: &Version{
			Vault: p.vault, Name: p.name, Version: ver, Completed: true,
			Leaf: p.leaf.Raw, Chain: written.chain, Thumbprint: thumb[:], PreserveOrder: p.preserve,
			Attributes: attributes, Tags: p.tags,
		},
		key: &key.Version{
			Vault: p.vault, Name: p.name, Version: ver,
			Spec: spec, Public: p.leaf.RawSubjectPublicKeyInfo,
			HSM: p.private.HSM,
			Ops: key.OpsFor(p.policy.X509.KeyUsage, spec.Algorithm), Exportable: p.policy.Key.Exportable,
			Attributes: attributes,
		},
		secret: &secret.Version{
			Vault: p.vault, Name: p.name, Version: ver, ContentType: p.policy.ContentType,
			Attributes: attributes,
		},
	}
	if n.key.Private, err = s.custody.Seal(ctx, key.PrivatePlace(p.vault, p.name, ver), p.private); err != nil {
		return nil, err
	}
	if n.secret.Value, err = s.cfg.Sealer.Seal(ctx, secret.ValuePlace(p.vault, p.name, ver), written.secret); err != nil {
		return nil, err
	}
	return n, nil
}

// written is what a version holds beside its leaf.
type written struct {
	chain  [][]byte // DER
	secret seal.Value
}

// write puts the chain in order and makes the secret: a PFX costs milliseconds.
func (s *Service) write(p inputs) (*written, error) {
	if !p.preserve {
		p.others, p.leafAt = pki.SortChain(p.leaf, p.others)[1:], 0
	}
	var served [][]byte
	chain := make([][]byte, len(p.others))
	for i, c := range p.others {
		chain[i] = c.Raw
		if !p.rootless || !c.SelfIssued() {
			served = append(served, c.Raw)
		}
	}
	value, err := s.secretValue(p, served)
	if err == nil && len(value) > maxSecret {
		err = errTooLong
	}
	return &written{chain, seal.NewValue([]byte(value))}, err
}

// secretValue is the PFX or PEM of the version; without the key when the policy
// says that it is not exportable (contract certificates.md, 7.4 to 7.6), which it
// does of a key in the HSM.
func (s *Service) secretValue(p inputs, chain [][]byte) (string, error) {
	var private []byte
	if p.policy.Key.Exportable {
		private = p.private.PKCS8().Reveal()
	}
	all := slices.Insert(slices.Clone(chain), p.leafAt, p.leaf.Raw)
	if p.policy.ContentType == issuance.PEM {
		return bundle.WritePEM(private, all), nil
	}
	return bundle.WritePKCS12(private, all, p.leafAt, s.cfg.ModernPKCS12)
}

// insertCurrent stores a new version as the current one of its name: all three rows and
// heads, in the caller's transaction. st is the state that the same transaction
// read; st.cert must exist.
func (s *Service) insertCurrent(ctx context.Context, tx Tx, st state, n *newVersion) error {
	v, name, ver := n.certificate.Vault, st.cert.Head.Name, n.certificate.Version
	cert, sec := *n.certificate, *n.secret // parts of them depend on this run of the transaction
	cert.NextAction = st.cert.Policy.NextAction(*cert.Attributes.NotBefore, *cert.Attributes.Expires)
	if st.current != nil {
		if st.current.Completed {
			sec.Previous = st.current.Version
			old := *st.current
			old.NextAction = time.Time{} // renewal is the current version's business
			if err := tx.UpdateVersion(ctx, &old); err != nil {
				return err
			}
		} else if err := tx.DeleteVersion(ctx, v, name, st.current.Version); err != nil {
			return err
		}
	}
	if err := tx.InsertVersion(ctx, &cert); err != nil {
		return err
	}
	if err := tx.InsertKeyVersion(ctx, n.key); err != nil {
		return err
	}
	if err := tx.InsertSecretVersion(ctx, &sec); err != nil {
		return err
	}
	st.cert.Head.Current = ver
	if err := tx.UpdateCertificate(ctx, st.cert); err != nil {
		return err
	}
	h := object.Head{Vault: v, Name: name, Managed: true, Current: ver}
	if err := tx.UpdateKeyHead(ctx, h); err != nil {
		return err
	}
	if err := tx.UpdateSecretHead(ctx, h); err != nil {
		return err
	}
	return s.tell(ctx, tx, h, cert.Attributes)
}

// tell puts a message about a new version into the transaction that makes it true:
// of the certificate, its key and its secret (contract observability.md, 5.1).
func (s *Service) tell(ctx context.Context, tx Tx, h object.Head, a object.Attributes) error {
	for _, t := range []struct {
		topic  outbox.Topic
		family object.Family
	}{
		{outbox.CertificateNewVersion, object.Certificates}, {outbox.KeyNewVersion, object.Keys}, {outbox.SecretNewVersion, object.Secrets},
	} {
		of := outbox.Subject{Family: t.family, Name: h.Name, Version: h.Current}
		if err := s.cfg.Outbox.Put(ctx, tx, outbox.OfVersion(t.topic, h.Vault, of, a, s.now())); err != nil {
			return err
		}
	}
	return nil
}

// placeholder is the disabled stand-in for a first version (contract
// certificates.md, 8.1 rule 4).
func placeholder(op *issuance.Operation, now time.Time) *Version {
	notBefore, notAfter := op.Policy.Validity(now)
	return &Version{
		Vault: op.Vault, Name: op.Name, Version: object.NewVersion(),
		PreserveOrder: op.PreserveOrder,
		Attributes:    object.Attributes{NotBefore: &notBefore, Expires: &notAfter, Created: now, Updated: now},
		Tags:          op.Tags,
	}
}
