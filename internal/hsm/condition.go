//go:build hsm

package hsm

import (
	"errors"
	"time"

	"github.com/miekg/pkcs11"

	"coffer/internal/fault"
)

// condition is one way in which an HSM cannot serve.
type condition struct {
	msg   string        // for the caller, in words that the wire keeps
	retry time.Duration // when it is worth trying again
}

var (
	missing    = &condition{"The HSM token is not there.", 5 * time.Second}
	ambiguous  = &condition{"More than one HSM token matches the configured label: configure the serial number too.", time.Minute}
	gone       = &condition{"The HSM token failed or went away in use.", time.Second}
	failing    = &condition{"The HSM token is not there, or does not answer.", 5 * time.Second}
	connecting = &condition{"The HSM token is being connected.", time.Second}
	busy       = &condition{"The HSM is busy.", time.Second}
	full       = &condition{"The HSM token is full.", time.Minute}
	readOnly   = &condition{"The HSM token is write-protected.", time.Minute}
	noPIN      = &condition{"The PIN of the HSM token cannot be read.", 30 * time.Second}
	wrongPIN   = &condition{"The HSM token refuses the configured PIN.", time.Minute}
	expiredPIN = &condition{"The PIN of the HSM token has expired or was never set.", time.Minute}
	locked     = &condition{"The PIN of the HSM token is locked.", time.Minute}
	// A service that is started again and again would lock the HSM with its
	// last try.
	lastTry = &condition{"The HSM token takes one more wrong PIN before it locks: log in once with its maker's tool.", time.Minute}
	closed  = &condition{"The HSM is no longer in use.", time.Second}
)

// fault is the failure that a caller sees.
func (c *condition) fault(cause error) error {
	return &fault.Error{Kind: fault.Unavailable, Msg: c.msg, RetryAfter: c.retry, Err: cause}
}

// conditions says what return values mean (PKCS#11 v2.40, section 5.1). Those
// that are not here are mistakes of ours or of the data.
var conditions = map[pkcs11.Error]*condition{
	pkcs11.CKR_HOST_MEMORY:              gone,
	pkcs11.CKR_SLOT_ID_INVALID:          gone,
	pkcs11.CKR_GENERAL_ERROR:            gone,
	pkcs11.CKR_FUNCTION_FAILED:          gone,
	pkcs11.CKR_DEVICE_ERROR:             gone,
	pkcs11.CKR_DEVICE_REMOVED:           gone,
	pkcs11.CKR_FUNCTION_CANCELED:        gone,
	pkcs11.CKR_SESSION_CLOSED:           gone,
	pkcs11.CKR_SESSION_HANDLE_INVALID:   gone,
	pkcs11.CKR_USER_NOT_LOGGED_IN:       gone,
	pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED: gone,
	pkcs11.CKR_TOKEN_NOT_PRESENT:        gone,
	pkcs11.CKR_TOKEN_NOT_RECOGNIZED:     gone,
	pkcs11.CKR_DEVICE_MEMORY:            full,
	pkcs11.CKR_TOKEN_WRITE_PROTECTED:    readOnly,
	pkcs11.CKR_SESSION_COUNT:            busy,
	pkcs11.CKR_PIN_INCORRECT:            wrongPIN,
	pkcs11.CKR_PIN_INVALID:              wrongPIN,
	pkcs11.CKR_PIN_LEN_RANGE:            wrongPIN,
	pkcs11.CKR_PIN_LOCKED:               locked,
	pkcs11.CKR_PIN_EXPIRED:              expiredPIN,
	pkcs11.CKR_USER_PIN_NOT_INITIALIZED: expiredPIN,
}

// conditionOf says what an error tells of the HSM; nil: nothing.
func conditionOf(err error) *condition {
	rv, ok := errors.AsType[pkcs11.Error](err)
	switch {
	case !ok:
		return nil
	case rv >= pkcs11.CKR_VENDOR_DEFINED:
		return gone
	}
	return conditions[rv]
}

// is reports whether err is one of these return values.
func is(err error, values ...pkcs11.Error) bool {
	rv, ok := errors.AsType[pkcs11.Error](err)
	if !ok {
		return false
	}
	for _, v := range values {
		if rv == v {
			return true
		}
	}
	return false
}
