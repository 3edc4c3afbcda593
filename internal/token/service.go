package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"coffer/internal/directory"
	"coffer/internal/fresh"
	"coffer/internal/guid"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// DefaultSkew is how far clocks may be apart (contract identity.md, 4): a token
// is good so long after its exp, and before its nbf.
const DefaultSkew = 5 * time.Minute

// Sealer seals the private keys into boxes bound to their place; *seal.Sealer
// is one.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext seal.Value) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Config is what a Service is built from.
type Config struct {
	DB        object.DB[Tx]
	Sealer    Sealer
	Directory *directory.Directory // whose principals the tokens name
	TenantID  string               // GUID of the one tenant
	BaseURL   string               // where the token service answers, "https://login.example.net"
	Fresh     fresh.Source         // how long signing keys that were read are used; zero: once

	KeyPeriod time.Duration    // how long a signing key signs; zero: 90 days
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: silent
}

// Service mints the tokens of the directory's principals. It is safe for
// concurrent use.
type Service struct {
	db     object.DB[Tx]
	sealer Sealer
	dir    *directory.Directory
	tenant string
	issuer string
	period time.Duration
	now    func() time.Time
	log    *slog.Logger

	kept   *fresh.Cache[struct{}, openedKeys]
	opened *fresh.Map[string, *openedKey] // by id; each is compared with the row in hand
	making sync.Mutex                     // held while a key is made
}

// New makes a Service; it reads nothing yet.
func New(c Config) (*Service, error) {
	tenant, ok := guid.Parse(c.TenantID)
	base, err := ParseBaseURL(c.BaseURL)
	switch {
	case c.DB == nil:
		return nil, errors.New("token: DB is required")
	case c.Sealer == nil:
		return nil, errors.New("token: Sealer is required")
	case c.Directory == nil:
		return nil, errors.New("token: Directory is required")
	case !ok:
		return nil, errors.New("token: TenantID is not a GUID")
	case c.KeyPeriod < 0:
		return nil, errors.New("token: KeyPeriod is negative")
	case err != nil:
		return nil, fmt.Errorf("token: BaseURL: %w", err)
	}
	s := &Service{
		db: c.DB, sealer: c.Sealer, dir: c.Directory, tenant: tenant, issuer: base + "/" + tenant + "/",
		period: c.KeyPeriod, now: c.Now, log: c.Log,
		kept:   fresh.NewCache[struct{}, openedKeys](c.Fresh, fresh.Principals, 2, nil),
		opened: fresh.NewMap[string, *openedKey](maxOpened, nil),
	}
	if s.period == 0 {
		s.period = 90 * 24 * time.Hour
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// ParseBaseURL checks "https://host[:port]" and drops a trailing slash.
func ParseBaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", errors.New("it must have the form https://host[:port]")
	}
	return "https://" + strings.ToLower(u.Host), nil
}

// TenantID is the GUID of the tenant that tokens name.
func (s *Service) TenantID() string { return s.tenant }

// Issuer is the iss of minted tokens.
func (s *Service) Issuer() string { return s.issuer }
