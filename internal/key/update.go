package key

import (
	"context"
	"errors"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// UpdateParams is the body of an update: what is nil stays. Empty Ops and Tags
// clear.
type UpdateParams struct{ Given }

// Update changes one version; "" means the current one.
func (s *Service) Update(ctx context.Context, g access.Grant, ver object.Version, p UpdateParams) (*Bundle, error) {
	g.Must(access.KeyUpdate)
	now := s.now()
	var out *Bundle
	err := s.update(ctx, func(tx Tx) error {
		h, err := heads(tx).Own(ctx, g, "", "update")
		if err != nil {
			return err
		}
		want := ver
		if want == "" {
			want = h.Current
		}
		v, err := tx.KeyVersion(ctx, h.Vault, h.Name, want)
		if errors.Is(err, object.ErrNotFound) {
			return lifecycle.NotFound(fault.Key, g.Name(), ver)
		}
		if err != nil {
			return err
		}
		if err := p.change(v, ver != ""); err != nil {
			return err
		}
		v.Attributes.Updated = now
		if err := tx.UpdateKeyVersion(ctx, v); err != nil {
			return err
		}
		out = &Bundle{h, v}
		if want != h.Current {
			return nil
		}
		return schedule(ctx, tx, h, v, now)
	})
	if err != nil {
		return nil, err
	}
	g.Attempt().ObjectVersion(out.Version.Version)
	return out, nil
}

// change applies an update to a version. pinned tells that the caller named it.
func (p UpdateParams) change(v *Version, pinned bool) error {
	switch {
	case p.External:
		return unsupported("External keys are not supported by this vault.")
	case p.Exportable != nil && *p.Exportable != v.Exportable:
		return invalid("attributes.exportable", msgExportChanged)
	case p.Release && pinned:
		return invalid("release_policy", msgPolicyOfVersion)
	case p.Release:
		return invalid("release_policy", msgPolicyNoExport)
	}
	if err := p.Tags.Check(object.Keys); err != nil {
		return fault.InvalidField("tags", "At most 15 tags; names and values have at most 256 characters.")
	}
	if err := p.apply(&v.Attributes); err != nil {
		return err
	}
	if p.Ops != nil {
		ops, err := parseOps("key_ops", p.Ops, v.Spec.Algorithm, !v.HSM.IsZero())
		if err != nil {
			return err
		}
		// A key that could decrypt what is transferred would give away other keys.
		if forTransfer(ops) != forTransfer(v.Ops) {
			return fault.InvalidField("key_ops", "A key for the import of others stays one, and no other key becomes one.")
		}
		v.Ops = ops
	}
	if p.Tags != nil {
		v.Tags = p.Tags
	}
	return nil
}
