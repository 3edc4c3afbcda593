package login

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"coffer/internal/directory"
	"coffer/internal/guid"
	"coffer/internal/seal"
	"coffer/internal/token"
)

const (
	maxBody      = 64 << 10
	maxFields    = 64
	maxID        = 64       // bytes of client_id, grant_type and the like
	maxText      = 1024     // of scope, resource, secret
	maxAssertion = 32 << 10 // of client_assertion; identity has the tighter bound
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// tokenBody is a token (contract identity.md, 5.5). The last three are of v1.
type tokenBody struct {
	Type      string `json:"token_type"`
	ExpiresIn int64  `json:"expires_in"`
	ExtIn     int64  `json:"ext_expires_in"`
	ExpiresOn string `json:"expires_on,omitempty"`
	NotBefore string `json:"not_before,omitempty"`
	Resource  string `json:"resource,omitempty"`
	Token     string `json:"access_token"`
}

// token answers a token request: form, grant, client, audience, in this order,
// so that only a known client learns which audiences there are.
func (s *Server) token(w http.ResponseWriter, r *http.Request, f form) {
	event := s.event(r)
	t, audience, err := s.grant(w, r, f, &event)
	if err == nil {
		err = s.record(r, event)
	}
	if err != nil {
		s.deny(r, &event, err)
		if s.tooMany(r, denied(err)) {
			s.later(w, r, errTooMany)
			return
		}
		mayPass(w, denied(err))
		s.refuse(w, r, denied(err))
		return
	}
	body := tokenBody{Type: "Bearer", ExpiresIn: lasts(t), ExtIn: lasts(t), Token: string(t.Text.Reveal())}
	if f != v2 {
		body.ExpiresOn, body.NotBefore, body.Resource = seconds(t.Expires), seconds(t.NotBefore), audience
	}
	s.reply(w, http.StatusOK, body)
}

func (s *Server) grant(w http.ResponseWriter, r *http.Request, f form, event *Event) (t token.Token, audience string, err error) {
	fields, err := readForm(w, r)
	if err != nil {
		return t, "", err
	}
	grant, err := fields.one("grant_type", maxID)
	if err != nil {
		return t, "", err
	}
	switch grant {
	case "client_credentials":
	case "":
		return t, "", missing("grant_type")
	default:
		return t, "", errGrantType
	}
	proof, err := s.client(r, fields, event)
	if err != nil {
		return t, "", err
	}
	event.proved(proof)
	if audience, err = fields.audience(f); err != nil {
		return t, "", err
	}
	if !s.audience(audience) {
		return t, "", errResource
	}
	t, err = s.mint(r, proof, event, audience)
	return t, audience, err
}

// mint makes the token and completes the event.
func (s *Server) mint(r *http.Request, proof directory.Proof, event *Event, audience string) (token.Token, error) {
	t, err := s.tokens.Mint(r.Context(), proof, audience)
	if err == nil {
		event.Issued, event.Audience, event.TokenID, event.KeyID, event.Expires = true, audience, t.ID, t.KeyID, t.Expires
	}
	return t, err
}

// client authenticates by client_secret, in the body or in HTTP Basic, or by
// client_assertion.
func (s *Server) client(r *http.Request, fields fields, event *Event) (directory.Proof, error) {
	var id, secret, assertion, kind string
	var errs [4]error
	id, errs[0] = fields.one("client_id", maxID)
	secret, errs[1] = fields.one("client_secret", maxText)
	assertion, errs[2] = fields.one("client_assertion", maxAssertion)
	kind, errs[3] = fields.one("client_assertion_type", 128)
	for _, err := range errs {
		if err != nil {
			return directory.Proof{}, err
		}
	}
	if user, password, ok := r.BasicAuth(); ok {
		// Both halves are form-encoded first (RFC 6749, section 2.3.1).
		name, err1 := url.QueryUnescape(user)
		pass, err2 := url.QueryUnescape(password)
		switch {
		case err1 != nil || err2 != nil || len(pass) > maxText:
			return directory.Proof{}, errSecret
		case secret != "" || assertion != "" || id != "" && id != name:
			return directory.Proof{}, errTwice
		}
		id, secret = name, pass
	}
	if parsed, ok := guid.Parse(id); ok {
		event.AppID = parsed
	}
	switch {
	case id == "":
		return directory.Proof{}, missing("client_id")
	case secret != "" && assertion != "":
		return directory.Proof{}, errTwice
	case secret != "":
		event.Credential = directory.Secret
		return s.dir.BySecret(r.Context(), id, seal.NewValue([]byte(secret)))
	case assertion == "":
		return directory.Proof{}, errNoProof
	case kind != jwtBearer:
		return directory.Proof{}, errAssertion
	}
	proof, how, err := s.verifier.ByAssertion(r.Context(), id, assertion, s.ownAudience)
	event.Credential = how
	return proof, err
}

// fields is the form in the body. What stands in the query is not read: a secret
// there would be in every log on the way.
type fields url.Values

func readForm(w http.ResponseWriter, r *http.Request) (fields, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, errTooLarge
	}
	if err != nil || strings.Count(string(body), "&") >= maxFields {
		return nil, errForm
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errForm
	}
	return fields(v), nil
}

// one gives a field that may occur once (RFC 6749, section 3.2).
func (f fields) one(name string, limit int) (string, error) {
	v := f[name]
	if len(v) == 0 {
		return "", nil
	}
	if len(v) > 1 || len(v[0]) > limit {
		return "", malformed(name)
	}
	return v[0], nil
}

// audience is the resource of v1, or the member of scope that ends in /.default
// without that end. Clients of AD FS send either.
func (f fields) audience(form form) (string, error) {
	resource, err := f.one("resource", maxText)
	if err != nil {
		return "", err
	}
	scope, err := f.one("scope", maxText)
	switch {
	case err != nil:
		return "", err
	case form != v2 && resource != "":
		return resource, nil
	case scope == "" && form == v1:
		return "", missing("resource")
	case scope == "":
		return "", missing("scope")
	}
	for _, member := range strings.Fields(scope) {
		switch audience, ok := strings.CutSuffix(member, "/.default"); {
		case ok && audience != "" && resource == "":
			resource = audience
		case member == "openid" || member == "offline_access" || member == "profile" || member == "email":
		default:
			return "", errScope
		}
	}
	if resource == "" {
		return "", errScope
	}
	return resource, nil
}

func (s *Server) event(r *http.Request) Event {
	return Event{Time: s.now().UTC(), Source: peer(r), Correlation: correlation(r)}
}

func (s *Server) record(r *http.Request, e Event) error {
	if s.recorder == nil {
		return nil
	}
	if err := s.recorder.RecordToken(r.Context(), e); err != nil {
		return fmt.Errorf("recording: %v", err) // whatever it is, nothing is issued
	}
	return nil
}

// mayPass tells the client when to try again what may be different then.
func mayPass(w http.ResponseWriter, why *refusal) {
	if why.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
}

// deny puts a refusal on record. That this fails changes nothing for the client,
// who is refused anyway.
func (s *Server) deny(r *http.Request, e *Event, err error) {
	why := denied(err)
	if why == errInternal || why == errBusy {
		s.log.ErrorContext(r.Context(), "issuing a token", "err", err)
	}
	e.Issued, e.Audience, e.TokenID, e.KeyID, e.Expires = false, "", "", "", time.Time{}
	e.Error, e.Number = why.code, why.number
	if err := s.record(r, *e); err != nil {
		s.log.ErrorContext(r.Context(), "recording a refused token", "err", err)
	}
}
