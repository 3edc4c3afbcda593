package key

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
)

// RotationPolicy says when a key gets a new version by itself, and when its
// expiry is announced (contract keys.md, 9.9). It belongs to the name.
type RotationPolicy struct {
	RotateAfterCreate  Duration // at most one of the two is set
	RotateBeforeExpiry Duration
	NotifyBeforeExpiry Duration  // always set
	ExpiryTime         Duration  // how long a rotated version is valid; zero: for ever
	Created, Updated   time.Time // zero: nobody has set it, this is the default
}

// defaultNotice is when the expiry of a key is announced that has no policy, or
// one without a notice.
var defaultNotice = func() Duration {
	d, err := ParseDuration("P30D")
	if err != nil {
		panic(err)
	}
	return d
}()

// The types of a lifetime action.
const (
	ActionRotate = "Rotate"
	ActionNotify = "Notify"
)

// PolicyParams is the body of a policy. nil means absent.
type PolicyParams struct {
	Actions []ActionParams
	Expiry  *string
}

// ActionParams is one lifetime action as the caller wrote it.
type ActionParams struct {
	Type                      string
	AfterCreate, BeforeExpiry *string
}

// Bounds of a policy (contract keys.md, 9.9).
const (
	minExpiry  = 28 * day
	minTrigger = 7 * day
)

// NewRotationPolicy checks a policy. Its errors name the member.
func NewRotationPolicy(p PolicyParams, now time.Time) (*RotationPolicy, error) {
	out := &RotationPolicy{Created: now, Updated: now}
	var err error
	if p.Expiry != nil {
		const field = "attributes.expiryTime"
		if out.ExpiryTime, err = parseSpan(field, *p.Expiry, minExpiry); err != nil {
			return nil, err
		}
	}
	if len(p.Actions) > 2 {
		return nil, fault.InvalidField("lifetimeActions", "There are at most two, one of each type.")
	}
	rotates := false
	for i, a := range p.Actions {
		field := fmt.Sprintf("lifetimeActions[%d]", i)
		trigger, member := a.AfterCreate, field+".trigger.timeAfterCreate"
		if trigger == nil {
			trigger, member = a.BeforeExpiry, field+".trigger.timeBeforeExpiry"
		}
		if trigger == nil || a.AfterCreate != nil && a.BeforeExpiry != nil {
			return nil, fault.InvalidField(field+".trigger", "It has either timeAfterCreate or timeBeforeExpiry.")
		}
		span, err := parseSpan(member, *trigger, minTrigger)
		if err != nil {
			return nil, err
		}
		twice := fault.InvalidField("lifetimeActions", "There is at most one action of each type.")
		switch {
		case strings.EqualFold(a.Type, ActionRotate):
			if rotates {
				return nil, twice
			}
			rotates = true
			if err := out.setRotation(member, span, a.AfterCreate != nil); err != nil {
				return nil, err
			}
		case strings.EqualFold(a.Type, ActionNotify):
			if !out.NotifyBeforeExpiry.IsZero() {
				return nil, twice
			}
			if a.AfterCreate != nil {
				return nil, fault.InvalidField(member, "Notify takes timeBeforeExpiry only.")
			}
			out.NotifyBeforeExpiry = span
		default:
			return nil, fault.InvalidField(field+".action.type", "It is Rotate or Notify.")
		}
	}
	if out.NotifyBeforeExpiry.IsZero() {
		out.NotifyBeforeExpiry = defaultNotice
	}
	return out, nil
}

func parseSpan(field, text string, least time.Duration) (Duration, error) {
	d, err := ParseDuration(text)
	if err != nil {
		return d, fault.InvalidField(field, "A duration is written like P90D, P3M or P1Y10D, and has at most 100 years.")
	}
	if d.about() < least {
		return d, fault.InvalidField(field, fmt.Sprintf("It is at least P%dD.", least/day))
	}
	return d, nil
}

func (p *RotationPolicy) setRotation(field string, span Duration, afterCreate bool) error {
	if p.ExpiryTime.IsZero() && !afterCreate {
		return fault.InvalidField(field, "Rotation before the expiry needs attributes.expiryTime.")
	}
	if !p.ExpiryTime.IsZero() && span.about() > p.ExpiryTime.about()-minTrigger {
		return fault.InvalidField(field, fmt.Sprintf("It is at least P%dD shorter than expiryTime.", minTrigger/day))
	}
	if afterCreate {
		p.RotateAfterCreate = span
	} else {
		p.RotateBeforeExpiry = span
	}
	return nil
}

// RotationPolicy reads the policy of a key, or the default of one that has none.
func (s *Service) RotationPolicy(ctx context.Context, g access.Grant) (*RotationPolicy, object.Head, error) {
	g.Must(access.KeyRotationPolicyGet)
	var p *RotationPolicy
	var h object.Head
	err := s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		if h, err = heads(tx).Live(ctx, g.Vault().ID, g.Name(), ""); err != nil {
			return err
		}
		p, err = policyOf(ctx, tx, h)
		return err
	})
	return p, h, err
}

// policyOf is the policy in force.
func policyOf(ctx context.Context, tx PolicyTx, h object.Head) (*RotationPolicy, error) {
	p, err := tx.RotationPolicy(ctx, h.Vault, h.Name)
	if errors.Is(err, object.ErrNotFound) {
		return &RotationPolicy{NotifyBeforeExpiry: defaultNotice}, nil
	}
	return p, err
}

// SetRotationPolicy replaces the policy of a key.
func (s *Service) SetRotationPolicy(ctx context.Context, g access.Grant, params PolicyParams) (*RotationPolicy, object.Head, error) {
	g.Must(access.KeyRotationPolicySet)
	now := s.now()
	p, err := NewRotationPolicy(params, now)
	if err != nil {
		return nil, object.Head{}, err
	}
	var h object.Head
	err = s.update(ctx, func(tx Tx) error {
		if h, err = heads(tx).Own(ctx, g, "", "setrotationpolicy"); err != nil {
			return err
		}
		old, err := policyOf(ctx, tx, h)
		if err != nil {
			return err
		}
		p.Created = now
		if !old.Created.IsZero() {
			p.Created = old.Created
		}
		if err := tx.PutRotationPolicy(ctx, h.Vault, h.Name, p); err != nil {
			return err
		}
		v, err := tx.KeyVersion(ctx, h.Vault, h.Name, h.Current)
		if err != nil {
			return err
		}
		return schedule(ctx, tx, h, v, now)
	})
	if err != nil {
		return nil, h, err
	}
	return p, h, nil
}

// StoredPolicy is a policy from the texts of its durations, as they were checked
// when it was set; "" for none.
func StoredPolicy(afterCreate, beforeExpiry, notice, expiry string, created, updated time.Time) (*RotationPolicy, error) {
	p := &RotationPolicy{Created: created, Updated: updated}
	for _, d := range []struct {
		to   *Duration
		text string
	}{{&p.RotateAfterCreate, afterCreate}, {&p.RotateBeforeExpiry, beforeExpiry}, {&p.NotifyBeforeExpiry, notice}, {&p.ExpiryTime, expiry}} {
		if d.text == "" {
			continue
		}
		var err error
		if *d.to, err = ParseDuration(d.text); err != nil {
			return nil, fmt.Errorf("a stored rotation policy: %w", err)
		}
	}
	return p, nil
}
