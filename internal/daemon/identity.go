package daemon

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"coffer/internal/audience"
	"coffer/internal/authn"
	"coffer/internal/directory"
	"coffer/internal/fresh"
	"coffer/internal/store"
	"coffer/internal/tlsprofile"
	"coffer/internal/token"
)

// identity is who is who: the principals, their tokens, and who checks them.
type identity struct {
	dir      *directory.Directory
	tokens   *token.Service
	verifier *authn.Verifier
}

// identity makes what says who is who; base is where the login door answers.
func (d *Daemon) identity(base string, rights fresh.Source) (who identity, err error) {
	who.dir, err = directory.New(directory.Config{DB: store.For[directory.Tx]{DB: d.db}, Fresh: rights, Now: d.now})
	if err != nil {
		return who, err
	}
	who.tokens, err = token.New(token.Config{
		DB: store.For[token.Tx]{DB: d.db}, Sealer: d.sealer, Directory: who.dir,
		TenantID: d.settings.Tenant, BaseURL: base, Now: d.now, Log: d.log,
	})
	if err != nil {
		return who, err
	}
	who.verifier, err = d.verifier(who)
	return who, err
}

func (d *Daemon) verifier(who identity) (*authn.Verifier, error) {
	cfg := authn.Config{Directory: who.dir, Tokens: who.tokens, DB: store.For[authn.Tx]{DB: d.db}, Now: d.now, Log: d.log}
	for _, is := range d.settings.Identity.Issuers {
		cfg.Issuers = append(cfg.Issuers, authn.Issuer{
			URL: is.Issuer, JWKSURI: is.JWKSURI, TenantID: d.settings.Tenant, Audiences: is.Audiences,
			Claims: authn.ClaimMap{ObjectID: is.Claims["object_id"], AppID: is.Claims["app_id"], Groups: is.Claims["groups"]},
		})
	}
	cfg.HTTP = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		TLSClientConfig: tlsprofile.Apply(&tls.Config{}),
	}}
	return authn.New(cfg)
}

// baseURL is where clients reach the login door.
func (d *Daemon) baseURL(address string) (string, error) {
	if d.settings.URL != "" {
		return strings.TrimSuffix(d.settings.URL, "/"), nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if port == "443" {
		return "https://localhost", nil
	}
	return "https://localhost:" + port, nil
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
