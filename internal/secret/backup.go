package secret

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/access"
	"coffer/internal/backup"
	"coffer/internal/compute"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// Backup is a backup of a secret that has been opened and found whole: only
// OpenBackup makes one.
type Backup = backup.Backup[struct{}, backupVersion]

// backupVersion is what a blob holds of a version (backup.Document).
type backupVersion struct {
	Version     string            `json:"Version"`
	ContentType string            `json:"ContentType,omitempty"`
	Value       []byte            `json:"Value"`
	Attributes  backup.Attributes `json:"Attributes"`
	Tags        object.Tags       `json:"Tags"`
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
	return compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (_ string, err error) {
		doc := backup.Document[struct{}, backupVersion]{Name: h.Name.String()}
		doc.Versions, err = backup.Pack(backup.Secret, versions, func(v *Version) (backupVersion, error) {
			value, err := s.cfg.Sealer.Open(ctx, ValuePlace(v.Vault, v.Name, v.Version), v.Value)
			if err != nil {
				return backupVersion{}, fmt.Errorf("reading secret %s/%s: %w", v.Name, v.Version, err)
			}
			return backupVersion{string(v.Version), v.ContentType, value.Reveal(), backup.Attributes(v.Attributes), v.Tags}, nil
		})
		if err != nil {
			return "", err
		}
		return backup.Secret.Seal(ctx, s.cfg.Sealer, v.TenantID, doc)
	})
}

// OpenBackup reads a blob for a vault.
func (s *Service) OpenBackup(ctx context.Context, v *vault.Vault, value string) (*Backup, error) {
	return backup.Read[struct{}, backupVersion](ctx, backup.Secret, s.cfg.Sealer, v.TenantID, value)
}

// Restore brings a backup back under its own name and versions.
func (s *Service) Restore(ctx context.Context, g access.Grant, b *Backup) (*Bundle, error) {
	g.Must(access.SecretRestore)
	vault, name := g.Vault().ID, b.Name()
	restored, err := compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (backup.Unpacked[struct{}, *Version], error) {
		return backup.Unpack(b, g.Name(), func(v *backupVersion) (*Version, error) { return s.unpack(ctx, vault, name, v) })
	})
	if err != nil {
		return nil, err
	}
	versions := restored.Versions
	last := versions[len(versions)-1]
	h := object.Head{Vault: vault, Name: name, Current: last.Version}
	err = s.cfg.DB.Update(ctx, func(tx Tx) error {
		if err := tx.InsertSecret(ctx, h); errors.Is(err, object.ErrExists) {
			return backup.Secret.Conflict(name, last.Version)
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
	g.Attempt().ObjectVersion(last.Version)
	return &Bundle{Head: h, Version: last}, nil
}

// unpack seals one version of a backup for its new place.
func (s *Service) unpack(ctx context.Context, vault object.VaultID, name object.Name, b *backupVersion) (*Version, error) {
	v := &Version{Vault: vault, Name: name, Version: object.Version(b.Version), ContentType: b.ContentType,
		Attributes: object.Attributes(b.Attributes), Tags: b.Tags}
	var err error
	v.Value, err = s.cfg.Sealer.Seal(ctx, ValuePlace(vault, name, v.Version), seal.NewValue(b.Value))
	return v, err
}
