package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/backup"
	"coffer/internal/compute"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/vault"
)

// Backup is a backup of a certificate that has been opened and found whole: only
// OpenBackup makes one.
type Backup = backup.Backup[issuance.StoredPolicy, backupVersion]

// backupVersion is what a blob holds of a version (backup.Document).
type backupVersion struct {
	Version       string            `json:"Version"`
	Completed     bool              `json:"Completed"`
	Leaf          []byte            `json:"Leaf,omitempty"`
	Chain         [][]byte          `json:"Chain"`
	PreserveOrder bool              `json:"PreserveOrder"`
	Attributes    backup.Attributes `json:"Attributes"`
	Tags          object.Tags       `json:"Tags"`
	Ops           []key.Op          `json:"Ops,omitempty"`
	Exportable    bool              `json:"Exportable"`
	ContentType   string            `json:"ContentType,omitempty"`
	PKCS8         []byte            `json:"PKCS8,omitempty"`
	Secret        []byte            `json:"Secret,omitempty"`
	Previous      string            `json:"Previous,omitempty"`
}

// Backup packs all versions, the policy and the private keys of a name into a
// sealed blob. The pending operation is not part of it.
func (s *Service) Backup(ctx context.Context, g access.Grant) (string, error) {
	g.Must(access.CertificateBackup)
	v, n := g.Vault(), g.Name()
	var (
		cert  *Certificate
		certs []*Version
		keys  []*key.Version
		secs  []*secret.Version
	)
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		if cert, err = tx.Certificate(ctx, v.ID, n); errors.Is(err, object.ErrNotFound) || err == nil && cert.Head.Deletion != nil {
			return notFound(n, "")
		} else if err != nil {
			return err
		}
		if certs, err = tx.CertificateVersions(ctx, v.ID, n, object.Page{}); err != nil {
			return err
		}
		if keys, err = tx.KeyVersions(ctx, v.ID, n, object.Page{}); err != nil {
			return err
		}
		secs, err = tx.SecretVersions(ctx, v.ID, n, object.Page{})
		return err
	})
	if err != nil {
		return "", err
	}
	keyOf, secretOf := map[object.Version]*key.Version{}, map[object.Version]*secret.Version{}
	for _, k := range keys {
		keyOf[k.Version] = k
	}
	for _, sec := range secs {
		secretOf[sec.Version] = sec
	}
	doc := backup.Document[issuance.StoredPolicy, backupVersion]{Name: cert.Head.Name.String(), Policy: cert.Policy.Stored()}
	return compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (_ string, err error) {
		doc.Versions, err = backup.Pack(backup.Certificate, certs, func(c *Version) (backupVersion, error) {
			return s.pack(ctx, c, keyOf[c.Version], secretOf[c.Version])
		})
		if err != nil {
			return "", err
		}
		return backup.Certificate.Seal(ctx, s.cfg.Sealer, v.TenantID, doc)
	})
}

func (s *Service) pack(ctx context.Context, c *Version, k *key.Version, sec *secret.Version) (backupVersion, error) {
	b := backupVersion{
		Version: string(c.Version), Completed: c.Completed, Leaf: c.Leaf, Chain: c.Chain,
		PreserveOrder: c.PreserveOrder, Attributes: backup.Attributes(c.Attributes), Tags: c.Tags,
	}
	if !c.Completed {
		return b, nil
	}
	if k == nil || sec == nil {
		return b, fmt.Errorf("certificate %s/%s lacks its key or secret", c.Name, c.Version)
	}
	if err := key.CanLeave(k); err != nil {
		return b, err
	}
	private, err := s.cfg.Sealer.Open(ctx, key.PrivatePlace(k.Vault, k.Name, k.Version), k.Private)
	if err != nil {
		return b, err
	}
	value, err := s.cfg.Sealer.Open(ctx, secret.ValuePlace(sec.Vault, sec.Name, sec.Version), sec.Value)
	if err != nil {
		return b, err
	}
	b.Ops, b.Exportable, b.PKCS8 = k.Ops, k.Exportable, private.Reveal()
	b.ContentType, b.Secret, b.Previous = sec.ContentType, value.Reveal(), string(sec.Previous)
	return b, nil
}

// OpenBackup reads a blob for a vault.
func (s *Service) OpenBackup(ctx context.Context, v *vault.Vault, value string) (*Backup, error) {
	return backup.Read[issuance.StoredPolicy, backupVersion](ctx, backup.Certificate, s.cfg.Sealer, v.TenantID, value)
}

// Restore brings a backup back under its own name and versions.
func (s *Service) Restore(ctx context.Context, g access.Grant, b *Backup) (*Bundle, error) {
	g.Must(access.CertificateRestore)
	v, name := g.Vault().ID, b.Name()
	restored, err := compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (backup.Unpacked[issuance.StoredPolicy, *newVersion], error) {
		return backup.Unpack(b, g.Name(), func(p *backupVersion) (*newVersion, error) { return s.unpack(ctx, v, name, p) })
	})
	if err != nil {
		return nil, err
	}
	policy, built := restored.Policy, restored.Versions
	if policy == nil {
		return nil, errors.New("reading a backup: a certificate without a policy")
	}
	last := built[len(built)-1].certificate

	var out *Bundle
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, name)
		if err != nil {
			return err
		}
		if st.cert != nil {
			return backup.Certificate.Conflict(name, last.Version)
		}
		if err := nameFree(ctx, tx, v, name); err != nil {
			return err
		}
		c := &Certificate{Head: object.Head{Vault: v, Name: name, Current: last.Version}, Policy: policy.Policy()}
		if err := insertHeads(ctx, tx, c); err != nil {
			return err
		}
		for _, n := range built {
			if err := insert(ctx, tx, n); err != nil {
				return err
			}
		}
		if last.Completed {
			h := object.Head{Vault: v, Name: name, Managed: true, Current: last.Version}
			if err := tx.UpdateKeyHead(ctx, h); err != nil {
				return err
			}
			if err := tx.UpdateSecretHead(ctx, h); err != nil {
				return err
			}
			last.NextAction = c.Policy.NextAction(*last.Attributes.NotBefore, *last.Attributes.Expires)
			if err := tx.UpdateVersion(ctx, last); err != nil {
				return err
			}
		}
		out = &Bundle{Certificate: c, Version: last}
		return nil
	})
	if err != nil {
		return nil, err
	}
	describe(g, out.Version)
	describePolicy(g, out.Certificate.Policy)
	return out, nil
}

// insert stores the rows of one version; a placeholder has only its own.
func insert(ctx context.Context, tx versionsTx, n *newVersion) error {
	if err := tx.InsertVersion(ctx, n.certificate); err != nil || n.key == nil {
		return err
	}
	if err := tx.InsertKeyVersion(ctx, n.key); err != nil {
		return err
	}
	return tx.InsertSecretVersion(ctx, n.secret)
}

// unpack seals one version of a backup for its new place.
func (s *Service) unpack(ctx context.Context, v object.VaultID, name object.Name, b *backupVersion) (*newVersion, error) {
	ver := object.Version(b.Version)
	attributes := object.Attributes(b.Attributes)
	attributes.Created, attributes.Updated = attributes.Created.UTC(), attributes.Updated.UTC()
	c := &Version{
		Vault: v, Name: name, Version: ver, Completed: b.Completed,
		Leaf: b.Leaf, Chain: b.Chain, PreserveOrder: b.PreserveOrder,
		Attributes: attributes, Tags: b.Tags, NextAction: time.Time{},
	}
	if !b.Completed {
		return &newVersion{certificate: c}, nil
	}
	leaf, err := pki.ParseCertificate(b.Leaf)
	if err != nil {
		return nil, err
	}
	thumb := leaf.Thumbprint()
	c.Thumbprint = thumb[:]
	spec, err := pki.SpecOf(leaf.PublicKey)
	if err != nil {
		return nil, err
	}
	n := &newVersion{
		certificate: c,
		key: &key.Version{Vault: v, Name: name, Version: ver, Spec: spec, Public: leaf.RawSubjectPublicKeyInfo,
			Ops: b.Ops, Exportable: b.Exportable, Attributes: attributes},
		secret: &secret.Version{Vault: v, Name: name, Version: ver, ContentType: b.ContentType,
			Previous: object.Version(b.Previous), Attributes: attributes},
	}
	if n.key.Private, err = s.cfg.Sealer.Seal(ctx, key.PrivatePlace(v, name, ver), seal.NewValue(b.PKCS8)); err != nil {
		return nil, err
	}
	n.secret.Value, err = s.cfg.Sealer.Seal(ctx, secret.ValuePlace(v, name, ver), seal.NewValue(b.Secret))
	return n, err
}
