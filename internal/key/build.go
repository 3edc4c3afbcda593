package key

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/pki"
)

// inputs is what a new version is made of.
type inputs struct {
	vault      object.VaultID
	name       object.Name
	private    *Private
	ops        []Op
	attributes object.Attributes
	tags       object.Tags
}

// seal makes a version that can be stored. A caller that is to store several
// tries seals once: nothing in it depends on the state.
func (s *Service) seal(ctx context.Context, in inputs) (*Version, error) {
	v := &Version{
		Vault: in.vault, Name: in.name, Version: object.NewVersion(), Spec: in.private.Spec, HSM: in.private.HSM,
		Ops: in.ops, Attributes: in.attributes, Tags: in.tags,
	}
	var err error
	if in.private.Signer != nil {
		if v.Public, err = pki.MarshalPublic(in.private.Signer.Public()); err != nil {
			return nil, err
		}
	}
	defer in.private.forget()
	if v.Private, err = s.custody.Seal(ctx, PrivatePlace(v.Vault, v.Name, v.Version), in.private); err != nil {
		return nil, fmt.Errorf("sealing a new version of key %s: %w", v.Name, err)
	}
	return v, nil
}

// insertCurrent stores a version as the current one of its name, which keeps the spelling
// of its first version.
func (s *Service) insertCurrent(ctx context.Context, tx Tx, v Version, op string, now time.Time) (*Bundle, error) {
	h, err := heads(tx).Free(ctx, v.Vault, v.Name, op)
	if err != nil {
		return nil, err
	}
	if h.Name.IsZero() {
		h = object.Head{Vault: v.Vault, Name: v.Name}
		if err := tx.InsertKey(ctx, h); errors.Is(err, object.ErrExists) {
			return nil, changedMeanwhile(v.Name)
		} else if err != nil {
			return nil, err
		}
	}
	v.Name, h.Current = h.Name, v.Version
	if err := tx.InsertKeyVersion(ctx, &v); err != nil {
		return nil, err
	}
	if err := tx.UpdateKeyHead(ctx, h); err != nil {
		return nil, err
	}
	if err := s.tell(ctx, tx, outbox.KeyNewVersion, h, &v); err != nil {
		return nil, err
	}
	return &Bundle{h, &v}, schedule(ctx, tx, h, &v, now)
}

// Given is what a caller says of a version beside its material. nil means absent.
type Given struct {
	Ops        []string // empty: all that the type can do
	Enabled    *bool
	NotBefore  *time.Time
	Expires    *time.Time
	Exportable *bool
	Release    bool // a release policy was given
	External   bool // a key outside of the vault was named
	Tags       object.Tags
}

// The texts about key release (contract keys.md, 9.12).
const (
	msgExportStandard  = "AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'."
	msgExportChanged   = "AKV.SKR.1003: The exportable attribute of an existing key cannot be changed."
	msgExportNoPolicy  = "AKV.SKR.1004: Exportable keys must have release policy."
	msgPolicyNoExport  = "AKV.SKR.1005: Non-exportable keys must not have release policy."
	msgExportSoftware  = "AKV.SKR.1006: Only keys of an HSM type can be exportable."
	msgExportHSM       = "Keys in the HSM of this vault cannot be exportable: there is no key release."
	msgPolicyOfVersion = "AKV.SKR.1016: Key Release Policy can only be set on versionless key"
)

// check refuses what no key here can have. premium is the vault's, inHSM tells
// of an HSM type.
func (p Given) check(premium, inHSM bool) error {
	exportable := p.Exportable != nil && *p.Exportable
	switch {
	case p.External:
		return unsupported("External keys are not supported by this vault.")
	case exportable && !premium:
		return invalid("attributes.exportable", msgExportStandard)
	case exportable && !p.Release:
		return invalid("attributes.exportable", msgExportNoPolicy)
	case exportable && inHSM:
		return unsupported(msgExportHSM)
	case exportable:
		return invalid("attributes.exportable", msgExportSoftware)
	case p.Release:
		return invalid("release_policy", msgPolicyNoExport)
	}
	if err := p.Tags.Check(object.Keys); err != nil {
		return fault.InvalidField("tags", "At most 15 tags; names and values have at most 256 characters.")
	}
	return nil
}

// apply changes the attributes that are given.
func (p Given) apply(a *object.Attributes) error {
	if p.Enabled != nil {
		a.Enabled = *p.Enabled
	}
	if p.NotBefore != nil {
		a.NotBefore = p.NotBefore
	}
	if p.Expires != nil {
		a.Expires = p.Expires
	}
	if a.NotBefore != nil && a.Expires != nil && !a.Expires.After(*a.NotBefore) {
		return fault.InvalidField("attributes.exp", "It must lie after nbf.")
	}
	return nil
}

// first are the attributes and operations of a new version.
func (p Given) first(field string, spec pki.KeySpec, inHSM bool, now time.Time) (object.Attributes, []Op, error) {
	attributes := object.Attributes{Enabled: true, Created: now, Updated: now}
	if err := p.apply(&attributes); err != nil {
		return attributes, nil, err
	}
	if len(p.Ops) == 0 {
		return attributes, defaultOps(spec), nil
	}
	ops, err := parseOps(field, p.Ops, spec.Algorithm, inHSM)
	return attributes, ops, err
}
