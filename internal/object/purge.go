package object

import (
	"context"
	"fmt"
)

// purgeBatch is how many due names PurgeDue looks up at a time.
const purgeBatch = 50

// PurgeDue purges what due answers, until there is no more; due takes the most it
// may answer. record puts each on record before it goes, and what it returns is
// told what came of it; its error keeps the object for the next time.
func PurgeDue(ctx context.Context, due func(limit int) ([]Head, error), record func(Head) (done func(error), err error), purge func(Head) error) error {
	for ctx.Err() == nil {
		heads, err := due(purgeBatch)
		if err != nil {
			return err
		}
		for _, h := range heads {
			done, err := record(h)
			if err != nil {
				return fmt.Errorf("recording the purge of %s: %w", h.Name, err)
			}
			err = purge(h)
			done(err)
			if err != nil {
				return err
			}
		}
		if len(heads) < purgeBatch {
			return nil
		}
	}
	return ctx.Err()
}
