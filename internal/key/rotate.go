package key

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"coffer/internal/access"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/vault"
)

// Rotate makes a new version with fresh material of the same kind (contract
// keys.md, 9.8).
func (s *Service) Rotate(ctx context.Context, g access.Grant) (*Bundle, error) {
	g.Must(access.KeyRotate)
	now := s.now()
	var seen *Version
	err := s.cfg.DB.View(ctx, func(tx Tx) error {
		h, err := heads(tx).Own(ctx, g, "", "rotate")
		if err != nil {
			return err
		}
		seen, err = tx.KeyVersion(ctx, h.Vault, h.Name, h.Current)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !seen.HSM.IsZero() && g.Vault().SKU != vault.Premium { // it was one once
		return nil, hardware("")
	}
	fresh, err := s.successor(ctx, seen, now)
	if err != nil {
		return nil, err
	}
	var out *Bundle
	err = s.update(ctx, func(tx Tx) error {
		h, err := heads(tx).Own(ctx, g, "", "rotate")
		if err != nil {
			return err
		}
		out, err = s.succeed(ctx, tx, fresh, h, now)
		return err
	})
	if err != nil {
		s.custody.Drop(ctx, fresh.private)
		return nil, err
	}
	describe(g, out.Version)
	return out, nil
}

// successor is the next version of a key, sealed, and its private key.
type successor struct {
	version *Version
	private *Private
}

// successor makes the version after old.
func (s *Service) successor(ctx context.Context, old *Version, now time.Time) (successor, error) {
	private, err := s.custody.Generate(ctx, old.Spec, !old.HSM.IsZero())
	if err != nil {
		return successor{}, err
	}
	v, err := s.seal(ctx, inputs{vault: old.Vault, name: old.Name, private: private,
		attributes: object.Attributes{Enabled: true, Created: now, Updated: now}})
	if err != nil {
		s.custody.Drop(ctx, private)
	}
	return successor{v, private}, err
}

// succeed stores a successor as the version after the current one, whose operations and
// tags carry over. What it may do is read here, so that no change is lost that
// came while the key was made.
func (s *Service) succeed(ctx context.Context, tx Tx, fresh successor, h object.Head, now time.Time) (*Bundle, error) {
	if err := fresh.private.Keep(ctx, tx); err != nil {
		return nil, err
	}
	old, err := tx.KeyVersion(ctx, h.Vault, h.Name, h.Current)
	if err != nil {
		return nil, err
	}
	if old.Type() != fresh.version.Type() || old.Spec != fresh.version.Spec {
		return nil, changedMeanwhile(h.Name)
	}
	p, err := policyOf(ctx, tx, h)
	if err != nil {
		return nil, err
	}
	v := *fresh.version
	v.Ops, v.Tags = slices.Clone(old.Ops), old.Tags
	if !p.ExpiryTime.IsZero() {
		expires := p.ExpiryTime.After(now)
		v.Attributes.Expires = &expires
	}
	return s.insertCurrent(ctx, tx, v, "rotate", now)
}

// The kinds of the jobs of a key. Each live key has at most one of each; its name
// is the reference.
const (
	RotateJob jobs.Kind = "rotate-key"
	NoticeJob jobs.Kind = "key-notice"
)

// scheduleTx is what schedule needs of one open transaction.
type scheduleTx interface {
	PolicyTx
	jobs.Tx
}

// schedule makes the jobs of a key what its state asks for: in every transaction
// that changes the current version, the policy or the deletion.
func schedule(ctx context.Context, tx scheduleTx, h object.Head, current *Version, now time.Time) error {
	var p *RotationPolicy
	if h.Deletion == nil && !h.Managed {
		var err error
		if p, err = policyOf(ctx, tx, h); err != nil {
			return err
		}
	}
	for kind, due := range map[jobs.Kind]time.Time{RotateJob: p.rotation(current), NoticeJob: p.notice(current, now)} {
		if err := reschedule(ctx, tx, kind, h, due); err != nil {
			return err
		}
	}
	return nil
}

// reschedule replaces a job of a key; the zero time leaves none.
func reschedule(ctx context.Context, tx scheduleTx, kind jobs.Kind, h object.Head, due time.Time) error {
	if err := tx.DeleteJobs(ctx, kind, h.Vault, h.Name.Key()); err != nil || due.IsZero() {
		return err
	}
	return tx.EnqueueJob(ctx, jobs.Job{ID: object.NewRequestID(), Kind: kind, Vault: h.Vault,
		Name: h.Name.Key(), Ref: h.Name.Key(), Due: due})
}

// rotation is when the current version is to be followed; zero: never.
func (p *RotationPolicy) rotation(current *Version) time.Time {
	switch {
	case p == nil:
	case !p.RotateAfterCreate.IsZero():
		return p.RotateAfterCreate.After(current.Attributes.Created)
	case !p.RotateBeforeExpiry.IsZero() && current.Attributes.Expires != nil:
		return p.RotateBeforeExpiry.Before(*current.Attributes.Expires)
	}
	return time.Time{}
}

// notice is when the expiry of the current version is to be announced; zero:
// never, also when it is over.
func (p *RotationPolicy) notice(current *Version, now time.Time) time.Time {
	if p == nil || current.Attributes.Expires == nil || !current.Attributes.Expires.After(now) {
		return time.Time{}
	}
	return p.NotifyBeforeExpiry.Before(*current.Attributes.Expires)
}

// RotateDue does a RotateJob: what Rotate does, once. A job that is no longer due
// goes away.
func (s *Service) RotateDue(ctx context.Context, j jobs.Job) error {
	now := s.now()
	var h object.Head
	var seen *Version
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		h, seen, err = due(ctx, tx, j, now)
		return err
	})
	if err != nil {
		return err
	}
	if seen == nil {
		return s.cfg.DB.Update(ctx, func(tx Tx) error { return tx.CompleteJob(ctx, j) })
	}
	fresh, err := s.successor(ctx, seen, now)
	if err != nil {
		return err
	}
	done, err := s.cfg.Record(h, j.ID)
	if err != nil {
		s.custody.Drop(ctx, fresh.private)
		return fmt.Errorf("recording the rotation of %s: %w", h.Name, err)
	}
	rotated, err := s.rotateIfDue(ctx, j, fresh, now)
	if err != nil {
		s.custody.Drop(ctx, fresh.private)
	}
	done(rotated, err)
	return err
}

// rotateIfDue looks again, in the transaction that completes the job. Whatever
// made the rotation needless since has replaced the job, and the commit fails
// (object.ErrChanged).
func (s *Service) rotateIfDue(ctx context.Context, j jobs.Job, fresh successor, now time.Time) (out *Bundle, err error) {
	err = s.update(ctx, func(tx Tx) error {
		if err := tx.CompleteJob(ctx, j); err != nil {
			return err
		}
		h, current, err := due(ctx, tx, j, now)
		if err == nil && current == nil {
			err = object.ErrChanged
		}
		if err != nil {
			return err
		}
		out, err = s.succeed(ctx, tx, fresh, h, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// due is the current version of the key that a RotateJob is about, nil when it is
// not to be rotated now.
func due(ctx context.Context, tx Tx, j jobs.Job, now time.Time) (object.Head, *Version, error) {
	h, current, p, err := subject(ctx, tx, j)
	if err != nil || current == nil {
		return h, nil, err
	}
	if at := p.rotation(current); at.IsZero() || at.After(now) {
		return h, nil, nil
	}
	return h, current, nil
}

// subject is the key that a job is about, with its policy; nil when there is none
// any more.
func subject(ctx context.Context, tx Tx, j jobs.Job) (h object.Head, current *Version, p *RotationPolicy, err error) {
	n, err := object.ParseName(j.Name)
	if err != nil {
		return h, nil, nil, err
	}
	h, current, err = tx.Key(ctx, j.Vault, n, "")
	if errors.Is(err, object.ErrNotFound) || err == nil && (h.Deletion != nil || h.Managed) {
		return h, nil, nil, nil
	}
	if err != nil {
		return h, nil, nil, err
	}
	p, err = policyOf(ctx, tx, h)
	return h, current, p, err
}

// Announce does a NoticeJob: it has it told that a key is about to expire.
func (s *Service) Announce(ctx context.Context, j jobs.Job) error {
	return s.update(ctx, func(tx Tx) error {
		if err := tx.CompleteJob(ctx, j); err != nil {
			return err
		}
		h, current, _, err := subject(ctx, tx, j)
		if err != nil || current == nil || current.Attributes.Expires == nil {
			return err
		}
		return s.tell(ctx, tx, outbox.KeyNearExpiry, h, current)
	})
}

// tell puts a message about a version into the transaction that makes it true.
func (s *Service) tell(ctx context.Context, tx Tx, t outbox.Topic, h object.Head, v *Version) error {
	of := outbox.Subject{Family: object.Keys, Name: h.Name, Version: v.Version}
	return s.cfg.Outbox.Put(ctx, tx, outbox.OfVersion(t, h.Vault, of, v.Attributes, s.now()))
}
