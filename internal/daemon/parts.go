package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/audience"
	"coffer/internal/audit"
	"coffer/internal/authn"
	"coffer/internal/bundle"
	"coffer/internal/certificate"
	"coffer/internal/directory"
	"coffer/internal/issuance"
	"coffer/internal/issuer/selfsigned"
	"coffer/internal/login"
	"coffer/internal/object"
	"coffer/internal/pkcs12"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/token"
	"coffer/internal/vault"
)

// ServiceVersion is what x-ms-keyvault-service-version shows: four dotted
// numbers, as the cloud service's own. The last two are this program's.
const ServiceVersion = "1.9.1.0"

// issuers are the drivers, by provider in lower case.
func issuers() map[string]issuance.Issuer {
	return map[string]issuance.Issuer{strings.ToLower(issuance.Self): selfsigned.Issuer{}}
}

// pfxToPEM is the other form of a managed secret (contract secrets.md, 5.2).
func pfxToPEM(pfx seal.Value) (seal.Value, error) {
	der, err := base64.StdEncoding.DecodeString(string(pfx.Reveal()))
	if err != nil {
		return seal.Value{}, err
	}
	b, err := pkcs12.Decode(der, "")
	if err != nil {
		return seal.Value{}, err
	}
	var certs [][]byte
	for _, c := range b.Certificates {
		certs = append(certs, c.DER)
	}
	return seal.NewValue([]byte(bundle.WritePEM(b.KeyPKCS8, certs))), nil
}

// rules are what the gate decides by.
type rules struct {
	*access.Assignments
	db *store.DB
}

// Spelling is the casing in which an object's name was first written.
func (r *rules) Spelling(ctx context.Context, v *vault.Vault, f object.Family, n object.Name) (object.Name, error) {
	var h object.Head
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		switch f {
		case object.Certificates:
			var c *certificate.Certificate
			if c, err = tx.Certificate(ctx, v.ID, n); err == nil {
				h = c.Head
			}
		case object.Keys:
			h, err = tx.KeyHead(ctx, v.ID, n)
		case object.Secrets:
			h, err = tx.SecretHead(ctx, v.ID, n)
		}
		return err
	})
	if errors.Is(err, object.ErrNotFound) {
		return n, nil
	}
	return h.Name, err
}

func (d *Daemon) verifier(dir *directory.Directory, tokens *token.Service) (*authn.Verifier, error) {
	cfg := authn.Config{Directory: dir, Tokens: tokens, DB: store.For[authn.Tx]{DB: d.db}, Now: d.now, Log: d.log}
	for _, is := range d.settings.Identity.Issuers {
		cfg.Issuers = append(cfg.Issuers, authn.Issuer{
			URL: is.Issuer, JWKSURI: is.JWKSURI, TenantID: d.settings.Tenant, Audiences: is.Audiences,
			Claims: authn.ClaimMap{ObjectID: is.Claims["object_id"], AppID: is.Claims["app_id"], Groups: is.Claims["groups"]},
		})
	}
	cfg.HTTP = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}}
	return authn.New(cfg)
}

func (d *Daemon) trusted(c access.Caller) bool {
	return slices.ContainsFunc(d.settings.TrustedCallers, func(id string) bool { return strings.EqualFold(id, c.ObjectID) })
}

// names are the further DNS names under which clients may reach the default
// vault.
func (d *Daemon) names() []string {
	names := []string{hostOf(d.settings.URL)}
	for _, n := range d.settings.TLS.Names {
		names = append(names, strings.ToLower(n))
	}
	return names
}

// serves reports whether a host name belongs to this server.
func (d *Daemon) serves(host string) bool {
	s := d.settings.Suffix
	return host == "localhost" || host == s || strings.HasSuffix(host, "."+s) || slices.Contains(d.names(), host)
}

// audience reports whether tokens for a resource open vaults of this server.
func (d *Daemon) audience(resource string) bool {
	if slices.Contains(audience.Of("localhost", nil), resource) {
		return true
	}
	u, err := url.Parse(resource)
	if err != nil || u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return false
	}
	return strings.EqualFold(u.Hostname(), d.settings.Suffix)
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// rotate replaces the root key without stopping. At every line a crash leaves
// each data key with its root key in the file, or in the token.
func (d *Daemon) rotate(ctx context.Context) (admin.Rotated, error) {
	d.rotating.Lock() // another rotation must not retire the key that this one uses
	defer d.rotating.Unlock()
	if err := d.root.Rotate(d.now()); err != nil {
		return admin.Rotated{}, err
	}
	n, err := d.sealer.Rewrap(ctx)
	if err != nil {
		return admin.Rotated{}, fmt.Errorf("the data keys keep the old root key, which stays where it is: %w", err)
	}
	return admin.Rotated{RootKey: d.root.CurrentID(), DataKeys: n, InHSM: d.settings.RootKey.HSM}, d.root.Retire()
}

// purge removes what has been deleted long enough, at the start and then every
// minute.
func (d *Daemon) purge(ctx context.Context) error {
	tick := time.NewTicker(certificate.PurgePeriod)
	defer tick.Stop()
	for {
		err := errors.Join(
			d.certs.PurgeDue(ctx, d.recordPurge(access.CertificatePurgeDue)),
			d.keys.PurgeDue(ctx, d.recordPurge(access.KeyPurgeDue)),
			d.secrets.PurgeDue(ctx, d.recordPurge(access.SecretPurgeDue)))
		if err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "purging what is due", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// logged serves a request of the login door and logs it: one event, as the data
// plane does by itself.
func (d *Daemon) logged(door http.Handler, w http.ResponseWriter, r *http.Request) {
	began := d.now()
	sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	door.ServeHTTP(sw, r)
	level := slog.LevelInfo
	if sw.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	d.log.LogAttrs(r.Context(), level, "request", slog.String("door", "login"), slog.String("method", r.Method),
		slog.Int("status", sw.status), slog.Duration("duration", d.now().Sub(began)), slog.String("path", r.URL.Path))
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// tokenRecorder records refused tokens; successful ones are as frequent as
// requests (contract observability.md, 3.5: off by default).
type tokenRecorder struct{ attempts *access.Recorder }

func (t tokenRecorder) RecordToken(_ context.Context, ev login.Event) error {
	if ev.Issued {
		return t.attempts.Healthy()
	}
	a := t.attempts.Begin(ev.Time)
	a.OnResource(access.TokenRefuse, access.Target{})
	a.Authenticated(access.Caller{ObjectID: ev.ObjectID, AppID: ev.AppID})
	a.Arrived(audit.Request{Address: ev.Source, CorrelationID: ev.Correlation}, netip.Addr{}, "")
	return a.Finish(audit.Outcome{Status: http.StatusUnauthorized, ErrorCode: ev.Error, Message: fmt.Sprintf("AADSTS%d", ev.Number)})
}

// group runs functions until they return.
type group struct {
	failed chan error // the first failure
	wg     sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

func newGroup(fns ...func() error) *group {
	g := &group{failed: make(chan error, len(fns))}
	for _, fn := range fns {
		g.wg.Go(func() {
			if err := fn(); err != nil {
				g.mu.Lock()
				g.errs = append(g.errs, err)
				g.mu.Unlock()
				g.failed <- err
			}
		})
	}
	return g
}

func (g *group) wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}
