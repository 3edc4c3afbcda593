package budget_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/budget"
)

func TestOneHolderLeavesRoomForOthers(t *testing.T) {
	p := budget.NewPool[string](10, 6)
	for _, step := range []struct {
		holder string
		n      int64
		want   error
	}{
		{"ann", 7, budget.ErrShare}, {"ann", 6, nil}, {"ann", 1, budget.ErrShare},
		{"ben", 5, budget.ErrTotal}, {"ben", 4, nil}, {"carl", 1, budget.ErrTotal},
	} {
		if err := p.Take(step.holder, step.n); !errors.Is(err, step.want) {
			t.Errorf("%s takes %d: %v, want %v", step.holder, step.n, err, step.want)
		}
	}
	p.Give("ann", 6)
	if err := p.Take("carl", 6); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := budget.NewPool[string](2, 1)
		take := func(holder string) {
			if err := p.Take(holder, 1); err != nil {
				t.Fatal(err)
			}
		}
		take("ann")
		began := time.Now()
		if err := p.Wait(t.Context(), "ann", 1, time.Second); !errors.Is(err, budget.ErrShare) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := p.Wait(t.Context(), "ann", 2, time.Hour); !errors.Is(err, budget.ErrShare) || time.Since(began) != time.Second {
			t.Errorf("what can never be had is waited for: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Wait(ctx, "ann", 1, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}

		// Ann waits for herself; that does not hold Ben up.
		got := make(chan error)
		go func() { got <- p.Wait(t.Context(), "ann", 1, time.Hour) }()
		synctest.Wait()
		take("ben")
		p.Give("ben", 1)
		select {
		case err := <-got:
			t.Fatalf("Ann has more than her share: %v", err)
		default:
		}
		p.Give("ann", 1)
		if err := <-got; err != nil {
			t.Error(err)
		}
		take("ben")
		if err := p.Take("carl", 1); !errors.Is(err, budget.ErrTotal) {
			t.Errorf("what was waited for is not counted: %v", err)
		}
		p.Give("ann", 1)
		p.Give("ben", 1)
		take("carl")
	})
}
