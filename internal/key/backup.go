package key

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/backup"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/vault"
)

// Backup is a backup blob that has been opened and found whole: only OpenBackup
// makes one.
type Backup struct {
	doc  backupDoc
	name object.Name
}

// Name is the key that the blob holds.
func (b *Backup) Name() object.Name { return b.name }

// backupDoc is the content of a blob. Its private parts are clear only inside the
// box.
type backupDoc struct {
	Name     string
	Policy   *backupPolicy   `json:",omitempty"` // nil: none was set
	Versions []backupVersion // in order of creation; the last one is current
}

type backupVersion struct {
	Version    string
	PKCS8      []byte
	Ops        []Op
	Attributes object.Attributes
	Tags       object.Tags
}

// backupPolicy is a RotationPolicy as texts.
type backupPolicy struct {
	RotateAfterCreate, RotateBeforeExpiry, NotifyBeforeExpiry, ExpiryTime string
	Created, Updated                                                      time.Time
}

// Backup packs all versions with their private keys and the rotation policy of a
// name into a sealed blob.
func (s *Service) Backup(ctx context.Context, g access.Grant) (string, error) {
	g.Must(access.KeyBackup)
	var doc backupDoc
	var versions []*Version
	err := s.cfg.DB.View(ctx, func(tx Tx) error {
		h, err := heads(tx).Own(ctx, g, "", "backup")
		if err != nil {
			return err
		}
		doc = backupDoc{Name: h.Name.String()}
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
	if err := backup.Key.CheckCount(len(versions)); err != nil {
		return "", err
	}
	for _, v := range versions {
		if err := CanLeave(v); err != nil {
			return "", err
		}
		private, err := s.cfg.Sealer.Open(ctx, PrivatePlace(v.Vault, v.Name, v.Version), v.Private)
		if err != nil {
			return "", fmt.Errorf("backing up key %s/%s: %w", v.Name, v.Version, err)
		}
		doc.Versions = append(doc.Versions, backupVersion{Version: string(v.Version), PKCS8: private.Reveal(),
			Ops: v.Ops, Attributes: v.Attributes, Tags: v.Tags})
	}
	return backup.Key.Seal(ctx, s.cfg.Sealer, g.Vault().TenantID, doc)
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
	b := &Backup{}
	if err := backup.Key.Open(ctx, s.cfg.Sealer, v.TenantID, value, &b.doc); err != nil {
		return nil, err
	}
	var err error
	if b.name, err = object.ParseName(b.doc.Name); err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	if len(b.doc.Versions) == 0 {
		return nil, errors.New("key: a backup without versions")
	}
	return b, nil
}

// Restore brings a backup back under its own name and versions.
func (s *Service) Restore(ctx context.Context, g access.Grant, b *Backup) (*Bundle, error) {
	g.Must(access.KeyRestore)
	if g.Name().Key() != b.name.Key() {
		return nil, fmt.Errorf("key: a grant for %s cannot restore %s", g.Name(), b.name)
	}
	h := object.Head{Vault: g.Vault().ID, Name: b.name}
	var versions []*Version
	for i := range b.doc.Versions {
		v, err := s.unpack(ctx, h, &b.doc.Versions[i])
		if err != nil {
			return nil, fmt.Errorf("reading a backup: %w", err)
		}
		versions = append(versions, v)
	}
	last := versions[len(versions)-1]
	h.Current = last.Version
	policy, err := b.doc.Policy.parse()
	if err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	now := s.now()
	err = s.update(ctx, func(tx Tx) error {
		if err := tx.InsertKey(ctx, h); errors.Is(err, object.ErrExists) {
			return backup.Key.Conflict(b.name, last.Version)
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
	return &Bundle{h, last}, nil
}

// unpack seals one version of a backup for its new place.
func (s *Service) unpack(ctx context.Context, h object.Head, b *backupVersion) (*Version, error) {
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
	v := &Version{Vault: h.Vault, Name: h.Name, Version: object.Version(b.Version), Spec: spec, Public: public,
		Ops: b.Ops, Attributes: b.Attributes, Tags: b.Tags}
	v.Private, err = s.cfg.Sealer.Seal(ctx, PrivatePlace(v.Vault, v.Name, v.Version), seal.NewValue(b.PKCS8))
	return v, err
}

func (b *backupPolicy) parse() (*RotationPolicy, error) {
	if b == nil {
		return nil, nil
	}
	return StoredPolicy(b.RotateAfterCreate, b.RotateBeforeExpiry, b.NotifyBeforeExpiry, b.ExpiryTime, b.Created, b.Updated)
}
