package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"coffer/internal/authn"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/pipeline"
	"coffer/internal/throttle"
	"coffer/internal/token"
)

// Config is what a Server is built from.
type Config struct {
	Directory *directory.Directory
	Tokens    *token.Service
	Verifier  *authn.Verifier

	// BaseURL is the address of this door, "https://login.example.net[:port]".
	BaseURL string
	// OwnHost reports whether a host name, in lower case and without port, is
	// one that this door may name as its own when a request came by it. nil: the
	// one of BaseURL only.
	OwnHost func(name string) bool
	// Audience reports whether the server serves a resource, spelled as the
	// client asked for it. Tokens are minted for no other.
	Audience func(resource string) bool

	Recorder Recorder         // nil: none
	PerSec   float64          // refused token requests a second from one source; zero: 50
	Burst    int              // zero: 200
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: silent
	Budget   *pipeline.Budget // of bodies; nil: one of its own
}

// Event is one token that was issued or refused.
type Event struct {
	Time        time.Time
	Issued      bool
	Credential  directory.CredentialKind // how the client tried to prove itself; "" when it did not get so far
	AppID       string                   // "" when the request named no GUID
	ObjectID    string                   // "" unless the client proved itself
	ProofID     string                   // of the credential; "" unless the client proved itself
	Audience    string                   // "" unless issued
	TokenID     string                   // "" unless issued
	KeyID       string                   // of the key that signed the token; "" unless issued
	Expires     time.Time                // of the token; zero unless issued
	Error       string                   // the OAuth error; "" when issued
	Number      int                      // the AADSTS number; 0 when issued
	Source      string                   // the peer's address
	Correlation string                   // GUID, the client's own if it sent one
}

// proved notes who the client is, once that is known.
func (e *Event) proved(p directory.Proof) {
	e.AppID, e.ObjectID, e.ProofID = p.Principal.AppID, p.Principal.ObjectID, p.Credential.ID
}

// Recorder keeps what the token service did. An error of it keeps a token from
// being issued.
type Recorder interface {
	RecordToken(ctx context.Context, e Event) error
}

// Server is the token service's http.Handler. It reads the peer's address from
// RemoteAddr and its own name from Host; behind a proxy, what stands before it
// corrects both.
type Server struct {
	dir      *directory.Directory
	tokens   *token.Service
	verifier *authn.Verifier
	base     string
	ownHost  func(string) bool
	audience func(string) bool
	recorder Recorder
	limits   *throttle.Sources
	now      func() time.Time
	log      *slog.Logger
	budget   *pipeline.Budget
	logged   http.Handler // answer, with its event in the log
}

// New makes a Server.
func New(c Config) (*Server, error) {
	s := &Server{
		dir: c.Directory, tokens: c.Tokens, verifier: c.Verifier, ownHost: c.OwnHost, audience: c.Audience,
		recorder: c.Recorder, now: c.Now, log: c.Log,
	}
	if c.Directory == nil || c.Tokens == nil || c.Verifier == nil || c.Audience == nil {
		return nil, errors.New("login: Directory, Tokens, Verifier and Audience are required")
	}
	var err error
	if s.base, err = token.ParseBaseURL(c.BaseURL); err != nil {
		return nil, errors.New("login: BaseURL: " + err.Error())
	}
	if c.PerSec < 0 || c.Burst < 0 {
		return nil, errors.New("login: PerSec and Burst are not negative")
	}
	if c.PerSec == 0 {
		c.PerSec = 50
	}
	if c.Burst == 0 {
		c.Burst = 200
	}
	if s.ownHost == nil {
		s.ownHost = func(string) bool { return false }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.budget = c.Budget; s.budget == nil {
		s.budget = pipeline.NewBudget()
	}
	s.logged = pipeline.Logged("login", s.log, s.now, http.HandlerFunc(s.answer))
	s.limits = throttle.NewSources(rate.Limit(c.PerSec), c.Burst)
	return s, nil
}

// The form of an endpoint, by its path.
type form int

const (
	v1 form = iota
	v2
	adfs
)

// route is what a path asks for. Paths are compared without case, and with or
// without a slash at the end (contract identity.md, 5.1 and 6.2).
type route struct {
	tenant string // first segment in lower case; "" for paths without a tenant
	action action
	form   form
	rest   string // the user of userrealm, as it was spelled
}

type action int

const (
	unknown action = iota
	discovery
	keys
	issueToken
	deviceCode
	userRealm
	instance
	webFinger
	managedIdentity
)

// actions names what follows the tenant.
var actions = map[string]struct {
	action action
	form   form
}{
	"/v2.0/.well-known/openid-configuration": {discovery, v2},
	"/.well-known/openid-configuration":      {discovery, v1},
	"/discovery/v2.0/keys":                   {keys, v2},
	"/discovery/keys":                        {keys, v1},
	"/oauth2/v2.0/token":                     {issueToken, v2},
	"/oauth2/token":                          {issueToken, v1},
	"/oauth2/v2.0/devicecode":                {deviceCode, v2},
	"/oauth2/devicecode":                     {deviceCode, v1},
}

const userRealmPath = "/common/userrealm/"

// maxPath bounds a path of this door.
const maxPath = 512

func parsePath(path string) (route, bool) {
	if len(path) > maxPath {
		return route{}, false
	}
	p := strings.TrimSuffix(strings.ToLower(path), "/")
	switch {
	case p == "/msi/token":
		return route{action: managedIdentity}, true
	case p == "/.well-known/webfinger":
		return route{action: webFinger}, true
	case p == "/common/discovery/instance":
		return route{action: instance}, true
	case strings.HasPrefix(p, userRealmPath) && len(p) == len(path) && len(p) > len(userRealmPath): // ToLower kept the length
		return route{action: userRealm, rest: path[len(userRealmPath):]}, true
	}
	tenant, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	if _, ok := guid.Parse(tenant); !ok && tenant != "adfs" && tenant != "common" && tenant != "organizations" {
		return route{}, false
	}
	r := route{tenant: tenant}
	if tenant == "adfs" {
		// The Azure CLI asks for the document of every tenant that is no GUID below a
		// segment adfs, and stops without it (contract identity.md, 9).
		rest = strings.TrimPrefix(rest, "adfs/.well-known/")
		if rest == "openid-configuration" {
			rest = ".well-known/" + rest
		}
	}
	a := actions["/"+rest]
	r.action, r.form = a.action, a.form
	if tenant == "adfs" {
		// AD FS has no versions, but Python's asynchronous clients post to the
		// second version's token endpoint whatever the tenant is called.
		if r.form == v2 && r.action != issueToken {
			r.action = unknown
		}
		r.form = adfs
	}
	return r, true
}

// Serves reports whether a path belongs to this door.
func (s *Server) Serves(path string) bool {
	_, ok := parsePath(path)
	return ok
}

// ServeHTTP answers one request and logs it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.logged.ServeHTTP(w, r) }

// answer has one order for every endpoint: path, tenant, method, and room for the body.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	rt, ok := parsePath(r.URL.Path)
	switch {
	case !ok || rt.action == unknown:
		s.refuse(w, r, errNoEndpoint)
		return
	case !s.isTenant(rt.tenant):
		s.refuse(w, r, errNoTenant)
		return
	}
	method := http.MethodGet
	if rt.action == issueToken || rt.action == deviceCode {
		method = http.MethodPost
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		s.refuse(w, r, errMethod)
		return
	}
	switch rt.action {
	case discovery:
		s.discovery(w, r, rt)
	case keys:
		s.keys(w, r)
	case issueToken:
		give, err := s.budget.Unauthenticated(r.RemoteAddr, maxBody)
		if err != nil {
			s.later(w, r, err)
			return
		}
		defer give()
		s.token(w, r, rt.form)
	case deviceCode:
		s.refuse(w, r, errGrantType)
	case userRealm:
		s.userRealm(w, r, rt.rest)
	case instance:
		s.instance(w, r)
	case webFinger:
		s.webFinger(w, r)
	case managedIdentity:
		s.managedIdentity(w, r)
	}
}

// tooMany counts a refusal for its source, and tells whether there were too many. Who
// proves to be somebody is not counted, nor held up by those who share his address: his
// proof is looked at before, which costs a hash of what was sent.
func (s *Server) tooMany(r *http.Request, why *refusal) bool {
	return why.status < http.StatusInternalServerError && !s.limits.Allow(r.RemoteAddr, s.now())
}

// later refuses what may be tried again: because of the source, or because of all.
func (s *Server) later(w http.ResponseWriter, r *http.Request, err error) {
	why := errTooMany
	if fault.Is(err, fault.Unavailable) {
		why = errBusy
	}
	w.Header().Set("Retry-After", "1")
	s.refuse(w, r, why)
}

func (s *Server) isTenant(t string) bool {
	switch t {
	case "", "adfs", "common", "organizations", s.tokens.TenantID():
		return true
	}
	return false
}

// reply writes a JSON body. Nothing of this door may be cached: tokens are
// secrets, and the documents repeat the Host that was asked.
func (s *Server) reply(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		s.log.Error("encoding an answer", "err", err)
		status, b = http.StatusInternalServerError, bytes.Buffer{}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
