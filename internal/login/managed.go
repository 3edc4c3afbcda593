package login

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"coffer/internal/directory"
	"coffer/internal/seal"
	"coffer/internal/token"
)

// managedBody is a managed identity's token: one body for the clients of all
// languages (contract identity.md, 6.3). Java and .NET want expires_on to be a
// string, older Python wants resource, MSAL Python wants expires_in.
type managedBody struct {
	Token     string `json:"access_token"`
	ExpiresOn string `json:"expires_on"`
	ExpiresIn string `json:"expires_in"`
	Resource  string `json:"resource"`
	Type      string `json:"token_type"`
	ClientID  string `json:"client_id"`
	NotBefore string `json:"not_before"`
}

type managedError struct {
	Status      int    `json:"statusCode"`
	Message     string `json:"message"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

var (
	errHeader   = &refusal{401, "invalid_client", 7000215, "The X-IDENTITY-HEADER is missing or unknown."}
	errIdentity = &refusal{400, "invalid_request", 50034, "The identity that was asked for is not the one of the X-IDENTITY-HEADER."}
)

// managedIdentity answers the App Service form. The header alone says who asks.
func (s *Server) managedIdentity(w http.ResponseWriter, r *http.Request) {
	event := s.event(r)
	event.Credential = directory.IdentityHeader
	body, err := s.managedToken(r, &event)
	if err == nil {
		err = s.record(r, event)
	}
	if err != nil {
		s.deny(r, &event, err)
		why := denied(err)
		if s.tooMany(r, why) {
			s.later(w, r, errTooMany)
			return
		}
		mayPass(w, why)
		s.reply(w, why.status, managedError{why.status, why.text, why.code, why.Error()})
		return
	}
	s.reply(w, http.StatusOK, body)
}

func (s *Server) managedToken(r *http.Request, event *Event) (body managedBody, err error) {
	proof, err := s.dir.ByIdentityHeader(r.Context(), seal.NewValue([]byte(r.Header.Get("X-IDENTITY-HEADER"))))
	switch err {
	case nil:
	case directory.WrongSecret, directory.ExpiredSecret, directory.DisabledClient:
		return body, errHeader // which of them is the operator's to know
	default:
		return body, err
	}
	event.proved(proof)
	p := proof.Principal
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return body, &refusal{400, "invalid_request", 90013, "The query is malformed."}
	}
	q := fields(query)
	for name, own := range map[string]string{"client_id": p.AppID, "object_id": p.ObjectID, "mi_res_id": p.ResourceID()} {
		asked, err := q.one(name, maxText)
		if err != nil {
			return body, err
		}
		if asked != "" && !strings.EqualFold(asked, own) {
			return body, errIdentity
		}
	}
	resource, err := q.one("resource", maxText)
	switch {
	case err != nil:
		return body, err
	case resource == "":
		return body, missing("resource")
	case !s.audience(resource):
		return body, errResource
	}
	t, err := s.mint(r, proof, event, resource)
	if err != nil {
		return body, err
	}
	return managedBody{
		Token: string(t.Text.Reveal()), ExpiresOn: seconds(t.Expires), ExpiresIn: strconv.FormatInt(lasts(t), 10), Resource: resource,
		Type: "Bearer", ClientID: p.AppID, NotBefore: seconds(t.NotBefore),
	}, nil
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// lasts is a token's life in seconds, one less than it has: by the time that a
// client counts from, some of it is gone.
func lasts(t token.Token) int64 { return int64(t.Expires.Sub(t.NotBefore)/time.Second) - 1 }
