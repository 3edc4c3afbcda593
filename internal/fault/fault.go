package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind groups failures by what the caller can do about them.
type Kind int

// The kinds of failure. The comment names what the caller should change.
const (
	Invalid     Kind = iota + 1 // the request: a field is missing, malformed or out of bounds
	Forbidden                   // nothing about the request; the caller may not, or the object's state forbids it
	NotFound                    // the name, version or operation does not exist
	Conflict                    // the object's state, by another operation first
	Unsupported                 // the vault cannot do this at all
	Busy                        // the time: try again after RetryAfter
	Unavailable                 // nothing: the vault cannot serve now; try again after RetryAfter
	TooLarge                    // the size of the request
)

// Subject is the family of the thing that a failure is about. The doors make
// the wire code of a NotFound from it.
type Subject string

// The subjects.
const (
	Certificate        Subject = "Certificate"
	PendingCertificate Subject = "PendingCertificate"
	CertificateIssuer  Subject = "CertificateIssuer"
	Contacts           Subject = "Contacts"
	Key                Subject = "Key"
	Secret             Subject = "Secret"
	Vault              Subject = "Vault"
)

// Reason is a stable word that programs branch on (contract errors.md, 4.1: the
// inner code). Empty when there is nothing more precise than the Kind.
type Reason string

// The reasons, spelled as on the wire.
const (
	AccessDenied                  Reason = "AccessDenied"
	ForbiddenByPolicy             Reason = "ForbiddenByPolicy"
	ForbiddenByRbac               Reason = "ForbiddenByRbac"
	ForbiddenByFirewall           Reason = "ForbiddenByFirewall"
	ForbiddenByConnection         Reason = "ForbiddenByConnection"
	SecretDisabled                Reason = "SecretDisabled"
	KeyDisabled                   Reason = "KeyDisabled"
	KeyManagedByKeyVault          Reason = "KeyManagedByKeyVault"
	SecretManagedByKeyVault       Reason = "SecretManagedByKeyVault"
	KeyTypeNotSupported           Reason = "KeyTypeNotSupported"
	KeySizeNotSupported           Reason = "KeySizeNotSupported"
	ObjectIsDeletedButRecoverable Reason = "ObjectIsDeletedButRecoverable"
	MalformedBackup               Reason = "MalformedBackup" // a backup blob that does not open
)

// Error is a failure that the caller can act on.
type Error struct {
	Kind       Kind
	Reason     Reason        // "" when the kind says it all
	Subject    Subject       // what is absent or in the way; "" when it is the request itself
	Field      string        // Invalid: the member at fault, as in the request ("policy.x509_props")
	Msg        string        // for the caller; never holds a secret
	RetryAfter time.Duration // Busy and Unavailable: when to try again; zero means a second
	Err        error         // the cause, for the log only
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Msg, e.Err)
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// InvalidField is a field whose value is refused. The message follows the
// recorded pattern, line end included (contract certificates.md, 6.10); detail,
// when given, is a sentence that helps and never repeats the value.
func InvalidField(field, detail string) *Error {
	msg := "Property " + field + " has invalid value"
	if detail != "" {
		msg += ". " + detail
	}
	return &Error{Kind: Invalid, Field: field, Msg: msg + "\r\n"}
}

// MissingField is a required field that is absent.
func MissingField(field string) *Error {
	return &Error{Kind: Invalid, Field: field, Msg: "Property '" + field + "' is required.\r\n"}
}

// Is reports whether err is a failure of the given kind.
func Is(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}
