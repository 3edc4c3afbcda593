package pipeline

import (
	"net/netip"

	"coffer/internal/budget"
)

// NewBudgetOf makes a budget of any size. Bodies of unauthenticated requests have one
// as large as all others; keys are as many as slots.
func NewBudgetOf(bodies, bodiesOfOne, slots, slotsOfOne int64) *Budget {
	return &Budget{budget.NewPool[holder](bodies, bodiesOfOne), budget.NewPool[holder](slots, slotsOfOne), budget.NewPool[holder](slots, slotsOfOne), budget.NewPool[netip.Prefix](bodies, bodiesOfOne)}
}
