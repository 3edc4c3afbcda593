package pipeline

import (
	"errors"
	"net/netip"
	"runtime"
	"time"

	"coffer/internal/budget"
	"coffer/internal/compute"
	"coffer/internal/fault"
	"coffer/internal/rest"
	"coffer/internal/throttle"
)

// Budget is the work of requests that is in flight, of all doors that share it.
type Budget struct {
	bodies          *budget.Pool[holder]       // bytes
	slots           *budget.Pool[holder]       // of reading what takes much of a processor
	keys            *budget.Pool[holder]       // that are being generated, or wait to be
	unauthenticated *budget.Pool[netip.Prefix] // bytes of bodies that tell who calls
}

// holder is who work is counted for: a caller, whatever address it comes from. The
// address counts for who has no id.
type holder struct {
	tenant, id string
	source     netip.Prefix
}

// The size of the budget. The bodies of one caller are four of the largest backups,
// or 64 of the largest others; a body that is decoded takes its size a few times
// over. A slot waits for the database too, hence more of them than processors.
const (
	allBodies     = 256 << 20
	bodiesOfOne   = 64 << 20
	allUnknown    = 64 << 20
	unknownOfOne  = 8 << 20
	slotsOfOne    = 64
	slotsEachCore = 64
	slotWait      = 5 * time.Second

	// A key in software takes up to seconds of a worker. The generator's own queue is
	// as long as all of these, so that it is the callers' shares that bound it.
	allKeys   = 256
	keysOfOne = 128
)

// NewBudget makes a budget of the default size.
func NewBudget() *Budget {
	all := max(2*slotsOfOne, slotsEachCore*runtime.GOMAXPROCS(0))
	return &Budget{
		budget.NewPool[holder](allBodies, bodiesOfOne), budget.NewPool[holder](int64(all), slotsOfOne),
		budget.NewPool[holder](allKeys, keysOfOne),
		budget.NewPool[netip.Prefix](allUnknown, unknownOfOne),
	}
}

// Unauthenticated takes room for a body of n bytes whose sender nobody knows yet, for
// the source address; give returns it. Such bodies have a budget apart, so that they
// cost those who are known nothing. The error is a *fault.Error.
func (b *Budget) Unauthenticated(remote string, n int64) (give func(), err error) {
	source := throttle.SourceOf(remote)
	if err := b.unauthenticated.Take(source, n); err != nil {
		return nil, overBudget(err, "bodies")
	}
	return func() { b.unauthenticated.Give(source, n) }, nil
}

// holdings are what a request has of the budget, until it is answered.
type holdings struct {
	bytes, slots, keys int64
}

func (c *call) holder() holder {
	caller := c.attempt.Caller()
	if id := caller.ID(); id != "" {
		return holder{tenant: caller.TenantID, id: id}
	}
	return holder{source: throttle.SourceOf(c.r.RemoteAddr)}
}

// readBody reads the body within its limit and the budget.
func (c *call) readBody() ([]byte, error) {
	limit := c.admitted.endpoint.maxBody
	if limit == 0 {
		limit = c.p.cfg.MaxBody
	}
	return rest.ReadBody(c.w, c.r, limit, c.takeBytes)
}

// smallBody takes less to parse than to hand to a worker, in bytes.
const smallBody = 64 << 10

// parseBody reads the JSON of a body.
func (c *call) parseBody(b []byte) (*rest.Input, error) {
	if len(b) <= smallBody {
		return rest.ParseInput(b)
	}
	return compute.Do(c.r.Context(), c.p.cfg.Workers, c.attempt.Caller().ID(), func() (*rest.Input, error) { return rest.ParseInput(b) })
}

func (c *call) takeBytes(n int64) error {
	if err := c.p.cfg.Budget.bodies.Take(c.holder(), n); err != nil {
		return overBudget(err, "bodies")
	}
	c.holds.bytes += n
	return nil
}

// takeSlot waits for a slot, if the endpoint needs one.
func (c *call) takeSlot() error {
	if !c.admitted.endpoint.heavy {
		return nil
	}
	if err := c.p.cfg.Budget.slots.Wait(c.r.Context(), c.holder(), 1, slotWait); err != nil {
		return overBudget(err, "costly requests")
	}
	c.holds.slots++
	return nil
}

// takeKey takes the place of a key to be generated, if the endpoint makes one: one
// caller's keys must not take every place.
func (c *call) takeKey() error {
	if !c.admitted.endpoint.makesKey {
		return nil
	}
	if err := c.p.cfg.Budget.keys.Take(c.holder(), 1); err != nil {
		return overBudget(err, "keys")
	}
	c.holds.keys++
	return nil
}

// giveBack returns what the request holds of the budget.
func (c *call) giveBack() {
	if c.holds == (holdings{}) {
		return
	}
	b, h := c.p.cfg.Budget, c.holder()
	b.bodies.Give(h, c.holds.bytes)
	b.slots.Give(h, c.holds.slots)
	b.keys.Give(h, c.holds.keys)
	c.holds = holdings{}
}

// overBudget tells the caller whose doing it is.
func overBudget(err error, what string) error {
	switch {
	case errors.Is(err, budget.ErrShare):
		return &fault.Error{Kind: fault.Busy, Msg: "Request was not processed because too many " + what + " of one caller are in flight.", Err: err}
	case errors.Is(err, budget.ErrTotal):
		return &fault.Error{Kind: fault.Unavailable, Msg: "Request was not processed because too many " + what + " are in flight.", Err: err}
	}
	return err
}
