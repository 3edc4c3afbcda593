package daemon

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/audience"
	"coffer/internal/authn"
	"coffer/internal/directory"
	"coffer/internal/issuance"
	"coffer/internal/issuer/selfsigned"
	"coffer/internal/store"
	"coffer/internal/token"
)

// ServiceVersion is what x-ms-keyvault-service-version shows: four dotted
// numbers, as the cloud service's own. The last two are this program's.
const ServiceVersion = "1.9.1.0"

// issuers are the drivers, by provider in lower case.
func issuers() map[string]issuance.Issuer {
	return map[string]issuance.Issuer{strings.ToLower(issuance.Self): selfsigned.Issuer{}}
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

// hosts are the names of this server. Clients may reach the default vault under
// the further ones.
func (d *Daemon) hosts() audience.Hosts {
	h := audience.Hosts{Suffix: d.settings.Suffix}
	if own := hostOf(d.settings.URL); own != "" {
		h.Names = append(h.Names, own)
	}
	for _, n := range d.settings.TLS.Names {
		h.Names = append(h.Names, strings.ToLower(n))
	}
	return h
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// backup copies the database to a file of this machine.
func (d *Daemon) backup(ctx context.Context, g access.Grant, path string) error {
	g.MustEverywhere(access.InstallationBackup)
	return d.db.Backup(ctx, path)
}
