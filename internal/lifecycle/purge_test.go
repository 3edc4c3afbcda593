package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// deleted is a database of names that are due for purge, the longest due first.
type deleted struct {
	names  []object.Name
	broken map[object.Name]bool
	asked  int
}

func (d *deleted) View(_ context.Context, fn func(*deleted) error) error   { return fn(d) }
func (d *deleted) Update(_ context.Context, fn func(*deleted) error) error { return fn(d) }

func (d *deleted) head(n object.Name) object.Head {
	return object.Head{Name: n, Current: "1", Deletion: &object.Deletion{}}
}

func (d *deleted) rows() lifecycle.Rows[int] {
	return lifecycle.Rows[int]{
		Heads: lifecycle.Heads{Read: func(_ context.Context, _ object.VaultID, n object.Name) (object.Head, error) {
			return d.head(n), nil
		}},
		Due: func(_ context.Context, _ time.Time, limit int) (due []object.Head, err error) {
			if d.asked++; d.asked > 100 {
				return nil, errors.New("asked for ever")
			}
			for _, n := range d.names[:min(limit, len(d.names))] {
				due = append(due, d.head(n))
			}
			return due, nil
		},
		Purge: func(_ context.Context, _ object.VaultID, n object.Name) error {
			if d.broken[n] {
				return fmt.Errorf("the row of %s is damaged", n)
			}
			for i, m := range d.names {
				if m == n {
					d.names = append(d.names[:i:i], d.names[i+1:]...)
					return nil
				}
			}
			return errors.New("purged twice")
		},
	}
}

// One name that cannot be purged does not hold up those behind it, in whatever vault.
func TestADamagedNameDoesNotHoldUpPurges(t *testing.T) {
	for _, tt := range []struct{ names, broken, left int }{
		{120, 0, 0}, {120, 1, 1}, {120, 3, 3}, {49, 49, 49}, {50, 50, 50}, {200, 60, 200 - 40},
	} {
		d := &deleted{broken: map[object.Name]bool{}}
		for i := range tt.names {
			n := object.MustName(fmt.Sprintf("n%d", i))
			d.names = append(d.names, n)
			// One in two of the first are broken, until there are enough.
			if len(d.broken) < tt.broken && (i%2 == 0 || tt.broken*2 > tt.names) {
				d.broken[n] = true
			}
		}
		if tt.broken == 60 { // more than a batch: the rest waits for the next time
			d.broken = map[object.Name]bool{}
			for i := range tt.broken {
				d.broken[d.names[i]] = true
			}
			tt.left = tt.names
		}
		outcomes := map[bool]int{}
		s := lifecycle.Names[*deleted, int]{
			DB: d, Rows: func(d *deleted) lifecycle.Rows[int] { return d.rows() }, Now: time.Now, Wake: func() {},
		}
		err := s.PurgeDue(t.Context(), func(object.Head) (func(error), error) {
			return func(err error) { outcomes[err == nil]++ }, nil
		})
		if len(d.names) != tt.left || (err != nil) != (tt.broken > 0) || outcomes[true] != tt.names-tt.left || outcomes[false] > min(tt.broken, 60) {
			t.Errorf("%d names, %d broken: %d left, outcomes %v, %v", tt.names, tt.broken, len(d.names), outcomes, err)
		}
		if err != nil && strings.Count(err.Error(), "damaged") != outcomes[false] {
			t.Errorf("%d failures are told as %v", outcomes[false], err)
		}
	}
}
