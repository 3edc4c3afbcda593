package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/backup"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/vault"
)

// Backup is a backup blob that has been opened and found whole: only OpenBackup
// makes one.
type Backup struct {
	doc  backupDoc
	name object.Name
}

// Name is the certificate that the blob holds.
func (b *Backup) Name() object.Name { return b.name }

// backupDoc is the content of a blob. Its private parts are clear only inside
// the box.
type backupDoc struct {
	Name     string
	Policy   *issuance.Policy
	Versions []backupVersion // in order of creation; the last completed one is current
}

type backupVersion struct {
	Version       string
	Completed     bool
	Leaf          []byte `json:",omitempty"`
	Chain         [][]byte
	PreserveOrder bool
	Attributes    object.Attributes
	Tags          object.Tags
	Ops           []key.Op `json:",omitempty"`
	Exportable    bool
	ContentType   string `json:",omitempty"`
	PKCS8         []byte `json:",omitempty"`
	Secret        []byte `json:",omitempty"`
	Previous      string `json:",omitempty"`
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
	if err := backup.Certificate.CheckCount(len(certs)); err != nil {
		return "", err
	}
	doc := backupDoc{Name: cert.Head.Name.String(), Policy: cert.Policy}
	keyOf, secretOf := map[object.Version]*key.Version{}, map[object.Version]*secret.Version{}
	for _, k := range keys {
		keyOf[k.Version] = k
	}
	for _, sec := range secs {
		secretOf[sec.Version] = sec
	}
	for _, c := range certs {
		b, err := s.pack(ctx, c, keyOf[c.Version], secretOf[c.Version])
		if err != nil {
			return "", err
		}
		doc.Versions = append(doc.Versions, b)
	}
	return backup.Certificate.Seal(ctx, s.cfg.Sealer, v.TenantID, doc)
}

func (s *Service) pack(ctx context.Context, c *Version, k *key.Version, sec *secret.Version) (backupVersion, error) {
	b := backupVersion{
		Version: string(c.Version), Completed: c.Completed, Leaf: c.Leaf, Chain: c.Chain,
		PreserveOrder: c.PreserveOrder, Attributes: c.Attributes, Tags: c.Tags,
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
func (s *Service) OpenBackup(ctx context.Context, v *vault.Vault, value string) (_ *Backup, err error) {
	b := &Backup{}
	if err := backup.Certificate.Open(ctx, s.cfg.Sealer, v.TenantID, value, &b.doc); err != nil {
		return nil, err
	}
	if b.name, err = object.ParseName(b.doc.Name); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	return b, nil
}

// Restore brings a backup back under its own name and versions.
func (s *Service) Restore(ctx context.Context, g access.Grant, b *Backup) (*Bundle, error) {
	g.Must(access.CertificateRestore)
	v := g.Vault().ID
	if g.Name().Key() != b.name.Key() {
		return nil, fmt.Errorf("certificate: a grant for %s cannot restore %s", g.Name(), b.name)
	}
	var built []*newVersion
	for i := range b.doc.Versions {
		n, err := s.unpack(ctx, v, b.name, &b.doc.Versions[i])
		if err != nil {
			return nil, err
		}
		built = append(built, n)
	}
	if len(built) == 0 {
		return nil, errors.New("certificate: a backup without versions")
	}
	last := built[len(built)-1].certificate

	var out *Bundle
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, b.name)
		if err != nil {
			return err
		}
		if st.cert != nil {
			return backup.Certificate.Conflict(b.name, last.Version)
		}
		if err := nameFree(ctx, tx, v, b.name); err != nil {
			return err
		}
		c := &Certificate{Head: object.Head{Vault: v, Name: b.name, Current: last.Version}, Policy: b.doc.Policy.Clone()}
		if err := insertHeads(ctx, tx, c); err != nil {
			return err
		}
		for _, n := range built {
			if err := insert(ctx, tx, n); err != nil {
				return err
			}
		}
		if last.Completed {
			h := object.Head{Vault: v, Name: b.name, Managed: true, Current: last.Version}
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
	b.Attributes.Created, b.Attributes.Updated = b.Attributes.Created.UTC(), b.Attributes.Updated.UTC()
	c := &Version{
		Vault: v, Name: name, Version: ver, Completed: b.Completed,
		Leaf: b.Leaf, Chain: b.Chain, PreserveOrder: b.PreserveOrder,
		Attributes: b.Attributes, Tags: b.Tags, NextAction: time.Time{},
	}
	if !b.Completed {
		return &newVersion{certificate: c}, nil
	}
	leaf, err := pki.ParseCertificate(b.Leaf)
	if err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	thumb := leaf.Thumbprint()
	c.Thumbprint = thumb[:]
	spec, err := pki.SpecOf(leaf.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	n := &newVersion{
		certificate: c,
		key: &key.Version{Vault: v, Name: name, Version: ver, Spec: spec, Public: leaf.RawSubjectPublicKeyInfo,
			Ops: b.Ops, Exportable: b.Exportable, Attributes: b.Attributes},
		secret: &secret.Version{Vault: v, Name: name, Version: ver, ContentType: b.ContentType,
			Previous: object.Version(b.Previous), Attributes: b.Attributes},
	}
	if n.key.Private, err = s.cfg.Sealer.Seal(ctx, key.PrivatePlace(v, name, ver), seal.NewValue(b.PKCS8)); err != nil {
		return nil, err
	}
	n.secret.Value, err = s.cfg.Sealer.Seal(ctx, secret.ValuePlace(v, name, ver), seal.NewValue(b.Secret))
	return n, err
}
