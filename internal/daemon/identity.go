package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"coffer/internal/audience"
	"coffer/internal/authn"
	"coffer/internal/config"
	"coffer/internal/directory"
	"coffer/internal/fresh"
	"coffer/internal/management"
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
		TenantID: d.settings.Tenant, BaseURL: base, Fresh: rights, Now: d.now, Log: d.log,
	})
	if err != nil {
		return who, err
	}
	who.verifier, err = d.verifier(who)
	return who, err
}

func (d *Daemon) verifier(who identity) (*authn.Verifier, error) {
	cfg := authn.Config{
		Directory: who.dir, Tokens: who.tokens, DB: store.For[authn.Tx]{DB: d.db}, Entries: d.entries,
		HTTP: keyClient(nil), Now: d.now, Log: d.log,
	}
	var err error
	if cfg.Issuers, err = Issuers(d.settings); err != nil {
		return nil, err
	}
	for _, is := range cfg.Issuers {
		if is.GUIDsAreDerived() {
			d.log.Warn("the object ids of a tenant of Entra ID are not taken as they are: rights that name them give nothing without ids: own", "issuer", is.URL)
		}
	}
	return authn.New(cfg)
}

// Issuers are the external issuers of the settings, checked, with their CA files
// loaded.
func Issuers(c *config.Config) (made []authn.Issuer, err error) {
	for n, is := range c.Identity.Issuers {
		one, err := newIssuer(c, is)
		if err != nil {
			return nil, fmt.Errorf("identity.issuers[%d].%w", n, err)
		}
		made = append(made, one)
	}
	return made, authn.CheckIssuers(made)
}

func newIssuer(c *config.Config, is config.Issuer) (authn.Issuer, error) {
	made := authn.Issuer{
		URL: is.Issuer, JWKSURI: is.JWKSURI, TenantID: c.Tenant, TID: is.Tenant, OwnIDs: is.IDs == config.OwnIDs,
		Audiences: is.Audiences, Algorithms: is.Algorithms,
		Claims: authn.ClaimMap{ObjectID: is.Claims["object_id"], AppID: is.Claims["app_id"], Groups: is.Claims["groups"]},
	}
	if is.CA != "" {
		pem, err := os.ReadFile(c.Path(is.CA))
		if err != nil {
			return made, fmt.Errorf("ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return made, fmt.Errorf("ca: %s holds no certificate in PEM", is.CA)
		}
		made.HTTP = keyClient(roots)
	}
	return made, nil
}

// keyClient fetches keys of issuers, under the CAs of roots; nil: the system's.
func keyClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		TLSClientConfig: tlsprofile.Apply(&tls.Config{RootCAs: roots}),
	}}
}

// entries are the object ids that access policies and role assignments name.
func (d *Daemon) entries(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	err := store.For[management.Tx]{DB: d.db}.View(ctx, func(tx management.Tx) error {
		vaults, err := tx.Vaults(ctx)
		if err != nil {
			return err
		}
		for _, v := range vaults {
			for _, p := range v.AccessPolicies {
				named[strings.ToLower(p.ObjectID)] = true
			}
		}
		assignments, err := tx.Assignments(ctx)
		for _, a := range assignments {
			named[strings.ToLower(a.PrincipalID)] = true
		}
		return err
	})
	return named, err
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
