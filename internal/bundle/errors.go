package bundle

import (
	"errors"

	"coffer/internal/pkcs12"
)

// Error is a refusal of what a caller handed in.
type Error struct {
	Msg string // for the caller: the exact text of the contract (certificates.md, 15.3; errors.md, 4.2)
	Err error  // the cause, for the log; holds nothing of the content or the password. May be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// unreadable is the refusal of content that one of the codecs did not open: msg,
// unless it would have cost too much to try.
func unreadable(msg string, err error) *Error {
	if errors.Is(err, pkcs12.ErrTooCostly) {
		msg = msgCostly
	}
	return &Error{Msg: msg, Err: err}
}

const (
	msgPKCS12Unreadable = "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format."
	msgPEMUnreadable    = "The specified PEM X.509 certificate content can not be read. Please check if certificate is in valid PEM format. Accepted formats: PEM content or Base64 encoded PEM content."
	msgPEMUnexpected    = "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format."
	msgPEMNoKey         = "Private key is not specified in the specified X.509 PEM certificate content. Please specify private key in the X.509 PEM certificate content."
	msgNoKey            = "No certificate with private key found in the specified X.509 certificate content. Please specify X.509 certificate content with only one certificate containing private key."
	msgInvalid          = "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid."
	msgCostly           = "The key derivation of the specified content is too costly. At most 600000 iterations in all are accepted."
	msgTooLong          = "The size of the X.509 certificate is too long"
	msgNoElements       = "Property x5c has invalid value\r\n"
)
