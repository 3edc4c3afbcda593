package keyvault

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"coffer/internal/authn"
	"coffer/internal/fault"
)

// failure is a refusal as the wire shows it.
type failure struct {
	status     int
	code       string
	inner      string // "" for none
	message    string
	retryAfter int    // seconds; 0 for none
	challenge  string // of a 401
	allow      string // of a 405
	internal   error  // a cause that only the log may show
}

// errorBody is the envelope (contract errors.md, 1).
type errorBody struct {
	Error errorObject `json:"error"`
}

type errorObject struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Inner   *innerError `json:"innererror,omitempty"`
}

type innerError struct {
	Code string `json:"code"`
}

func (f *failure) body() errorBody {
	b := errorBody{errorObject{Code: f.code, Message: f.message}}
	if f.inner != "" {
		b.Error.Inner = &innerError{f.inner}
	}
	return b
}

// Error makes failures of the door itself travel as errors.
func (f *failure) Error() string { return f.message }

// kinds is the one table from kinds of failure to the wire (contract errors.md,
// 9). The code of a NotFound is made from its subject.
var kinds = map[fault.Kind]struct {
	status int
	code   string
}{
	fault.Invalid:     {http.StatusBadRequest, "BadParameter"},
	fault.Forbidden:   {http.StatusForbidden, "Forbidden"},
	fault.NotFound:    {http.StatusNotFound, "NotFound"},
	fault.Conflict:    {http.StatusConflict, "Conflict"},
	fault.Unsupported: {http.StatusBadRequest, "NotSupported"},
	fault.Busy:        {http.StatusTooManyRequests, "Throttled"},
	fault.Unavailable: {http.StatusServiceUnavailable, "ServiceUnavailable"},
	fault.TooLarge:    {http.StatusRequestEntityTooLarge, "RequestTooLarge"},
}

// malformedBackup is a code with blanks (contract errors.md, 4.2).
const malformedBackup = "Malformed backup blob"

// maxRetryAfter bounds what clients are told to wait, in seconds: more than 60
// makes some give up (contract errors.md, 8).
const maxRetryAfter = 10

// failureOf puts an error on the wire. What is not meant for the caller becomes
// a 500 that says only where the operator finds more.
func failureOf(err error, requestID string) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if r, ok := errors.AsType[*authn.Refusal](err); ok {
		return &failure{status: http.StatusUnauthorized, code: "Unauthorized", message: r.Error()}
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		if k, ok := kinds[e.Kind]; ok {
			return known(e, k.status, k.code)
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{status: http.StatusGatewayTimeout, code: "Timeout", message: "The request took too long.", internal: err}
	case errors.Is(err, context.Canceled): // the client is gone; nobody reads this
		return &failure{status: http.StatusServiceUnavailable, code: "ServiceUnavailable",
			message: "The request was cancelled.", retryAfter: 1, internal: err}
	}
	return internalFailure(err, requestID)
}

func internalFailure(err error, requestID string) *failure {
	return &failure{status: http.StatusInternalServerError, code: "InternalServerError",
		message: "An internal error occurred. Request id: " + requestID, internal: err}
}

func known(e *fault.Error, status int, code string) *failure {
	f := &failure{status: status, code: code, inner: string(e.Reason), message: cmp.Or(e.Msg, http.StatusText(status)), internal: e.Err}
	switch {
	case e.Reason == fault.MalformedBackup:
		f.code, f.inner = malformedBackup, ""
	case e.Kind == fault.NotFound:
		f.code = string(e.Subject) + f.code
	case e.Kind == fault.Busy || e.Kind == fault.Unavailable:
		seconds := int((e.RetryAfter + time.Second - 1) / time.Second)
		f.retryAfter = min(max(seconds, 1), maxRetryAfter)
	}
	return f
}

// What the door refuses by itself (contract errors.md, 4.5 to 4.7).

func noVault() *failure {
	return &failure{status: http.StatusNotFound, code: "VaultNotFound", message: "No vault is served under this host name."}
}

func noRoute() *failure {
	return &failure{status: http.StatusNotFound, code: "NotFound", message: "The requested resource does not exist."}
}

func noMethod(verb string, allow []string) *failure {
	return &failure{status: http.StatusMethodNotAllowed, code: "MethodNotAllowed",
		message: "HTTP " + excerpt(verb) + " not allowed", allow: strings.Join(allow, ", ")}
}

func badMediaType() *failure {
	return &failure{status: http.StatusUnsupportedMediaType, code: "UnsupportedMediaType",
		message: "The Content-Type of a body is application/json."}
}

func badName(name string) error {
	return &fault.Error{Kind: fault.Invalid, Field: "name", Msg: "The request URI contains an invalid name: " + excerpt(name)}
}
