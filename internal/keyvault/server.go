package keyvault

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/compute"
	"coffer/internal/fresh"
	"coffer/internal/key"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/secret"
	"coffer/internal/vault"
)

// Config is what a Server needs. What has no "zero means" must be given.
type Config struct {
	Certificates *certificate.Service
	Keys         *key.Service
	Secrets      *secret.Service
	Vaults       pipeline.Vaults
	Verifier     pipeline.Verifier
	Gate         *access.Gate
	Sealer       rest.Sealer // of continuations
	Recorder     *access.Recorder
	Budget       *pipeline.Budget // nil: one of its own
	Workers      *compute.Pool    // nil: what takes much of a processor runs in place
	Fresh        fresh.Source     // how long an answer about objects is given again; zero: not at all
	Logger       *slog.Logger

	// Challenge gives the WWW-Authenticate value of a 401 for a request to host
	// (as in the Host header, checked) that meant v.
	Challenge func(host string, v *vault.Vault) string
	// Renewal gives it for a token that was revoked; nil: as Challenge does.
	Renewal func() string
	// Audiences gives what a token for a request to host may be meant for: always
	// the same for the same host.
	Audiences func(host string) []string

	// Suffixes are the DNS names, in lower case, below which vaults are served:
	// {vault}.{suffix}. A token's audience follows from the host, so that a host
	// of someone else's choice must not pass. nil: any, for tests.
	Suffixes []string
	// DefaultVault is the name of the vault that localhost, IP addresses and
	// Names mean; "": none.
	DefaultVault   string
	Names          []string // DNS names in lower case
	ServiceVersion string   // four dotted numbers, for x-ms-keyvault-service-version

	// AllowNewerVersions admits well-formed api-versions above the newest known
	// one, and treats them as that. The service refuses them.
	AllowNewerVersions bool
	// Ready says why the vault cannot serve now, for /healthstatus; nil: it can.
	Ready func() error

	MaxBody        int64            // bytes; 0: 1 MiB
	MaxRestoreBody int64            // bytes; 0: 16 MiB
	Now            func() time.Time // nil: time.Now
}

// defaultMaxRestoreBody is the size of a backup with many versions (contract
// errors.md, 6.1).
const defaultMaxRestoreBody = 16 << 20

// Server is the data plane as an http.Handler. It is safe for concurrent use.
type Server struct {
	cfg            Config
	pipeline       *pipeline.Pipeline
	serviceVersion []string // header values are shared by all answers
	answers        *fresh.Cache[answerKey, answer]
	hosts          *fresh.Map[string, pipeline.Place] // of names that are ours
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Server, error) {
	for _, need := range []struct {
		what  string
		given bool
	}{
		{"Certificates", cfg.Certificates != nil}, {"Keys", cfg.Keys != nil}, {"Secrets", cfg.Secrets != nil},
		{"Sealer", cfg.Sealer != nil}, {"Challenge", cfg.Challenge != nil}, {"Audiences", cfg.Audiences != nil},
		{"ServiceVersion", cfg.ServiceVersion != ""},
	} {
		if !need.given {
			return nil, errors.New("keyvault: Config." + need.what + " is missing")
		}
	}
	if cfg.DefaultVault != "" {
		if err := vault.ParseName(cfg.DefaultVault); err != nil {
			return nil, err
		}
	}
	if cfg.MaxRestoreBody == 0 {
		cfg.MaxRestoreBody = defaultMaxRestoreBody
	}
	s := &Server{
		cfg: cfg, serviceVersion: []string{cfg.ServiceVersion},
		answers: fresh.NewCache[answerKey](cfg.Fresh, fresh.Objects, maxAnswers, answer.size),
		hosts:   fresh.NewMap[string, pipeline.Place](maxHosts, nil),
	}
	var err error
	s.pipeline, err = pipeline.New(pipeline.Config{
		Routes: s.routes(), Locate: s.locate, Target: target, Method: method,
		Versions: &rest.Versions{List: apiVersions, Recommended: recommendedVersion, Newer: cfg.AllowNewerVersions},
		Health:   "healthstatus", Ready: cfg.Ready,
		Codes: codes, ErrorBody: newErrorBody, Header: s.header,
		Challenge: func(r pipeline.Request) string { return cfg.Challenge(r.Address().Host, r.Vault()) },
		Renewal:   renewal(cfg),
		Vaults:    cfg.Vaults, Verifier: cfg.Verifier, Gate: cfg.Gate, Recorder: cfg.Recorder, Budget: cfg.Budget, Workers: cfg.Workers,
		Logger: cfg.Logger, MaxBody: cfg.MaxBody, Now: cfg.Now,
	})
	return s, err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.pipeline.ServeHTTP(w, r) }

// routes are all routes of the data plane.
func (s *Server) routes() []pipeline.Route {
	return slices.Concat(s.certificateRoutes(), s.keyRoutes(), s.secretRoutes())
}

// header adds what every answer of the data plane has (contract errors.md, 2). The
// names are in the canonical form that http.Header needs.
func (s *Server) header(h http.Header, r pipeline.Request) {
	h["X-Ms-Keyvault-Service-Version"] = s.serviceVersion
	region := vault.DefaultLocation
	if v := r.Vault(); v != nil {
		region = v.Location
	}
	// One allocation for all values that are this request's own.
	own := [...]string{region, networkInfo(r.Client()), r.ID(), r.CorrelationID()}
	h["X-Ms-Keyvault-Region"] = own[0:1:1]
	h["X-Ms-Keyvault-Network-Info"] = own[1:2:2]
	h["X-Ms-Request-Id"] = own[2:3:3]
	if own[3] != "" {
		h["X-Ms-Client-Request-Id"] = own[3:4:4]
	}
}

// networkInfo tells the caller its address as the server saw it; support tools
// read it.
func networkInfo(a netip.Addr, text string) string {
	if a.Is6() {
		return "conn_type=Ipv6;addr=" + text + ";act_addr_fam=InterNetworkV6;"
	}
	return "conn_type=Ipv4;addr=" + text + ";act_addr_fam=InterNetwork;"
}

func renewal(cfg Config) func(pipeline.Request) string {
	if cfg.Renewal == nil {
		return nil
	}
	return func(pipeline.Request) string { return cfg.Renewal() }
}
