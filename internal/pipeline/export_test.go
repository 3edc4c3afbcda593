package pipeline

import "coffer/internal/budget"

// NewBudgetOf makes a budget of any size.
func NewBudgetOf(bodies, bodiesOfOne, slots, slotsOfOne int64) *Budget {
	return &Budget{budget.NewPool[holder](bodies, bodiesOfOne), budget.NewPool[holder](slots, slotsOfOne)}
}
