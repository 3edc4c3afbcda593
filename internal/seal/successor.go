package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"coffer/internal/object"
)

// The end of a data key:
//
//	Replace -> [tx: key replaced, successor stored]    new boxes are the successor's, on every replica within Limits.Reading
//	Retire  -> each stored box is sealed again
//	        -> [tx: key closed]                        a box of it that is still under way is refused (ErrClosed)
//	        -> what came meanwhile is sealed again
//	        -> [tx: no box of it is stored; key gone]  unless it is kept
//
// All of it is in the row of the key, so that after a crash at any line Retire goes on where
// it was, in any process.

// DataKeys lists all data keys, by scope, oldest first.
func (s *Sealer) DataKeys(ctx context.Context) ([]DataKey, error) { return s.rows(ctx, "") }

// Due tells whether a key has sealed so much that it is to be replaced.
func (s *Sealer) Due(k DataKey) bool { return k.Replaced.IsZero() && k.Sealed >= s.Limits.Soon }

// Replace makes the successor of a current key and gives its id; object.ErrChanged when
// the key is not current any more, or gone. After a crash before the commit nothing has
// changed, after it [Sealer.Retire] has something to do.
func (s *Sealer) Replace(ctx context.Context, old DataKey) (successor string, err error) {
	next := s.generate(old.Scope)
	err = s.insert(ctx, next, func(tx Tx) error {
		err := tx.ReplaceDataKey(ctx, old.Scope, old.ID, object.Second(s.now()))
		if errors.Is(err, object.ErrChanged) {
			err = errReplaced // insert tries again after the other one
		}
		return err
	})
	if errors.Is(err, errReplaced) {
		return "", object.ErrChanged
	}
	if err != nil {
		return "", fmt.Errorf("replacing the data key of %s: %w", old.Scope, err)
	}
	s.ask(old.Scope)
	if next.Scope == Rows {
		return next.ID, s.refreshRowKeys(ctx, true)
	}
	_, err = s.remember(next.Scope, next.id, next.raw)
	return next.ID, err
}

var errReplaced = errors.New("seal: the key was replaced by another one")

// ask has the next Seal ask which key is current.
func (s *Sealer) ask(scope string) {
	c := s.currentOf(scope)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = time.Time{}
}

// Release lets go the replaced keys that are kept: backups of objects from their time do
// not open any more once Retire has destroyed them.
func (s *Sealer) Release(ctx context.Context) error {
	return s.db.Update(ctx, func(tx Tx) error { return tx.ReleaseDataKeys(ctx) })
}

// Retire does what is to be done about a replaced key now. next is when to ask again;
// zero: there is nothing left to do. destroying is called before the key is destroyed, and
// what it returns after it. A box that does not open keeps the key from being
// closed and destroyed, and is named in the error.
func (s *Sealer) Retire(ctx context.Context, k DataKey, destroying func() (done func(error), err error)) (next time.Time, err error) {
	if k.Replaced.IsZero() {
		return next, nil
	}
	if err := s.sealAgain(ctx, k); err != nil {
		return next, err
	}
	if k.Closed.IsZero() {
		if due := k.Replaced.Add(s.Limits.Grace); s.now().Before(due) {
			return due, nil
		}
		k.Closed = object.Second(s.now())
		if err := s.db.Update(ctx, func(tx Tx) error { return tx.CloseDataKey(ctx, k.Scope, k.ID, k.Closed) }); err != nil {
			return next, fmt.Errorf("closing data key %s of %s: %w", k.ID, k.Scope, err)
		}
		if err := s.sealAgain(ctx, k); err != nil {
			return next, err
		}
	}
	if k.Kept {
		return next, nil
	}
	if due := s.opensUntil(k); s.now().Before(due) {
		return due, nil
	}
	return next, s.destroy(ctx, k, destroying)
}

// opensUntil is how long a closed key is there for those who have read a box before it
// was sealed again, or hold a paging token.
func (s *Sealer) opensUntil(k DataKey) time.Time {
	if endings[k.Scope] == aged {
		return k.Replaced.Add(s.Limits.Continuation)
	}
	return k.Closed.Add(s.Limits.Grace)
}

// destroy removes the key for good.
func (s *Sealer) destroy(ctx context.Context, k DataKey, destroying func() (func(error), error)) error {
	done, err := destroying()
	if err != nil {
		return err
	}
	err = s.db.Update(ctx, func(tx Tx) error { return tx.DestroyDataKey(ctx, k.Scope, k.ID) })
	done(err)
	if err != nil {
		return fmt.Errorf("destroying data key %s of %s: %w", k.ID, k.Scope, err)
	}
	return s.ForgetDestroyed(ctx)
}

const (
	// sealedBatch is how many boxes are sealed again in one transaction.
	sealedBatch = 100
	// namedBoxes is how many boxes that do not open an error names.
	namedBoxes = 5
)

// sealAgain seals every stored box of a key with its successor. It walks until a walk
// finds nothing to do: while the key is not closed, others may store boxes of it.
func (s *Sealer) sealAgain(ctx context.Context, k DataKey) error {
	s.ask(k.Scope) // another replica may have made the successor
	if k.Scope == Rows {
		return s.tagAgain(ctx, k)
	}
	for {
		w := walk{Sealer: s, key: k}
		if err := w.run(ctx); err != nil {
			return fmt.Errorf("sealing again what data key %s of %s has sealed: %w", k.ID, k.Scope, err)
		}
		if w.moved == 0 {
			return w.unopened()
		}
	}
}

// tagAgain makes every tag of a key anew with its successor, which every process knows
// before the key is closed (Limits.Grace).
func (s *Sealer) tagAgain(ctx context.Context, k DataKey) error {
	if err := s.refreshRowKeys(ctx, true); err != nil {
		return err
	}
	for moved := true; moved; { // while the key is not closed, others may tag with it
		moved = false
		for after := (Row{}); ; {
			var batch []Row
			err := s.db.View(ctx, func(tx Tx) (err error) {
				batch, err = tx.TaggedUnder(ctx, k.ID, after, sealedBatch)
				return err
			})
			if err == nil && len(batch) > 0 {
				err = s.db.Update(ctx, func(tx Tx) error { return tx.TagAgain(ctx, batch) })
			}
			if err != nil {
				return fmt.Errorf("authenticating again the rows that key %s has tagged: %w", k.ID, err)
			}
			if len(batch) == 0 {
				break
			}
			after, moved = batch[len(batch)-1], true
		}
	}
	return nil
}

// walk is one way through all the boxes of a key.
type walk struct {
	*Sealer
	key    DataKey
	moved  int     // boxes sealed again, or changed by others meanwhile
	broken []Place // of boxes that do not open, the first namedBoxes
	count  int     // of those
}

func (w *walk) run(ctx context.Context) error {
	for after := (Place{}); ; {
		var batch []Stored
		err := w.db.View(ctx, func(tx Tx) (err error) {
			batch, err = tx.SealedUnder(ctx, w.key.Scope, w.key.ID, after, sealedBatch)
			return err
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		after = batch[len(batch)-1].Place
		if err := w.replace(ctx, batch); err != nil {
			return err
		}
	}
}

// replace seals a batch again. A crash before the commit leaves its boxes as they were,
// after it all of them are sealed by the successor.
func (w *walk) replace(ctx context.Context, batch []Stored) error {
	by := make([]Box, len(batch))
	for i, b := range batch {
		plain, err := w.Open(ctx, b.Place, b.Box)
		if errors.Is(err, ErrBox) {
			if w.count++; w.count <= namedBoxes {
				w.broken = append(w.broken, b.Place)
			}
			continue
		}
		if err != nil {
			return err
		}
		by[i], err = w.Seal(ctx, b.Place, plain)
		clear(plain.Reveal())
		if err != nil {
			return err
		}
		w.moved++
	}
	if !slices.ContainsFunc(by, func(b Box) bool { return b != nil }) {
		return nil
	}
	return w.db.Update(ctx, func(tx Tx) error {
		for i, b := range by {
			if b == nil {
				continue
			}
			if err := tx.ReplaceBox(ctx, batch[i], b); err != nil && !errors.Is(err, object.ErrChanged) {
				return err
			}
		}
		return nil
	})
}

// unopened reports the boxes that do not open.
func (w *walk) unopened() error {
	if w.count == 0 {
		return nil
	}
	text := ""
	for _, p := range w.broken {
		text += fmt.Sprintf("; %s %s of %s %s", p.Kind, p.Column, p.Name, p.Version)
	}
	return fmt.Errorf("data key %s of %s is kept: %d of its boxes do not open, somebody has changed their rows%s",
		w.key.ID, w.key.Scope, w.count, text)
}

// Progress is how far the boxes of a replaced key are.
type Progress struct {
	Left  int64 // sealed by the key
	Total int64 // of the scope
}

// Progress counts what is stored of a key's boxes.
func (s *Sealer) Progress(ctx context.Context, k DataKey) (p Progress, err error) {
	err = s.db.View(ctx, func(tx Tx) error {
		if p.Left, err = tx.CountSealed(ctx, k.Scope, k.ID); err != nil {
			return err
		}
		p.Total, err = tx.CountSealed(ctx, k.Scope, "")
		return err
	})
	return p, err
}
