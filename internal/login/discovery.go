package login

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// self is this door's own base URL for a request: that of the Host it came by
// when that is ours, else the configured one. A Host that a client made up
// never reaches a document.
func (s *Server) self(r *http.Request) string {
	if s.isOwn(r.Host) {
		return "https://" + strings.ToLower(r.Host)
	}
	return s.base
}

// isOwn reports whether host, with or without a port, is this door. The port is
// not compared: a forwarded port is seen by the client only.
func (s *Server) isOwn(host string) bool {
	u, err := url.Parse("https://" + host)
	if err != nil || u.Host != host || u.Hostname() == "" {
		return false
	}
	name := strings.ToLower(u.Hostname())
	base, _ := url.Parse(s.base) // checked by New
	return name == base.Hostname() || s.ownHost(name)
}

// ownAudience reports whether a client assertion was made for us: for any of
// our issuers or token endpoints, under any of our names.
func (s *Server) ownAudience(aud string) bool {
	if len(aud) > maxPath {
		return false
	}
	u, err := url.Parse(aud)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !s.isOwn(u.Host) {
		return false
	}
	path := strings.ToLower(strings.TrimSuffix(u.Path, "/"))
	tenant, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if tenant == "" || !s.isTenant(tenant) {
		return false
	}
	return rest == "" || rest == "v2.0" || actions["/"+rest].action == issueToken
}

// document is OpenID discovery (contract identity.md, 5.2). MSAL wants the
// authorization endpoint to be named; nothing answers there, for no person signs
// in here, and for the same reason no device endpoint is named.
type document struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Scopes        []string `json:"scopes_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
}

func (s *Server) discovery(w http.ResponseWriter, r *http.Request, rt route) {
	d := document{
		ResponseTypes: []string{"code", "id_token"},
		GrantTypes:    []string{"client_credentials"},
		SubjectTypes:  []string{"pairwise"},
		Scopes:        []string{"openid", "profile", "email", "offline_access"},
		Algorithms:    []string{"RS256"},
		AuthMethods:   []string{"client_secret_post", "client_secret_basic", "private_key_jwt"},
	}
	base := s.self(r) + "/" + s.tokens.TenantID()
	switch rt.form {
	case v2:
		d.Issuer, d.Authorization = base+"/v2.0", base+"/oauth2/v2.0/authorize"
		d.Token, d.Keys = base+"/oauth2/v2.0/token", base+"/discovery/v2.0/keys"
	case adfs:
		base = s.self(r) + "/adfs"
		d.Issuer, d.Authorization = base, base+"/oauth2/authorize"
		d.Token, d.Keys = base+"/oauth2/token", base+"/discovery/keys"
	default:
		d.Issuer, d.Authorization = base+"/", base+"/oauth2/authorize"
		d.Token, d.Keys = base+"/oauth2/token", base+"/discovery/keys"
	}
	s.reply(w, http.StatusOK, d)
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	set, err := s.tokens.KeySet(r.Context())
	if err != nil {
		s.log.ErrorContext(r.Context(), "reading the key set", "err", err)
		mayPass(w, denied(err))
		s.refuse(w, r, denied(err))
		return
	}
	s.reply(w, http.StatusOK, set)
}

// userRealm tells clients that a user signs in at this authority itself (contract
// identity.md, 5.1); that its passwords are not served they learn at the token
// endpoint.
func (s *Server) userRealm(w http.ResponseWriter, r *http.Request, user string) {
	_, domain, _ := strings.Cut(user, "@")
	s.reply(w, http.StatusOK, struct {
		Version string `json:"ver"`
		Account string `json:"account_type"`
		Domain  string `json:"domain_name"`
		Cloud   string `json:"cloud_instance_name"`
		URN     string `json:"cloud_audience_urn"`
	}{"1.0", "Managed", domain, s.selfHost(r), "urn:federation:MicrosoftOnline"})
}

// selfHost is self without scheme and port.
func (s *Server) selfHost(r *http.Request) string {
	u, _ := url.Parse(s.self(r))
	return u.Hostname()
}

type cloud struct {
	Network string   `json:"preferred_network"`
	Cache   string   `json:"preferred_cache"`
	Aliases []string `json:"aliases"`
}

// instance vouches for our own hosts only (contract identity.md, 5.3).
func (s *Server) instance(w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || u.Scheme != "https" || !s.isOwn(u.Host) {
		s.refuse(w, r, &refusal{400, "invalid_instance", 50049, "The authority is unknown here."})
		return
	}
	s.reply(w, http.StatusOK, struct {
		Discovery string  `json:"tenant_discovery_endpoint"`
		Version   string  `json:"api-version"`
		Metadata  []cloud `json:"metadata"`
	}{
		s.self(r) + "/" + s.tokens.TenantID() + "/v2.0/.well-known/openid-configuration", "1.1",
		[]cloud{{u.Host, u.Host, []string{u.Host}}},
	})
}

const trustedRealm = "http://schemas.microsoft.com/rel/trusted-realm"

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// webFinger is how .NET checks an AD FS authority (contract identity.md, 5.4).
func (s *Server) webFinger(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	u, err := url.Parse(q.Get("resource"))
	if err != nil || u.Scheme != "https" || !s.isOwn(u.Host) || strings.Trim(u.Path, "/") != "" || q.Get("rel") != trustedRealm {
		s.refuse(w, r, errNoEndpoint)
		return
	}
	subject := "https://" + u.Host
	s.reply(w, http.StatusOK, struct {
		Subject string `json:"subject"`
		Links   []link `json:"links"`
	}{subject, []link{{trustedRealm, subject}}})
}

// peer is the address that a request came from, without its port.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
