package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"coffer/internal/object"
)

// Rewrap wraps every data key under the keeper's current root key, and stores them in
// one transaction, if they are still those that were wrapped. A crash before the
// commit leaves every key as it was, after it every key rewrapped: the keeper must
// hold both root keys until it returns. It returns how many keys were rewrapped.
func (s *Sealer) Rewrap(ctx context.Context) (n int, err error) {
	done := map[rewrapped]DataKey{}
	err = again(func() error {
		rows, err := s.rows(ctx, "")
		if err == nil && len(rows) == 0 {
			// create knows by the data keys that the root key was replaced.
			if _, err = s.create(ctx, Installation); err == nil || errors.Is(err, object.ErrExists) {
				rows, err = s.rows(ctx, "")
			}
		}
		if err == nil {
			err = s.rewrap(ctx, rows, done)
		}
		if err != nil {
			return err
		}
		n = len(rows)
		return s.db.Update(ctx, func(tx Tx) error { return storeRewrapped(ctx, tx, rows, done) })
	})
	return n, err
}

// rewrapped names a data key under one root key.
type rewrapped struct{ scope, id, root string }

func (k DataKey) underRoot() rewrapped { return rewrapped{k.Scope, k.ID, k.RootID} }

// rewrap wraps those of the keys that are not done yet.
func (s *Sealer) rewrap(ctx context.Context, rows []DataKey, done map[rewrapped]DataKey) error {
	for _, row := range rows {
		if _, ok := done[row.underRoot()]; ok {
			continue
		}
		raw, err := s.unwrap(ctx, row)
		if err != nil {
			return err
		}
		next := row
		next.RootID, next.Wrapped, err = s.keeper.Wrap(ctx, row.Scope, row.ID, raw)
		clear(raw.Reveal())
		if err != nil {
			return fmt.Errorf("wrapping data key %s of %s: %w", row.ID, row.Scope, err)
		}
		done[row.underRoot()] = next
	}
	return nil
}

// storeRewrapped stores what was made of rows; object.ErrChanged when the data keys
// are others by now.
func storeRewrapped(ctx context.Context, tx Tx, rows []DataKey, done map[rewrapped]DataKey) error {
	stored, err := tx.DataKeys(ctx, "")
	if err != nil {
		return err
	}
	if !slices.EqualFunc(stored, rows, func(a, b DataKey) bool { return a.underRoot() == b.underRoot() }) {
		return object.ErrChanged
	}
	for _, row := range rows {
		if err := tx.RewrapDataKey(ctx, done[row.underRoot()]); err != nil {
			return err
		}
	}
	return nil
}
