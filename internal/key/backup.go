package key

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/backup"
	"coffer/internal/compute"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// Backup is a backup of a key that has been opened and found whole: only
// OpenBackup makes one.
type Backup = backup.Backup[backupPolicy, backupVersion]

// backupVersion is what a blob holds of a version (backup.Document).
type backupVersion struct {
	Version    string            `json:"Version"`
	PKCS8      []byte            `json:"PKCS8"`
	Ops        []Op              `json:"Ops"`
	Attributes backup.Attributes `json:"Attributes"`
	Tags       object.Tags       `json:"Tags"`
}

// backupPolicy is a RotationPolicy as texts.
type backupPolicy struct {
	RotateAfterCreate  string    `json:"RotateAfterCreate"`
	RotateBeforeExpiry string    `json:"RotateBeforeExpiry"`
	NotifyBeforeExpiry string    `json:"NotifyBeforeExpiry"`
	ExpiryTime         string    `json:"ExpiryTime"`
	Created            time.Time `json:"Created"`
	Updated            time.Time `json:"Updated"`
}

// Backup packs all versions with their private keys and the rotation policy of a
// name into a sealed blob.
func (s *Service) Backup(ctx context.Context, g access.Grant) (string, error) {
	g.Must(access.KeyBackup)
	var doc backup.Document[backupPolicy, backupVersion]
	var versions []*Version
	err := s.cfg.DB.View(ctx, func(tx Tx) error {
		h, err := heads(tx).Own(ctx, g, "", "backup")
		if err != nil {
			return err
		}
		doc.Name, doc.Policy = h.Name.String(), nil
		p, err := tx.RotationPolicy(ctx, h.Vault, h.Name)
		if err == nil {
			doc.Policy = &backupPolicy{p.RotateAfterCreate.String(), p.RotateBeforeExpiry.String(),
				p.NotifyBeforeExpiry.String(), p.ExpiryTime.String(), p.Created, p.Updated}
		} else if !errors.Is(err, object.ErrNotFound) {
			return err
		}
		versions, err = tx.KeyVersions(ctx, h.Vault, h.Name, object.Page{})
		return err
	})
	if err != nil {
		return "", err
	}
	tenant := g.Vault().TenantID
	return compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (_ string, err error) {
		doc.Versions, err = backup.Pack(backup.Key, versions, func(v *Version) (backupVersion, error) {
			if err := CanLeave(v); err != nil {
				return backupVersion{}, err
			}
			private, err := s.cfg.Sealer.Open(ctx, PrivatePlace(v.Vault, v.Name, v.Version), v.Private)
			if err != nil {
				return backupVersion{}, fmt.Errorf("backing up key %s/%s: %w", v.Name, v.Version, err)
			}
			return backupVersion{string(v.Version), private.Reveal(), v.Ops, backup.Attributes(v.Attributes), v.Tags}, nil
		})
		if err != nil {
			return "", err
		}
		return backup.Key.Seal(ctx, s.cfg.Sealer, tenant, doc)
	})
}

// CanLeave refuses to back up a key in the HSM.
func CanLeave(v *Version) error {
	if v.HSM.IsZero() {
		return nil
	}
	return unsupported("Keys in the HSM of this vault cannot leave it, and are not backed up here:" +
		" whoever runs the HSM backs it up with its maker's tools.")
}

// OpenBackup reads a blob for a vault.
func (s *Service) OpenBackup(ctx context.Context, v *vault.Vault, value string) (*Backup, error) {
	return backup.Read[backupPolicy, backupVersion](ctx, backup.Key, s.cfg.Sealer, v.TenantID, value)
}

// Restore brings a backup back under its own name and versions.
func (s *Service) Restore(ctx context.Context, g access.Grant, b *Backup) (*Bundle, error) {
	g.Must(access.KeyRestore)
	h := object.Head{Vault: g.Vault().ID, Name: b.Name()}
	restored, err := compute.Do(ctx, s.cfg.Workers, g.Caller().ID(), func() (backup.Unpacked[backupPolicy, *Version], error) {
		return backup.Unpack(b, g.Name(), func(v *backupVersion) (*Version, error) { return s.unpack(ctx, h.Vault, h.Name, v) })
	})
	if err != nil {
		return nil, err
	}
	versions := restored.Versions
	last := versions[len(versions)-1]
	h.Current = last.Version
	policy, err := restored.Policy.parse()
	if err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	now := s.now()
	err = s.update(ctx, func(tx Tx) error {
		if err := tx.InsertKey(ctx, h); errors.Is(err, object.ErrExists) {
			return backup.Key.Conflict(h.Name, last.Version)
		} else if err != nil {
			return err
		}
		for _, v := range versions {
			if err := tx.InsertKeyVersion(ctx, v); err != nil {
				return err
			}
		}
		if policy != nil {
			if err := tx.PutRotationPolicy(ctx, h.Vault, h.Name, policy); err != nil {
				return err
			}
		}
		return schedule(ctx, tx, h, last, now)
	})
	if err != nil {
		return nil, err
	}
	describe(g, last)
	return &Bundle{h, last}, nil
}

// unpack seals one version of a backup for its new place.
func (s *Service) unpack(ctx context.Context, vault object.VaultID, name object.Name, b *backupVersion) (*Version, error) {
	private, err := pki.ParsePKCS8(b.PKCS8)
	if err != nil {
		return nil, err
	}
	spec, err := pki.SpecOf(private.Public())
	if err != nil {
		return nil, err
	}
	public, err := pki.MarshalPublic(private.Public())
	if err != nil {
		return nil, err
	}
	v := &Version{Vault: vault, Name: name, Version: object.Version(b.Version), Spec: spec, Public: public,
		Ops: b.Ops, Attributes: object.Attributes(b.Attributes), Tags: b.Tags}
	v.Private, err = s.cfg.Sealer.Seal(ctx, PrivatePlace(v.Vault, v.Name, v.Version), seal.NewValue(b.PKCS8))
	return v, err
}

func (b *backupPolicy) parse() (*RotationPolicy, error) {
	if b == nil {
		return nil, nil
	}
	return StoredPolicy(b.RotateAfterCreate, b.RotateBeforeExpiry, b.NotifyBeforeExpiry, b.ExpiryTime, b.Created, b.Updated)
}
