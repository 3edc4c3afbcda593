package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// Failure is a refusal on its way to the wire. It is an error, so that a door's own
// refusals travel like those of the rules.
type Failure struct {
	Status     int
	Code       string
	Inner      string // "" for none
	Message    string
	RetryAfter int    // seconds; 0 for none
	Challenge  string // of a 401
	Allow      string // of a 405
	Internal   error  // a cause that only the log may show
}

func (f *Failure) Error() string { return f.Message }

// Codes are the words that a door has for failures of the rules.
type Codes func(e *fault.Error) (code, inner string)

// statuses is the one table from kinds of failure to HTTP (contract errors.md, 9).
var statuses = map[fault.Kind]int{
	fault.Invalid:     http.StatusBadRequest,
	fault.Forbidden:   http.StatusForbidden,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.Unsupported: http.StatusBadRequest,
	fault.Busy:        http.StatusTooManyRequests,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.TooLarge:    http.StatusRequestEntityTooLarge,
}

// maxRetryAfter bounds what clients are told to wait, in seconds: more than 60
// makes some give up (contract errors.md, 8).
const maxRetryAfter = 10

// FailureOf makes a failure of an error. What is not meant for the caller becomes a
// 500 that says only where the operator finds more.
func FailureOf(err error, requestID string, codes Codes) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && statuses[e.Kind] != 0 {
		return known(e, codes)
	}
	switch {
	case errors.Is(err, object.ErrNotAuthentic):
		return &Failure{Status: http.StatusInternalServerError, Code: "InternalServerError", Internal: err,
			Message: "What is stored of this was changed outside of the vault, and is not used. The vault's log names it. Request id: " + requestID}
	case errors.Is(err, object.ErrOutcomeUnknown):
		return &Failure{Status: http.StatusGatewayTimeout, Code: "Timeout", Internal: err,
			Message: "The database did not confirm the operation: it may have taken effect, or not. Look before you repeat it."}
	case errors.Is(err, context.DeadlineExceeded):
		return &Failure{Status: http.StatusGatewayTimeout, Code: "Timeout", Message: "The request took too long.", Internal: err}
	case errors.Is(err, context.Canceled): // the client is gone; nobody reads this
		return Unavailable("The request was cancelled.", err)
	}
	return &Failure{Status: http.StatusInternalServerError, Code: "InternalServerError",
		Message: "An internal error occurred. Request id: " + requestID, Internal: err}
}

func known(e *fault.Error, codes Codes) *Failure {
	status := statuses[e.Kind]
	f := &Failure{Status: status, Message: cmp.Or(e.Msg, http.StatusText(status)), Internal: e.Err}
	f.Code, f.Inner = codes(e)
	if e.Kind == fault.Busy || e.Kind == fault.Unavailable {
		seconds := int((e.RetryAfter + time.Second - 1) / time.Second)
		f.RetryAfter = min(max(seconds, 1), maxRetryAfter)
	}
	return f
}

// Unavailable is a failure of the vault that passes.
func Unavailable(message string, err error) *Failure {
	return &Failure{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: message, RetryAfter: 1, Internal: err}
}

// NoRoute is the failure of a path that means nothing.
func NoRoute() *Failure {
	return &Failure{Status: http.StatusNotFound, Code: "NotFound", Message: "The requested resource does not exist."}
}

// NoMethod is the failure of a method that the path does not have.
func NoMethod(verb string, allow []string) *Failure {
	return &Failure{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed",
		Message: "HTTP " + Excerpt(verb) + " not allowed", Allow: strings.Join(allow, ", ")}
}

func badMediaType() *Failure {
	return &Failure{Status: http.StatusUnsupportedMediaType, Code: "UnsupportedMediaType",
		Message: "The Content-Type of a body is application/json."}
}

// BadName is the failure of a path with a name that cannot be one.
func BadName(name string) error {
	return &fault.Error{Kind: fault.Invalid, Field: "name", Msg: "The request URI contains an invalid name: " + Excerpt(name)}
}
