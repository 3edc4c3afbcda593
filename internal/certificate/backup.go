package certificate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
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

// backupMagic begins every blob; the digit is the version of the format.
const backupMagic = "CofferCertificateBackupV1\n"

// Bounds of a backup (contract certificates.md, 8.12).
const (
	maxBackupVersions = 500
	maxBackupBytes    = 16 << 20 // of the value, in characters
)

// backupPlace binds blobs to the tenant: they open in every vault of it in this
// installation, and nowhere else.
func backupPlace(tenant string) seal.Place {
	return seal.Place{Kind: "backup", Name: strings.ToLower(tenant), Column: "certificate"}
}

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
	if len(certs) > maxBackupVersions {
		return "", &fault.Error{Kind: fault.Invalid, Field: "name",
			Msg: fmt.Sprintf("A certificate with more than %d versions cannot be backed up.", maxBackupVersions)}
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
	plain, err := json.Marshal(doc)
	if err != nil {
		return "", err
	}
	box, err := s.cfg.Sealer.Seal(ctx, backupPlace(v.TenantID), plain)
	if err != nil {
		return "", err
	}
	value := base64.RawURLEncoding.EncodeToString(append([]byte(backupMagic), box...))
	if len(value) > maxBackupBytes { // a backup that no restore takes would be worse than none
		return "", &fault.Error{Kind: fault.Invalid, Field: "name", Msg: "The certificate is too large to be backed up."}
	}
	return value, nil
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

// OpenBackup reads a blob for a vault. Every blob that does not open is refused
// in the same words: not ours, of another tenant, changed or cut.
func (s *Service) OpenBackup(ctx context.Context, v *vault.Vault, value string) (*Backup, error) {
	corrupt := &fault.Error{Kind: fault.Invalid, Reason: fault.MalformedBackup, Field: "value", Msg: "Backup blob is corrupt."}
	if value == "" {
		return nil, fault.MissingField("value")
	}
	if len(value) > maxBackupBytes {
		return nil, corrupt
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Field: "value", Msg: "Content of 'value' is not base64url.\r\n"}
	}
	box, ok := bytes.CutPrefix(raw, []byte(backupMagic))
	if !ok {
		return nil, corrupt
	}
	plain, err := s.cfg.Sealer.Open(ctx, backupPlace(v.TenantID), seal.Box(box))
	if errors.Is(err, seal.ErrBox) {
		return nil, corrupt
	}
	if err != nil {
		return nil, err
	}
	b := &Backup{}
	// What opens was sealed by this installation: a failure from here on is ours.
	if err := json.Unmarshal(plain.Reveal(), &b.doc); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
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
	var born []*newborn
	for i := range b.doc.Versions {
		n, err := s.unpack(ctx, v, b.name, &b.doc.Versions[i])
		if err != nil {
			return nil, err
		}
		born = append(born, n)
	}
	if len(born) == 0 {
		return nil, errors.New("certificate: a backup without versions")
	}
	last := born[len(born)-1].certificate

	var out *Bundle
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		st, err := load(ctx, tx, v, b.name)
		if err != nil {
			return err
		}
		if st.cert != nil {
			return restoreConflict(b.name, last.Version)
		}
		if err := nameFree(ctx, tx, v, b.name); err != nil {
			return err
		}
		c := &Certificate{Head: object.Head{Vault: v, Name: b.name, Current: last.Version}, Policy: b.doc.Policy.Clone()}
		if err := insertHeads(ctx, tx, c); err != nil {
			return err
		}
		for _, n := range born {
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
		out = &Bundle{c, last}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// insert stores the rows of one version; a placeholder has only its own.
func insert(ctx context.Context, tx Tx, n *newborn) error {
	if err := tx.InsertVersion(ctx, n.certificate); err != nil || n.key == nil {
		return err
	}
	if err := tx.InsertKeyVersion(ctx, n.key); err != nil {
		return err
	}
	return tx.InsertSecretVersion(ctx, n.secret)
}

// unpack seals one version of a backup for its new place.
func (s *Service) unpack(ctx context.Context, v object.VaultID, name object.Name, b *backupVersion) (*newborn, error) {
	ver := object.Version(b.Version)
	b.Attributes.Created, b.Attributes.Updated = b.Attributes.Created.UTC(), b.Attributes.Updated.UTC()
	c := &Version{
		Vault: v, Name: name, Version: ver, Completed: b.Completed,
		Leaf: b.Leaf, Chain: b.Chain, PreserveOrder: b.PreserveOrder,
		Attributes: b.Attributes, Tags: b.Tags, NextAction: time.Time{},
	}
	if !b.Completed {
		return &newborn{certificate: c}, nil
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
	n := &newborn{
		certificate: c,
		key: &key.Version{Vault: v, Name: name, Version: ver, Spec: spec, Public: leaf.RawSubjectPublicKeyInfo,
			Ops: b.Ops, Exportable: b.Exportable, Attributes: b.Attributes},
		secret: &secret.Version{Vault: v, Name: name, Version: ver, ContentType: b.ContentType,
			Previous: object.Version(b.Previous), Attributes: b.Attributes},
	}
	if n.key.Private, err = s.cfg.Sealer.Seal(ctx, key.PrivatePlace(v, name, ver), b.PKCS8); err != nil {
		return nil, err
	}
	n.secret.Value, err = s.cfg.Sealer.Seal(ctx, secret.ValuePlace(v, name, ver), b.Secret)
	return n, err
}

func restoreConflict(n object.Name, ver object.Version) error {
	return &fault.Error{Kind: fault.Conflict, Subject: fault.Certificate,
		Msg: "There was a conflict restoring the certificate '" + n.String() + "/" + string(ver) + "'." +
			" This can happen if either: a second certificate with the same name was created after the first certificate was deleted;" +
			" thus trying to restore a certificate whose name is already in use. To fix this, rename the second certificate to something" +
			" else so that the restore works. The second probable cause of this exception is when multiple operations are performed in" +
			" parallel against the certificate. To avoid this error, perform operations against a certificate in a sequential manner."}
}
