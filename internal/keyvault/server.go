package keyvault

import (
	"errors"
	"log/slog"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/secret"
	"coffer/internal/throttle"
	"coffer/internal/vault"
)

// Config is what a Server needs. What has no "zero means" must be given.
type Config struct {
	Certificates *certificate.Service
	Keys         *key.Service
	Secrets      *secret.Service
	Vaults       Vaults
	Verifier     Verifier
	Gate         *access.Gate
	Sealer       Sealer
	Recorder     *access.Recorder
	Logger       *slog.Logger

	// Challenge gives the WWW-Authenticate value of a 401 for a request to host
	// (as in the Host header, checked) that meant v.
	Challenge func(host string, v *vault.Vault) string
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

// The sizes of bodies (contract errors.md, 6.1).
const (
	defaultMaxBody        = 1 << 20
	defaultMaxRestoreBody = 16 << 20
)

// How many refused tokens of one source address are answered and recorded as
// such; beyond that the source is told to slow down, without a record each. Good
// tokens do not count (contract errors.md, 3, step 7).
const (
	refusedPerSecond = 20
	refusedBurst     = 200
)

// Server is the data plane as an http.Handler. It is safe for concurrent use.
type Server struct {
	cfg            Config
	router         router
	serviceVersion []string                            // header values are shared by all answers
	rendered       object.Bounded[renderedKey, []byte] // never changed
	hosts          object.Bounded[string, meaning]     // of names that are ours
	strangers      *throttle.Sources                   // of refused tokens
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Server, error) {
	for _, need := range []struct {
		what  string
		given bool
	}{
		{"Certificates", cfg.Certificates != nil}, {"Keys", cfg.Keys != nil}, {"Secrets", cfg.Secrets != nil},
		{"Vaults", cfg.Vaults != nil}, {"Verifier", cfg.Verifier != nil}, {"Gate", cfg.Gate != nil},
		{"Sealer", cfg.Sealer != nil}, {"Recorder", cfg.Recorder != nil}, {"Logger", cfg.Logger != nil},
		{"Challenge", cfg.Challenge != nil}, {"Audiences", cfg.Audiences != nil},
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
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.MaxRestoreBody == 0 {
		cfg.MaxRestoreBody = defaultMaxRestoreBody
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, serviceVersion: []string{cfg.ServiceVersion}, strangers: throttle.NewSources(refusedPerSecond, refusedBurst)}
	s.rendered.Max, s.hosts.Max = maxRendered, maxHosts
	s.router = newRouter(s.routes())
	return s, nil
}

// routes are all routes of the data plane.
func (s *Server) routes() []route {
	var all []route
	all = append(all, s.certificateRoutes()...)
	all = append(all, s.keyRoutes()...)
	return append(all, s.secretRoutes()...)
}
