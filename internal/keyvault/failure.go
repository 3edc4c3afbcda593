package keyvault

import (
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/rest"
)

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

func newErrorBody(f *rest.Failure) any {
	b := errorBody{errorObject{Code: f.Code, Message: f.Message}}
	if f.Inner != "" {
		b.Error.Inner = &innerError{f.Inner}
	}
	return b
}

// kindCodes are the codes of contract errors.md, 9. That of a NotFound is made from
// its subject.
var kindCodes = map[fault.Kind]string{
	fault.Invalid: "BadParameter", fault.Forbidden: "Forbidden", fault.NotFound: "NotFound", fault.Conflict: "Conflict",
	fault.Unsupported: "NotSupported", fault.Busy: "Throttled", fault.Unavailable: "ServiceUnavailable", fault.TooLarge: "RequestTooLarge",
}

// malformedBackup is a code with blanks (contract errors.md, 4.2).
const malformedBackup = "Malformed backup blob"

func codes(e *fault.Error) (code, inner string) {
	switch {
	case e.Reason == fault.MalformedBackup:
		return malformedBackup, ""
	case e.Kind == fault.NotFound:
		return string(e.Subject) + kindCodes[e.Kind], string(e.Reason)
	}
	return kindCodes[e.Kind], string(e.Reason)
}

// subjects are what the families are called in messages.
var subjects = map[object.Family]fault.Subject{
	object.Certificates: fault.Certificate, object.Keys: fault.Key, object.Secrets: fault.Secret,
}
