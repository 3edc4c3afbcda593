package keyvault

import (
	"context"
	"net/http"
	"net/netip"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// call is one request on its way; each step of the order of checks fills in what
// it has found.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context

	attempt *access.Attempt // with the record that tells of it

	address   address
	audiences []string   // what a token may be meant for
	client    netip.Addr // zero when it cannot be read
	clientIP  string     // the same as text, "" for zero
	vault     *vault.Vault
	recorded  bool // the audit log hears of this request
	caller    access.Caller
	verb      string // the method, after an override
	route     *route // nil: none
	query     query
	version   apiVersion
	name      object.Name    // certificate, key, secret or issuer; zero if the route has none
	pinned    object.Version // the version in the path; "" for the current one
	stray     string         // a version in the path that is none, so that nothing has it
	backup    opened         // of a restore
	grant     access.Grant

	policyGiven bool // the body has a policy, which is on record by itself
}

// reply is what an endpoint answers; a nil body is an answer without one.
type reply struct {
	status     int
	body       any
	text       []byte // a body that is encoded already; it is not changed
	value      []byte // UTF-8, of a member "value" before those of body, an object; nil: none
	location   string
	retryAfter int  // seconds; 0 for none
	secret     bool // the body is wiped from memory after it was written
}

// endpoint is one operation of the contract.
type endpoint struct {
	action access.Action
	body   bool // a JSON body is read
	// target finds the name in the body, where the path has none; nil: the path.
	target func(c *call, in *input) error
	handle handler
}

// handler does the part of one operation. The input of an operation without a
// body has no members.
type handler func(c *call, in *input) (reply, error)

// with makes a handler of its three parts: what the request says, the rule, and
// the answer. Everything that is wrong with a body is told before the rule runs.
func with[P, R any](parse func(*call, *input) P, rule func(context.Context, access.Grant, P) (R, error),
	render func(*call, R) reply) handler {
	return func(c *call, in *input) (reply, error) {
		p := parse(c, in)
		if err := in.check(); err != nil {
			return reply{}, err
		}
		if c.stray != "" {
			return reply{}, subjects[c.route.family].NotFound(c.name.String()+"/"+excerpt(c.stray))
		}
		r, err := rule(c.ctx, c.grant, p)
		if err != nil {
			return reply{}, err
		}
		return render(c, r), nil
	}
}

// simple makes a handler of a rule that needs nothing but the name.
func simple[R any](rule func(context.Context, access.Grant) (R, error), render func(*call, R) reply) handler {
	return with(nothing, func(ctx context.Context, g access.Grant, _ none) (R, error) { return rule(ctx, g) }, render)
}

type none struct{}

func nothing(*call, *input) none { return none{} }

func pinnedVersion(c *call, _ *input) object.Version { return c.pinned }

func issuerName(c *call, _ *input) object.Name { return c.name }

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// id is an identifier below the vault's URL.
func (c *call) id(path string) string { return c.address.base + path }

// objectID is the identifier of an object, with its version if there is one.
func (c *call) objectID(f object.Family, n object.Name, v object.Version) string {
	if v == "" {
		return c.address.base + "/" + string(f) + "/" + n.String()
	}
	return c.address.base + "/" + string(f) + "/" + n.String() + "/" + string(v)
}

// subjects are what the families are called in messages.
var subjects = map[object.Family]fault.Subject{
	object.Certificates: fault.Certificate, object.Keys: fault.Key, object.Secrets: fault.Secret,
}
