package pipeline

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/compute"
	"coffer/internal/object"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// Endpoint is one operation of a door. Only the functions of this package make one,
// so that all go the same way.
type Endpoint struct {
	action   access.Action
	body     bool // a JSON body is read
	heavy    bool
	makesKey bool
	maxBody  int64 // bytes; 0: that of the door
	run      func(*call, access.Target) (rest.Reply, error)
}

// Route is one path of a door.
type Route = rest.Route[Endpoint]

// Method is one method of a path.
type Method = rest.Method[Endpoint]

// NewRoute makes a route out of its pattern.
func NewRoute(pattern string, methods ...Method) Route { return rest.NewRoute(pattern, methods...) }

// Rule is an operation of the rules: P is what it is given beside the grant.
type Rule[P, R any] func(context.Context, access.Grant, P) (R, error)

// None is no parameter, or no result.
type None struct{}

// Bare makes the endpoint of a rule that needs nothing but its grant. A body is left
// unread.
func Bare[R any](a access.Action, rule func(context.Context, access.Grant) (R, error), render func(Request, R) rest.Reply) Endpoint {
	return WithoutBody(a, func(Request) None { return None{} },
		func(ctx context.Context, g access.Grant, _ None) (R, error) { return rule(ctx, g) }, render)
}

// WithoutBody makes the endpoint of a rule whose parameter is in the path or query. A
// body is left unread.
func WithoutBody[P, R any](a access.Action, parse func(Request) P, rule Rule[P, R], render func(Request, R) rest.Reply) Endpoint {
	return Endpoint{action: a, run: func(c *call, target access.Target) (rest.Reply, error) {
		if err := c.allow(target); err != nil {
			return rest.Reply{}, err
		}
		if c.r.ContentLength > c.p.cfg.MaxBody {
			return rest.Reply{}, rest.TooLarge()
		}
		return apply(c, parse(Request{c}), rule, render)
	}}
}

// WithBody makes the endpoint of a rule whose parameter is in the body. Everything
// that is wrong with it is answered before the rule runs.
func WithBody[P, R any](a access.Action, parse func(Request, *rest.Input) P, rule Rule[P, R], render func(Request, R) rest.Reply) Endpoint {
	return Endpoint{action: a, body: true, run: func(c *call, target access.Target) (rest.Reply, error) {
		if err := c.allow(target); err != nil {
			return rest.Reply{}, err
		}
		body, err := c.readBody()
		if err != nil {
			return rest.Reply{}, err
		}
		in, err := c.parseBody(body)
		if err != nil {
			return rest.Reply{}, err
		}
		params := parse(Request{c}, in)
		if err := in.Check(); err != nil {
			return rest.Reply{}, err
		}
		if err := c.takeSlot(); err != nil {
			return rest.Reply{}, err
		}
		return apply(c, params, rule, render)
	}}
}

// NamedInBody makes the endpoint of a rule whose object is named by the body: open
// finds it there before the gate is asked. A body that names none is refused only to
// those who may act on the vault as a whole, for 403 comes before 400.
func NamedInBody[P interface{ Name() object.Name }, R any](a access.Action, parse func(*rest.Input) string,
	open func(context.Context, *vault.Vault, string) (P, error), rule Rule[P, R], render func(Request, R) rest.Reply) Endpoint {
	find := func(c *call) (found P, err error) {
		body, err := c.readBody()
		if err != nil {
			return found, err
		}
		if err := c.takeSlot(); err != nil {
			return found, err
		}
		ctx, v := c.r.Context(), c.admitted.vault
		return compute.Do(ctx, c.p.cfg.Workers, c.attempt.Caller().ID(), func() (found P, err error) {
			in, err := rest.ParseInput(body)
			if err != nil {
				return found, err
			}
			text := parse(in)
			if err := in.Check(); err != nil {
				return found, err
			}
			return open(ctx, v, text)
		})
	}
	return Endpoint{action: a, body: true, run: func(c *call, target access.Target) (rest.Reply, error) {
		// Whoever has no right on the vault or anything in it is refused whatever the
		// body names: it is not read.
		if c.p.cfg.Gate.Weigh(c.r.Context(), c.attempt); c.attempt.Powerless() {
			if refused := c.allow(target); refused != nil {
				return rest.Reply{}, refused
			}
			return rest.Reply{}, rest.Unavailable("The permissions have just changed.", nil)
		}
		params, err := find(c)
		if err == nil {
			target.Name = params.Name()
		}
		if refused := c.allow(target); refused != nil {
			return rest.Reply{}, refused
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return apply(c, params, rule, render)
	}}
}

func apply[P, R any](c *call, params P, rule Rule[P, R], render func(Request, R) rest.Reply) (rest.Reply, error) {
	if err := c.takeKey(); err != nil {
		return rest.Reply{}, err
	}
	result, err := rule(c.r.Context(), c.admitted.grant, params)
	if err != nil {
		return rest.Reply{}, err
	}
	return render(Request{c}, result), nil
}

// Heavy is the endpoint whose body takes much of a processor to read: its rule runs
// in one of few slots.
func (e Endpoint) Heavy() Endpoint {
	e.heavy = true
	return e
}

// MaxBody is the endpoint with a limit of its own on the body, in bytes.
func (e Endpoint) MaxBody(limit int64) Endpoint {
	e.maxBody = limit
	return e
}

// ReadsBody tells whether the operation has a body.
func (e Endpoint) ReadsBody() bool { return e.body }

// MakesKey is the endpoint whose rule may generate a key pair.
func (e Endpoint) MakesKey() Endpoint {
	e.makesKey = true
	return e
}

// IsKeyMaker tells whether the rule may generate a key pair.
func (e Endpoint) IsKeyMaker() bool { return e.makesKey }

// IsHeavy tells whether the operation needs a slot.
func (e Endpoint) IsHeavy() bool { return e.heavy }
