package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"coffer/internal/access"
	"coffer/internal/compute"
	"coffer/internal/rest"
	"coffer/internal/throttle"
	"coffer/internal/vault"
)

// Config is a door. What has no "zero means" must be given.
type Config struct {
	Routes []Route
	// Locate finds what a Host header and a path stand for; its error is answered
	// before anybody is asked for a token. The path may be one that does not decode.
	Locate func(host string, path *rest.Path) (Place, error)
	// Target says what a request is on, as far as its path tells; it is asked before
	// the gate, and its error is answered to whoever has a token. nil: the vault.
	// A target without a vault is in that of the request. Management actions have a
	// resource, and no firewall before them.
	Target func(Request) (access.Target, error)
	// Method reads the method; nil: as it was sent.
	Method func(*http.Request) string
	// Versions are the api-versions; nil: the door has none.
	Versions *rest.Versions
	// Health is the word of the path that tells load balancers whether the vault can
	// serve, without token and vault (contract observability.md, 8); "": there is none.
	Health string
	// Ready says why the vault cannot serve now; nil: it can.
	Ready func() error

	Codes     rest.Codes
	ErrorBody func(*rest.Failure) any // the JSON shape of a failure
	// Header adds what the door's answers have in common. What a request was refused
	// before is not there yet: the vault may be nil. nil: nothing.
	Header func(http.Header, Request)
	// Challenge gives the WWW-Authenticate value of a 401.
	Challenge func(Request) string
	// Renewal gives it where another token of the same caller may be good; nil: as
	// Challenge does.
	Renewal func(Request) string

	// TenantID is the tenant of callers where no vault is named; "": one always is.
	TenantID string
	Vaults   Vaults
	Verifier Verifier
	Gate     *access.Gate
	Recorder *access.Recorder
	Budget   *Budget       // nil: one of its own, of the default size
	Workers  *compute.Pool // for what takes much of a processor; nil: it runs in place
	Logger   *slog.Logger
	MaxBody  int64            // bytes; 0: 1 MiB (contract errors.md, 6.1)
	Now      func() time.Time // nil: time.Now
}

// Place is what a Host header and a path stand for.
type Place struct {
	Address   rest.Address
	Vault     string   // the canonical name of the vault, whether there is one or not; "": none is named
	Audiences []string // what a token may be meant for
}

// Vaults finds a vault by its canonical name; object.ErrNotFound when there is none.
// It is asked once for every request.
type Vaults interface {
	ByName(ctx context.Context, key string) (*vault.Vault, error)
}

// Verifier finds the caller of a request from the value of its Authorization header.
// An *authn.Refusal becomes a 401, any other error does not.
type Verifier interface {
	Verify(ctx context.Context, authorization string, audiences []string, tenant string) (access.Caller, error)
}

const defaultMaxBody = 1 << 20

// How many refused tokens of one source address are answered and recorded as
// such; beyond that the source is told to slow down, without a record each. Good
// tokens do not count (contract errors.md, 3, step 7).
const (
	refusedPerSecond = 20
	refusedBurst     = 200
)

// How many events of one source that is not known go to the log, about 40 MB a day.
const (
	eventsPerSecond = 2
	eventsBurst     = 100
)

// Pipeline is a door as an http.Handler. It is safe for concurrent use.
type Pipeline struct {
	cfg     Config
	router  rest.Router[Endpoint]
	refused *throttle.Sources // of refused tokens
	events  *throttle.Sources // in the log, of those who are not known
	muted   *atomic.Int64     // events that were beyond that
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Pipeline, error) {
	for _, need := range []struct {
		what  string
		given bool
	}{
		{"Routes", len(cfg.Routes) > 0}, {"Locate", cfg.Locate != nil}, {"Codes", cfg.Codes != nil}, {"ErrorBody", cfg.ErrorBody != nil},
		{"Challenge", cfg.Challenge != nil}, {"Vaults", cfg.Vaults != nil}, {"Verifier", cfg.Verifier != nil}, {"Gate", cfg.Gate != nil},
		{"Recorder", cfg.Recorder != nil}, {"Logger", cfg.Logger != nil},
	} {
		if !need.given {
			return nil, errors.New("pipeline: Config." + need.what + " is missing")
		}
	}
	for i := range cfg.Routes {
		for _, m := range cfg.Routes[i].Methods() {
			if m.Do.run == nil {
				return nil, errors.New("pipeline: " + m.Verb + " " + cfg.Routes[i].Pattern() + " has an endpoint that this package did not make")
			}
		}
	}
	if cfg.Target == nil {
		cfg.Target = func(Request) (access.Target, error) { return access.Target{}, nil }
	}
	if cfg.Method == nil {
		cfg.Method = func(r *http.Request) string { return r.Method }
	}
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
	if cfg.Header == nil {
		cfg.Header = func(http.Header, Request) {}
	}
	if cfg.Budget == nil {
		cfg.Budget = NewBudget()
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Pipeline{cfg: cfg, router: rest.NewRouter(cfg.Routes), refused: throttle.NewSources(refusedPerSecond, refusedBurst),
		events: throttle.NewSources(eventsPerSecond, eventsBurst), muted: new(atomic.Int64)}, nil
}
