package keyvault

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"coffer/internal/audit"
	"coffer/internal/authn"
	"coffer/internal/fault"
	"coffer/internal/object"
)

// ServeHTTP answers one request: the outcome is on record before the answer is
// written.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := s.cfg.Now()
	c := &call{w: w, r: r, verb: r.Method, attempt: s.cfg.Recorder.Begin(arrived), ctx: r.Context(), client: clientAddress(r)}
	if c.client.IsValid() {
		c.clientIP = c.client.String()
	}
	a := s.answer(c)
	if c.recorded {
		if err := c.attempt.Finish(a.outcome()); err != nil {
			// Something may have been done, but no record, no success.
			a.release()
			a = refuse(&failure{status: http.StatusServiceUnavailable, code: "ServiceUnavailable",
				message: "The outcome cannot be recorded now.", retryAfter: 1, internal: err})
			_ = c.attempt.Finish(a.outcome()) // a second chance for the record; the first error is logged
		}
	}
	s.write(c, a)
	s.log(c, a, s.cfg.Now().Sub(arrived))
	a.release()
}

// answer serves the request and encodes what came of it. A panic is an answer
// too.
func (s *Server) answer(c *call) (a *answer) {
	defer func() {
		if p := recover(); p != nil {
			a = refuse(internalFailure(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), c.attempt.ID()))
		}
	}()
	rep, err := s.serve(c)
	if err == nil {
		a, err = encode(rep)
	}
	if err != nil {
		f := failureOf(err, c.attempt.ID())
		if f.status == http.StatusUnauthorized {
			f.challenge = s.cfg.Challenge(c.address.host, c.vault)
		}
		a = refuse(f)
	}
	return a
}

// serve is the order of checks, for every endpoint (contract errors.md, 3). The
// first step that fails answers.
func (s *Server) serve(c *call) (reply, error) {
	path, decodes := splitPath(c.r.URL.EscapedPath())
	if isHealth(c.r.Method, &path) {
		if err := s.cfg.Ready(); err != nil {
			return reply{}, &fault.Error{Kind: fault.Unavailable, Msg: "The vault cannot serve now.", Err: err}
		}
		return ok(true), nil
	}
	if err := s.findVault(c); err != nil {
		return reply{}, err
	}
	if err := s.authenticate(c); err != nil {
		return reply{}, err
	}
	if err := s.cfg.Gate.CheckNetwork(c.attempt); err != nil {
		return reply{}, err
	}
	if !decodes {
		return reply{}, badName(c.r.URL.EscapedPath())
	}
	ep, err := s.find(c, &path)
	if err != nil {
		return reply{}, err
	}
	in, err := s.admit(c, ep)
	if err != nil {
		return reply{}, err
	}
	return ep.handle(c, in)
}

// isHealth recognises the load balancers' question, which needs neither token,
// nor vault, nor api-version (contract observability.md, 8).
func isHealth(method string, path *segments) bool {
	return path.n == 1 && strings.EqualFold(path.part[0], "healthstatus") && (method == http.MethodGet || method == http.MethodHead)
}

func (s *Server) findVault(c *call) error {
	m, served := s.meaning(c.r.Host)
	if !served {
		return noVault()
	}
	v, err := s.cfg.Vaults.ByName(c.ctx, m.vault)
	if errors.Is(err, object.ErrNotFound) {
		return noVault()
	}
	if err != nil {
		return fmt.Errorf("finding vault %s: %w", m.vault, err)
	}
	c.address, c.audiences, c.vault = m.address, m.audiences, v
	return nil
}

// authenticate comes before everything that reads route or body: the first
// request of every SDK has neither token nor body (contract identity.md, 2).
func (s *Server) authenticate(c *call) error {
	c.recorded = true
	req := audit.Request{
		Address: c.clientIP, URI: c.address.base + c.r.URL.RequestURI(),
		UserAgent: c.r.UserAgent(), CorrelationID: clientRequestID(c.r.Header),
	}
	if c.r.TLS != nil {
		req.TLSVersion = c.r.TLS.Version
	}
	c.query = parseQuery(c.r.URL.RawQuery)
	c.attempt.Arrived(req, c.client, c.query.apiVersion)
	c.attempt.In(c.vault, c.address.base)

	// Of two headers a proxy before us might believe the other one: together they
	// are no token.
	token := strings.Join(c.r.Header.Values("Authorization"), ", ")
	caller, err := s.cfg.Verifier.Verify(c.ctx, token, c.audiences, c.vault.TenantID)
	if err != nil {
		code := ""
		if refusal, ok := errors.AsType[*authn.Refusal](err); ok {
			code = refusal.Code
		}
		c.attempt.Unauthenticated(code, token != "")
		if token != "" && !s.strangers.Allow(c.r.RemoteAddr, s.cfg.Now()) {
			c.recorded = false // a stranger must not fill the disk
			return &fault.Error{Kind: fault.Busy, Msg: "Request was not processed because too many tokens from this address were refused."}
		}
		return err
	}
	c.caller = caller
	c.attempt.Authenticated(caller)
	return nil
}

// find reads route, method, api-version and name.
func (s *Server) find(c *call, path *segments) (*endpoint, error) {
	c.verb = method(c.r)
	route, ep, allow := s.router.find(path, c.verb)
	if route == nil {
		return nil, noRoute()
	}
	c.route = route
	if ep == nil {
		return nil, noMethod(c.verb, allow)
	}
	c.attempt.On(ep.action, object.Name{})

	var err error
	if c.version, err = c.query.version(s.cfg.AllowNewerVersions); err != nil {
		return nil, err
	}
	if text, ok := route.param(path, nameParam, issuerParam); ok {
		if c.name, err = object.ParseName(text); err != nil {
			return nil, badName(text)
		}
	}
	if text, ok := route.param(path, versionParam); ok {
		if c.pinned, err = object.ParseVersion(text); err != nil {
			c.stray = text // it is not there, which only those may learn who may look
		}
	}
	return ep, nil
}

// admit passes the gate and reads the body. Where the body names the object, it
// is read first; one that does not is refused only to those who may act on the
// vault as a whole: 403 comes before 400.
func (s *Server) admit(c *call, ep *endpoint) (*input, error) {
	if ep.target == nil {
		if err := s.passGate(c, ep); err != nil {
			return nil, err
		}
		if !ep.body {
			return s.skipBody(c)
		}
		return s.read(c, s.cfg.MaxBody)
	}
	in, err := s.read(c, s.cfg.MaxRestoreBody)
	if err == nil {
		err = ep.target(c, in)
	}
	if gateErr := s.passGate(c, ep); gateErr != nil {
		return nil, gateErr
	}
	return in, err
}

func (s *Server) passGate(c *call, ep *endpoint) (err error) {
	c.attempt.On(ep.action, c.name)
	c.grant, err = s.cfg.Gate.Allow(c.ctx, c.attempt)
	return err
}

// skipBody leaves a body unread, up to the size limit.
func (s *Server) skipBody(c *call) (*input, error) {
	if c.r.ContentLength > s.cfg.MaxBody {
		return nil, tooLarge()
	}
	return noInput, nil
}

// noInput is the input of an operation without a body. Nothing is written to it.
var noInput = &input{report: &report{}}

func (s *Server) read(c *call, limit int64) (*input, error) {
	b, err := readBody(c.w, c.r, limit)
	if err != nil {
		return nil, err
	}
	return parseBody(b)
}

// method is the request's method, or the one that a POST stands for (contract
// certificates.md, 2.4; errors.md, 6, for the second spelling).
func method(r *http.Request) string {
	if r.Method != http.MethodPost {
		return r.Method
	}
	for _, name := range []string{"X-Http-Method", "X-Http-Request"} {
		if v := r.Header.Get(name); v != "" {
			return strings.ToUpper(v)
		}
	}
	return r.Method
}

// clientAddress is the peer's address, without port. IPv4 written as IPv6 counts
// as IPv4; a zone is this machine's own matter.
func clientAddress(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
