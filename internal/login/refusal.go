package login

import (
	"errors"
	"net/http"
	"strconv"

	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/guid"
)

// refusal is an OAuth error with the number that Entra ID gives it (contract
// identity.md, 5.5).
type refusal struct {
	status int
	code   string
	number int
	text   string
}

func (r *refusal) Error() string { return "AADSTS" + strconv.Itoa(r.number) + ": " + r.text }

var (
	errNoEndpoint  = &refusal{404, "invalid_request", 404, "There is no such endpoint."}
	errNoTenant    = &refusal{400, "invalid_tenant", 90002, "The tenant is not the one of this service."}
	errMethod      = &refusal{405, "invalid_request", 900561, "The endpoint does not accept this method."}
	errTooMany     = &refusal{429, "temporarily_unavailable", 90055, "There are too many requests from this address."}
	errBusy        = &refusal{503, "temporarily_unavailable", 90033, "The service is busy. Try again later."}
	errTooLarge    = &refusal{413, "invalid_request", 90013, "The request is too large."}
	errInternal    = &refusal{500, "server_error", 90033, "The service cannot answer now. Try again later."}
	errForm        = &refusal{400, "invalid_request", 90013, "The body must be a form of type application/x-www-form-urlencoded."}
	errTwice       = &refusal{400, "invalid_request", 90013, "The client proves itself in more than one way."}
	errGrantType   = &refusal{400, "unsupported_grant_type", 70003, "Only the grant type client_credentials is supported."}
	errScope       = &refusal{400, "invalid_scope", 70011, "The scope must hold exactly one resource, followed by /.default."}
	errResource    = &refusal{400, "invalid_resource", 500011, "The resource is not one that this server serves."}
	errNoClient    = &refusal{400, "unauthorized_client", 700016, "The application was not found in the directory."}
	errDisabled    = &refusal{400, "unauthorized_client", 7000112, "The application is disabled."}
	errSecret      = &refusal{401, "invalid_client", 7000215, "Invalid client secret provided."}
	errSecretEnded = &refusal{401, "invalid_client", 7000222, "The provided client secret has expired. The operator makes another: coffer identity secret."}
	errSignature   = &refusal{401, "invalid_client", 700027, "The client assertion is malformed or its signature is invalid."}
	errTimes       = &refusal{401, "invalid_client", 700024, "The client assertion is not within its valid time range, or was used before."}
	errTooLong     = &refusal{401, "invalid_client", 700024, "The client assertion is valid for longer than 24 hours."}
	errAssertedTo  = &refusal{401, "invalid_client", 700023, "The audience of the client assertion is not this service."}
	errFederation  = &refusal{401, "invalid_client", 70021, "No federated credential of the application matches the assertion."}
	errAssertion   = &refusal{400, "invalid_request", 900144, "The client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer."}
	errNoProof     = &refusal{401, "invalid_client", 7000218, "The body must contain client_assertion or client_secret."}
)

func missing(field string) *refusal {
	return &refusal{400, "invalid_request", 900144, "The request must contain the parameter '" + field + "'."}
}

func malformed(field string) *refusal {
	return &refusal{400, "invalid_request", 90014, "The parameter '" + field + "' occurs twice, or is too long."}
}

// denied is the wire form of what identity answers; anything but a Denial is
// a failure of ours, which passes if it is of a service that we depend on.
func denied(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	if fault.Is(err, fault.Unavailable) {
		return errBusy
	}
	var d directory.Denial
	if !errors.As(err, &d) {
		return errInternal
	}
	switch d {
	case directory.UnknownClient:
		return errNoClient
	case directory.DisabledClient:
		return errDisabled
	case directory.WrongSecret:
		return errSecret
	case directory.ExpiredSecret:
		return errSecretEnded
	case directory.BadSignature:
		return errSignature
	case directory.BadTimes:
		return errTimes
	case directory.TooLong:
		return errTooLong
	case directory.BadAudience:
		return errAssertedTo
	case directory.NotFederated:
		return errFederation
	}
	return errInternal
}

type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
	Timestamp   string `json:"timestamp"`
	Trace       string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
}

// refuse answers in the form of the token endpoint.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	if _, _, basic := r.BasicAuth(); basic && why.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="coffer"`) // RFC 6749, section 5.2
	}
	s.reply(w, why.status, errorBody{
		Error: why.code, Description: why.Error(), Codes: []int{why.number},
		Timestamp: s.now().UTC().Format("2006-01-02 15:04:05Z"),
		Trace:     guid.New(), Correlation: correlation(r),
	})
}

// correlation is the client's own id for the request if it is a GUID, else a
// new one.
func correlation(r *http.Request) string {
	if id, ok := guid.Parse(r.Header.Get("client-request-id")); ok {
		return id
	}
	return guid.New()
}
