package pkcs12

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"coffer/internal/fips"
)

// The failures of reading. None holds a byte of the input or of the password.
var (
	// ErrPassword means that the password does not open the file. A damaged file
	// can look the same: neither a MAC nor a padding tells the two apart.
	ErrPassword = errors.New("pkcs12: the password does not open it, or it is damaged")
	// ErrTooCostly means that deriving the keys would take more work than one file
	// may ask for: [MaxIterations] and [MaxCost].
	ErrTooCostly = errors.New("pkcs12: the key derivation is too costly")
	// ErrFormat means that the bytes are not what they should be. It comes as a
	// [*FormatError].
	ErrFormat = errors.New("pkcs12: unreadable")
	// ErrTwoKeys is an ErrFormat too: a file of more than one private key.
	ErrTwoKeys error = &FormatError{What: "more than one private key"}
)

// FormatError is an [ErrFormat] that says what is wrong.
type FormatError struct {
	What        string // a phrase, for whoever wrote the file
	Unsupported bool   // it may be a good file, but uses an algorithm that is not read
}

func (e *FormatError) Error() string { return ErrFormat.Error() + ": " + e.What }

func (e *FormatError) Unwrap() error { return ErrFormat }

func badFormat(format string, args ...any) error {
	return &FormatError{What: fmt.Sprintf(format, args...)}
}

// unsupported is the failure for an algorithm that is not read; what it is for.
func unsupported(what string, oid asn1.ObjectIdentifier) error {
	name := oid.String()
	if known := unreadNames[name]; known != "" {
		name = known + " (" + name + ")"
	}
	return &FormatError{What: what + " " + name + " is not supported", Unsupported: true}
}

// excluded is the failure for an algorithm that FIPS mode does not have; nil without that mode.
func excluded(what string) error {
	if !fips.Enforced() {
		return nil
	}
	return &FormatError{What: fips.Excludes(what), Unsupported: true}
}

// unreadNames are what others call algorithms that files in use have and that are
// not read here, by OID.
var unreadNames = map[string]string{
	"1.2.840.113549.1.5.1":      "PBE-MD2-DES",
	"1.2.840.113549.1.5.3":      "PBE-MD5-DES",
	"1.2.840.113549.1.5.4":      "PBE-MD2-RC2",
	"1.2.840.113549.1.5.6":      "PBE-MD5-RC2",
	"1.2.840.113549.1.5.10":     "PBE-SHA1-DES",
	"1.2.840.113549.1.5.11":     "PBE-SHA1-RC2",
	"1.2.840.113549.1.12.1.1":   "PBE-SHA1-RC4-128",
	"1.2.840.113549.1.12.1.2":   "PBE-SHA1-RC4-40",
	"1.2.840.113549.2.5":        "MD5",
	"1.2.840.113549.1.7.3":      "EnvelopedData",
	"1.2.840.113549.3.2":        "RC2-CBC",
	"1.2.156.10197.1.104.2":     "SM4-CBC",
	"1.2.392.200011.61.1.1.1.2": "Camellia-128-CBC",
	"1.2.392.200011.61.1.1.1.3": "Camellia-192-CBC",
	"1.2.392.200011.61.1.1.1.4": "Camellia-256-CBC",
	"1.3.14.3.2.7":              "DES-CBC",
	"1.2.643.2.2.21":            "GOST 28147-89",
	"2.16.840.1.101.3.4.1.6":    "AES-128-GCM",
	"2.16.840.1.101.3.4.1.26":   "AES-192-GCM",
	"2.16.840.1.101.3.4.1.46":   "AES-256-GCM",
}
