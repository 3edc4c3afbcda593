package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Rows is one family in one open transaction. B is what it shows of a name: a
// version with the head.
type Rows[B any] struct {
	Heads
	// Version reads a version of a name, "" the current one, whether the name is live
	// or deleted. It answers object.ErrNotFound when there is none.
	Version func(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (B, error)
	// Head is the head in B.
	Head func(B) *object.Head
	// SetDeletion stores the deletion that the head in B has now, nil for a live
	// name, with all that follows from it.
	SetDeletion func(ctx context.Context, b B) error
	// VaultByID is the vault as it is stored.
	VaultByID func(ctx context.Context, id object.VaultID) (*vault.Vault, error)
	// Purge removes a name with all it has.
	Purge func(ctx context.Context, v object.VaultID, n object.Name) error
	// Due lists names of all vaults whose PurgeAt is not after now, without those of
	// certificates, the longest due first.
	Due func(ctx context.Context, now time.Time, limit int) ([]object.Head, error)
}

// VaultTx is what every family needs of one open transaction to purge.
type VaultTx interface {
	// VaultByID finds by id; object.ErrNotFound when there is none.
	VaultByID(ctx context.Context, id object.VaultID) (*vault.Vault, error)
}

// Names deletes, recovers and purges the names of one family. The exported methods
// of the family's service check the grant before they call it.
type Names[T, B any] struct {
	DB   object.DB[T]
	Rows func(T) Rows[B]
	Now  func() time.Time
	// Wake is called after a commit, which may have enqueued jobs.
	Wake func()
}

// Delete moves a name with all versions into the deleted collection, at once.
// Nothing of what is shown changes but the deletion itself.
func (s Names[T, B]) Delete(ctx context.Context, g access.Grant) (B, error) {
	deletion := g.Vault().Deletion(s.Now())
	return s.move(ctx, g, deletion, func(r Rows[B]) (object.Head, error) { return r.Own(ctx, g, "", "delete") })
}

// Recover brings a deleted name back as it was. Of one that is not deleted it says
// what a read would say (contract errors.md, 4.5).
func (s Names[T, B]) Recover(ctx context.Context, g access.Grant) (B, error) {
	return s.move(ctx, g, nil, func(r Rows[B]) (object.Head, error) {
		return r.deleted(ctx, g, "recover", NotFound(r.Subject, g.Name(), ""))
	})
}

// move gives the head that find finds another deletion.
func (s Names[T, B]) move(ctx context.Context, g access.Grant, d *object.Deletion, find func(Rows[B]) (object.Head, error)) (B, error) {
	var h object.Head
	var out B
	err := s.update(ctx, func(r Rows[B]) (err error) {
		if h, err = find(r); err != nil {
			return err
		}
		h.Deletion = d
		b, err := r.Version(ctx, h.Vault, h.Name, "")
		if err != nil {
			return err
		}
		*r.Head(b), out = h, b
		return r.SetDeletion(ctx, b)
	})
	return shown(g, h, out, err)
}

// GetDeleted reads a deleted name. Those of certificates are shown with their
// certificates only (contract keys.md, question 10; secrets.md, 9.7).
func (s Names[T, B]) GetDeleted(ctx context.Context, g access.Grant) (B, error) {
	h, out, err := s.read(ctx, g, "", func(r Rows[B]) error { return r.Subject.DeletedNotFound(g.Name().String()) },
		func(h object.Head) bool { return h.Deletion != nil && !h.Managed })
	return shown(g, h, out, err)
}

// Get reads one version of a live name; "" means the current one. What is shown of it
// the family puts on record.
func (s Names[T, B]) Get(ctx context.Context, g access.Grant, ver object.Version) (B, error) {
	_, out, err := s.read(ctx, g, ver, func(r Rows[B]) error { return NotFound(r.Subject, g.Name(), ver) },
		func(h object.Head) bool { return h.Deletion == nil })
	return orNothing(out, err)
}

// read gives a version of a name whose head is fit, or else the answer absent.
func (s Names[T, B]) read(ctx context.Context, g access.Grant, ver object.Version, absent func(Rows[B]) error,
	fit func(object.Head) bool) (h object.Head, out B, err error) {
	err = s.DB.View(ctx, func(tx T) error {
		r := s.Rows(tx)
		b, err := r.Version(ctx, g.Vault().ID, g.Name(), ver)
		if errors.Is(err, object.ErrNotFound) || err == nil && !fit(*r.Head(b)) {
			return absent(r)
		}
		if err == nil {
			h, out = *r.Head(b), b
		}
		return err
	})
	return h, out, err
}

// shown puts on record which version is shown, if one is.
func shown[B any](g access.Grant, h object.Head, b B, err error) (B, error) {
	if err == nil {
		g.Attempt().ObjectVersion(h.Current)
	}
	return orNothing(b, err)
}

// orNothing keeps a failure from showing what was read before it.
func orNothing[B any](b B, err error) (B, error) {
	if err != nil {
		var zero B
		return zero, err
	}
	return b, nil
}

// Purge removes a deleted name for ever, if the vault allows it at that moment.
func (s Names[T, B]) Purge(ctx context.Context, g access.Grant) error {
	return s.update(ctx, func(r Rows[B]) error {
		h, err := r.deleted(ctx, g, "purge", r.Subject.DeletedNotFound(g.Name().String()))
		if err != nil {
			return err
		}
		v, err := r.VaultByID(ctx, h.Vault)
		if err == nil {
			err = v.MayPurge()
		}
		if err != nil {
			return err
		}
		return r.Purge(ctx, h.Vault, h.Name)
	})
}

func (s Names[T, B]) update(ctx context.Context, fn func(Rows[B]) error) error {
	if err := s.DB.Update(ctx, func(tx T) error { return fn(s.Rows(tx)) }); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// purgeBatch is how many due names PurgeDue looks up at a time.
const purgeBatch = 50

// PurgeDue removes what has been deleted for as long as its vault keeps deleted
// objects, in all vaults. Purge protection does not hold it back: the retention is
// over. record puts each name on record before it goes, and what it returns is told
// what came of it, access.NotNeeded when there was nothing to do; its error keeps all
// names for the next time. A name that cannot be purged does not hold up the others,
// up to purgeBatch of them; the error joins why each was not.
func (s Names[T, B]) PurgeDue(ctx context.Context, record func(object.Head) (done func(error), err error)) error {
	now := s.Now()
	var failed []error
	for ctx.Err() == nil {
		var due []object.Head
		limit := purgeBatch + len(failed) // those that failed are still the longest due
		err := s.DB.View(ctx, func(tx T) (err error) {
			due, err = s.Rows(tx).Due(ctx, now, limit)
			return err
		})
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for _, h := range due[min(len(failed), len(due)):] {
			done, err := record(h)
			if err != nil {
				return errors.Join(append(failed, fmt.Errorf("recording the purge of %s: %w", h.Name, err))...)
			}
			err = s.purgeIfDue(ctx, h, now)
			done(err)
			if err != nil && !errors.As(err, new(access.NotNeeded)) {
				failed = append(failed, fmt.Errorf("purging %s: %w", h.Name, err))
			}
		}
		if len(due) < limit || len(failed) >= purgeBatch {
			return errors.Join(failed...)
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// purgeIfDue looks again: access.NotNeeded tells that the name was recovered, or
// purged, meanwhile.
func (s Names[T, B]) purgeIfDue(ctx context.Context, h object.Head, now time.Time) error {
	return s.update(ctx, func(r Rows[B]) error {
		h, err := r.Read(ctx, h.Vault, h.Name)
		if errors.Is(err, object.ErrNotFound) || err == nil && (h.Managed || h.Deletion == nil || h.Deletion.PurgeAt.After(now)) {
			return access.NotNeeded("The name is not due for purge any more.")
		}
		if err != nil {
			return err
		}
		return r.Purge(ctx, h.Vault, h.Name)
	})
}
