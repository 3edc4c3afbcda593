package pipeline

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// arrived is what came in, as far as it can be read without believing any of it.
// Only arrive writes it.
type arrived struct {
	at          time.Time
	method      string // after an override
	path        rest.Path
	decodes     bool // the whole path
	place       Place
	noPlace     error // why it has none
	client      netip.Addr
	clientIP    string // the same as text, "" for zero
	query       rest.Query
	correlation string // the caller's own id of the request
}

func (c *call) arrive() {
	a, r := &c.arrived, c.r
	a.method, a.query, a.correlation = c.p.cfg.Method(r), rest.ParseQuery(r.URL.RawQuery), correlationID(r.Header)
	if a.client = clientAddress(r); a.client.IsValid() {
		a.clientIP = a.client.String()
	}
	a.path, a.decodes = rest.SplitPath(r.URL.EscapedPath())
	a.place, a.noPlace = c.p.cfg.Locate(r.Host, &a.path)
}

// admitted is what the checks have let in so far. Only they write it. Who calls is in
// the attempt.
type admitted struct {
	vault    *vault.Vault
	route    *Route // nil: none
	endpoint *Endpoint
	version  rest.Version
	grant    access.Grant
}

// Request is what an endpoint or a door may know of a request: what arrived, and
// what was admitted so far. It can be read only.
type Request struct{ c *call }

// ID is that of the request, which is on record and in the log.
func (r Request) ID() string { return r.c.attempt.ID() }

// CorrelationID is the caller's own id of the request, printable and bounded; "" for
// none.
func (r Request) CorrelationID() string { return r.c.arrived.correlation }

// Address is where the client found us; zero when Host is not ours.
func (r Request) Address() rest.Address { return r.c.arrived.place.Address }

// Base is the prefix of ids: Address().Base.
func (r Request) Base() string { return r.c.arrived.place.Address.Base }

// Client is the peer's address, and the same as text: zero and "" when it cannot be
// read.
func (r Request) Client() (netip.Addr, string) { return r.c.arrived.client, r.c.arrived.clientIP }

// Query is the query.
func (r Request) Query() rest.Query { return r.c.arrived.query }

// Vault is the vault of the request; nil when none was found.
func (r Request) Vault() *vault.Vault { return r.c.admitted.vault }

// Version is the api-version.
func (r Request) Version() rest.Version { return r.c.admitted.version }

// Pattern is that of the route; "" when there is none.
func (r Request) Pattern() string {
	if r.c.admitted.route == nil {
		return ""
	}
	return r.c.admitted.route.Pattern()
}

// Param is a part of the path by the parameter's name in the route, with its braces;
// "" when the route has none.
func (r Request) Param(name string) string { return r.c.admitted.route.Param(&r.c.arrived.path, name) }

// Name is the object that the gate has let the request act on; zero for the vault.
func (r Request) Name() object.Name { return r.c.admitted.grant.Name() }

// clientAddress is the peer's address, without port. IPv4 written as IPv6 counts
// as IPv4; a zone is this machine's own matter.
func clientAddress(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

// maxCorrelation bounds the echo of x-ms-client-request-id, in characters.
const maxCorrelation = 128

func correlationID(h http.Header) string {
	v := h["X-Ms-Client-Request-Id"]
	if len(v) == 0 {
		return ""
	}
	id := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, v[0])
	return id[:min(len(id), maxCorrelation)]
}
