package lifecycle

import (
	"context"
	"errors"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
)

// Heads are the heads of one family in one open transaction.
type Heads struct {
	Subject fault.Subject // Certificate, Key or Secret
	// Read answers object.ErrNotFound when the name is not known. A deleted one is
	// found, with its Deletion set.
	Read func(ctx context.Context, v object.VaultID, n object.Name) (object.Head, error)
}

// NotFound is the answer about a name, or one version of it, that is not there.
func NotFound(s fault.Subject, n object.Name, ver object.Version) error {
	id := n.String()
	if ver != "" {
		id += "/" + string(ver)
	}
	return s.NotFound(id)
}

// Live is the head of a name that has a version and is not deleted, or NotFound;
// ver is for its text.
func (t Heads) Live(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (object.Head, error) {
	h, err := t.Read(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) || err == nil && (h.Deletion != nil || h.Current == "") {
		return h, NotFound(t.Subject, n, ver)
	}
	return h, err
}

// Own is the head of a live name that belongs to no certificate, for a change of
// it; op is the word of the refusal of those that do.
func (t Heads) Own(ctx context.Context, g access.Grant, ver object.Version, op string) (object.Head, error) {
	h, err := t.Read(ctx, g.Vault().ID, g.Name())
	switch {
	case errors.Is(err, object.ErrNotFound) || err == nil && h.Deletion != nil:
		err = NotFound(t.Subject, g.Name(), ver)
	case err == nil && h.Managed:
		err = t.Subject.Managed(op)
	}
	return h, err
}

// Free is the head of a name that takes a new version: the zero one when nobody
// has the name. op is the word of the refusal of those that belong to certificates.
func (t Heads) Free(ctx context.Context, v object.VaultID, n object.Name, op string) (object.Head, error) {
	h, err := t.Read(ctx, v, n)
	switch {
	case errors.Is(err, object.ErrNotFound):
		return object.Head{}, nil
	case err == nil && h.Deletion != nil:
		err = t.Subject.NameDeleted(n.String())
	case err == nil && h.Managed:
		err = t.Subject.Managed(op)
	}
	return h, err
}

// deleted is the head of a deleted name that belongs to no certificate; absent is
// answered when there is none.
func (t Heads) deleted(ctx context.Context, g access.Grant, op string, absent error) (object.Head, error) {
	h, err := t.Read(ctx, g.Vault().ID, g.Name())
	switch {
	case errors.Is(err, object.ErrNotFound):
		err = absent
	case err == nil && h.Managed:
		err = t.Subject.Managed(op)
	case err == nil && h.Deletion == nil:
		err = absent
	}
	return h, err
}
