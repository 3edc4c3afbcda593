package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/authn"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/rest"
)

// call is one request on its way.
type call struct {
	p *Pipeline
	w http.ResponseWriter
	r *http.Request

	arrived  arrived
	admitted admitted
	attempt  *access.Attempt // with the record that tells of it
	recorded bool            // the audit log hears of this request
	renew    bool            // the token was revoked: its caller may get another
	holds    holdings
}

// requestTime bounds a request, from its arrival to its answer: what it waits for then is a
// 504. It is less than what a listener gives an answer, so that there is one.
const requestTime = 2 * time.Minute

// ServeHTTP answers one request: the outcome is on record before the answer is
// written.
func (p *Pipeline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := p.cfg.Now()
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	c := &call{p: p, w: w, r: r.WithContext(ctx), arrived: arrived{at: at}, attempt: p.cfg.Recorder.Begin(at)}
	defer c.giveBack()
	a := c.answer()
	if c.recorded {
		if a.Failure != nil {
			p.cfg.Gate.Weigh(r.Context(), c.attempt)
		}
		if err := c.attempt.Finish(outcome(a)); err != nil {
			// Something may have been done, but no record, no success.
			a.Release()
			done := a.Failure == nil
			a = c.refuse(rest.Unavailable("The outcome cannot be recorded now.", err))
			o := outcome(a)
			o.Unknown = o.Unknown || done // whoever reads the record must not believe that it was not
			_ = c.attempt.Finish(o)       // a second chance for the record; the first error is logged
		}
	}
	c.write(a)
	c.log(a)
	a.Release()
}

// answer serves the request and encodes what came of it. A panic is an answer
// too.
func (c *call) answer() (a *rest.Answer) {
	defer func() {
		if v := recover(); v != nil {
			a = c.refuse(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	c.arrive()
	reply, err := c.serve()
	if err == nil {
		a, err = rest.Encode(reply)
	}
	if err != nil {
		a = c.refuse(err)
	}
	return a
}

func (c *call) refuse(err error) *rest.Answer {
	f := rest.FailureOf(err, c.attempt.ID(), c.p.cfg.Codes)
	if f.Status == http.StatusUnauthorized {
		challenge := c.p.cfg.Challenge
		if c.renew && c.p.cfg.Renewal != nil {
			challenge = c.p.cfg.Renewal
		}
		f.Challenge = challenge(Request{c})
	}
	return rest.Refuse(f, c.p.cfg.ErrorBody(f))
}

func outcome(a *rest.Answer) audit.Outcome {
	o := audit.Outcome{Status: a.Status()}
	if f := a.Failure; f != nil {
		o.ErrorCode, o.InnerErrorCode, o.Message = f.Code, f.Inner, f.Message
		o.Unknown = errors.Is(f.Internal, object.ErrOutcomeUnknown)
	}
	return o
}

// serve is the order of checks, for every endpoint of every door (contract errors.md,
// 3). The first step that fails answers. The last one is the endpoint's way through
// gate, body, parse, rule and render, which this package makes too.
func (c *call) serve() (rest.Reply, error) {
	if c.isHealth() {
		return c.health()
	}
	if err := c.findVault(); err != nil {
		return rest.Reply{}, err
	}
	if err := c.authenticate(); err != nil {
		return rest.Reply{}, err
	}
	if err := c.checkNetwork(); err != nil {
		return rest.Reply{}, err
	}
	target, err := c.find()
	if err != nil {
		return rest.Reply{}, err
	}
	return c.admitted.endpoint.run(c, target)
}

func (c *call) isHealth() bool {
	path := &c.arrived.path
	return c.p.cfg.Health != "" && path.Len() == 1 && strings.EqualFold(path.Part(0), c.p.cfg.Health) &&
		(c.r.Method == http.MethodGet || c.r.Method == http.MethodHead)
}

func (c *call) health() (rest.Reply, error) {
	if err := c.p.cfg.Ready(); err != nil {
		return rest.Reply{}, &fault.Error{Kind: fault.Unavailable, Msg: "The vault cannot serve now.", Err: err}
	}
	return rest.OK(true), nil
}

func (c *call) findVault() error {
	if c.arrived.noPlace != nil {
		return c.arrived.noPlace
	}
	name := c.arrived.place.Vault
	if name == "" && c.p.cfg.TenantID != "" {
		return nil
	}
	v, err := c.p.cfg.Vaults.ByName(c.r.Context(), name)
	if errors.Is(err, object.ErrNotFound) {
		return NoVault()
	}
	if err != nil {
		return fmt.Errorf("finding vault %s: %w", name, err)
	}
	c.admitted.vault = v
	return nil
}

// NoVault is the failure of a host or path that names no vault.
func NoVault() error {
	return &rest.Failure{Status: http.StatusNotFound, Code: "VaultNotFound", Message: "No vault is served under this host name."}
}

// authenticate comes before everything that reads route or body: the first
// request of every SDK has neither token nor body (contract identity.md, 2).
func (c *call) authenticate() error {
	c.recorded = true
	req := audit.Request{
		Address: c.arrived.clientIP, URI: c.arrived.place.Address.Base + c.r.URL.RequestURI(),
		UserAgent: c.r.UserAgent(), CorrelationID: c.arrived.correlation,
	}
	if c.r.TLS != nil {
		req.TLSVersion = c.r.TLS.Version
	}
	c.attempt.Arrived(req, c.arrived.client, c.arrived.query.Get(rest.APIVersion))
	c.attempt.In(c.admitted.vault, c.arrived.place.Address.Base)

	// Of two headers a proxy before us might believe the other one: together they
	// are no token.
	token := strings.Join(c.r.Header.Values("Authorization"), ", ")
	caller, err := c.p.cfg.Verifier.Verify(c.r.Context(), token, c.arrived.place.Audiences, c.tenant())
	if err != nil {
		return c.unauthenticated(err, token != "")
	}
	c.attempt.Authenticated(caller)
	return nil
}

// tenant is the one that callers must come from.
func (c *call) tenant() string {
	if v := c.admitted.vault; v != nil {
		return v.TenantID
	}
	return c.p.cfg.TenantID
}

// checkNetwork asks the firewall of the vault before anything tells what there is.
func (c *call) checkNetwork() error {
	if c.admitted.vault == nil {
		return nil
	}
	return c.p.cfg.Gate.CheckNetwork(c.attempt)
}

func (c *call) unauthenticated(err error, withToken bool) error {
	refusal, refused := errors.AsType[*authn.Refusal](err)
	code := ""
	if refused {
		code, c.renew = refusal.Code, refusal.Renew
	}
	c.attempt.Unauthenticated(code, withToken)
	if withToken && !c.p.refused.Allow(c.r.RemoteAddr, c.p.cfg.Now()) {
		return &fault.Error{Kind: fault.Busy, Msg: "Request was not processed because too many tokens from this address were refused."}
	}
	if refused {
		return &rest.Failure{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: refusal.Error()}
	}
	return err
}

// find reads route, method, api-version and target.
func (c *call) find() (t access.Target, err error) {
	if !c.arrived.decodes {
		return t, rest.BadName(c.r.URL.EscapedPath())
	}
	route, endpoint, allow := c.p.router.Find(&c.arrived.path, c.arrived.method)
	if route == nil {
		return t, rest.NoRoute()
	}
	c.admitted.route = route
	if endpoint == nil {
		return t, rest.NoMethod(c.arrived.method, allow)
	}
	c.admitted.endpoint = endpoint
	c.attempt.On(endpoint.action, object.Name{})
	if c.p.cfg.Versions != nil {
		if c.admitted.version, err = c.p.cfg.Versions.Parse(c.arrived.query); err != nil {
			return t, err
		}
	}
	return c.p.cfg.Target(Request{c})
}

// allow passes the gate. Every endpoint does so once.
func (c *call) allow(t access.Target) (err error) {
	if t.Vault == nil {
		t.Vault = c.admitted.vault
	}
	c.attempt.OnResource(c.admitted.endpoint.action, t)
	c.admitted.grant, err = c.p.cfg.Gate.Allow(c.r.Context(), c.attempt)
	return err
}

// Header values that all answers share; net/http only reads them. The names are
// in the canonical form that http.Header needs (contract errors.md, 2).
var (
	noCache    = []string{"no-cache"}
	longAgo    = []string{"-1"}
	strictTLS  = []string{"max-age=31536000;includeSubDomains"}
	noSniffing = []string{"nosniff"}
)

func (c *call) write(a *rest.Answer) {
	h := c.w.Header()
	h["Cache-Control"] = noCache
	h["Pragma"] = noCache
	h["Expires"] = longAgo
	h["Strict-Transport-Security"] = strictTLS
	h["X-Content-Type-Options"] = noSniffing
	c.p.cfg.Header(h, Request{c})
	a.Write(c.w)
}
