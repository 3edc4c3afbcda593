package secret

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/access"
	"coffer/internal/backup"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// Backup is a backup blob that has been opened and found whole: only OpenBackup
// makes one.
type Backup struct {
	doc  backupDoc
	name object.Name
}

// Name is the secret that the blob holds.
func (b *Backup) Name() object.Name { return b.name }

// backupDoc is the content of a blob.
type backupDoc struct {
	Name     string
	Versions []backupVersion // in order of creation; the last is current
}

type backupVersion struct {
	Version     string
	ContentType string `json:",omitempty"`
	Value       []byte
	Attributes  object.Attributes
	Tags        object.Tags
}

// Backup packs all versions of a name into a sealed blob, disabled ones too.
func (s *Service) Backup(ctx context.Context, g access.Grant) (string, error) {
	g.Must(access.SecretBackup)
	v, n := g.Vault(), g.Name()
	var h object.Head
	var versions []*Version
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		if h, err = heads(tx).Own(ctx, g, "", "backup"); err != nil {
			return err
		}
		versions, err = tx.SecretVersions(ctx, v.ID, n, object.Page{})
		return err
	})
	if err != nil {
		return "", err
	}
	if err := backup.Secret.CheckCount(len(versions)); err != nil {
		return "", err
	}
	doc := backupDoc{Name: h.Name.String()}
	for _, v := range versions {
		value, err := s.cfg.Sealer.Open(ctx, ValuePlace(v.Vault, v.Name, v.Version), v.Value)
		if err != nil {
			return "", fmt.Errorf("reading secret %s/%s: %w", v.Name, v.Version, err)
		}
		doc.Versions = append(doc.Versions, backupVersion{
			string(v.Version), v.ContentType, value.Reveal(), v.Attributes, v.Tags})
	}
	return backup.Secret.Seal(ctx, s.cfg.Sealer, v.TenantID, doc)
}

// OpenBackup reads a blob for a vault.
func (s *Service) OpenBackup(ctx context.Context, v *vault.Vault, value string) (_ *Backup, err error) {
	b := &Backup{}
	if err := backup.Secret.Open(ctx, s.cfg.Sealer, v.TenantID, value, &b.doc); err != nil {
		return nil, err
	}
	if b.name, err = object.ParseName(b.doc.Name); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	if len(b.doc.Versions) == 0 {
		return nil, errors.New("reading a backup: it has no versions")
	}
	return b, nil
}

// Restore brings a backup back under its own name and versions.
func (s *Service) Restore(ctx context.Context, g access.Grant, b *Backup) (*Bundle, error) {
	g.Must(access.SecretRestore)
	vault := g.Vault().ID
	if g.Name().Key() != b.name.Key() {
		return nil, fmt.Errorf("secret: a grant for %s cannot restore %s", g.Name(), b.name)
	}
	var versions []*Version
	for i := range b.doc.Versions {
		v, err := s.unpack(ctx, vault, b.name, &b.doc.Versions[i])
		if err != nil {
			return nil, err
		}
		versions = append(versions, v)
	}
	last := versions[len(versions)-1]
	h := object.Head{Vault: vault, Name: b.name, Current: last.Version}
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		if err := tx.InsertSecret(ctx, h); errors.Is(err, object.ErrExists) {
			return backup.Secret.Conflict(b.name, last.Version)
		} else if err != nil {
			return err
		}
		for _, v := range versions {
			if err := tx.InsertSecretVersion(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Bundle{Head: h, Version: last}, nil
}

// unpack seals one version of a backup for its new place.
func (s *Service) unpack(ctx context.Context, vault object.VaultID, name object.Name, b *backupVersion) (*Version, error) {
	v := &Version{Vault: vault, Name: name, Version: object.Version(b.Version), ContentType: b.ContentType,
		Attributes: b.Attributes, Tags: b.Tags}
	var err error
	v.Value, err = s.cfg.Sealer.Seal(ctx, ValuePlace(vault, name, v.Version), seal.NewValue(b.Value))
	return v, err
}
