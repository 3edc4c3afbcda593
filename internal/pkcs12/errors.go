package pkcs12

import (
	"errors"
	"fmt"
)

// The failures of reading. None holds a byte of the input or of the password.
var (
	// ErrPassword means that the password does not open the file. A damaged file
	// can look the same: neither a MAC nor a padding tells the two apart.
	ErrPassword = errors.New("pkcs12: the password does not open it, or it is damaged")
	// ErrTooCostly means that deriving the keys would take more work than one file
	// may ask for.
	ErrTooCostly = errors.New("pkcs12: the key derivation is too costly")
	// ErrFormat means that the bytes are not what they should be, or use an
	// algorithm that is not supported.
	ErrFormat = errors.New("pkcs12: unreadable")
)

// badFormat is an ErrFormat that says what is wrong.
func badFormat(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}
