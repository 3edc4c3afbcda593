package object

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Family is one of the three kinds of object, spelled as in paths and ids.
type Family string

// The families.
const (
	Certificates Family = "certificates"
	Keys         Family = "keys"
	Secrets      Family = "secrets"
)

// VaultID identifies a vault for ever: 32 lower-case hex digits, made at its
// creation. A vault that is deleted and made again under the same name gets
// another one, so that nothing of the old reaches the new.
type VaultID string

// NewVaultID makes a random id.
func NewVaultID() VaultID { return VaultID(randomHex()) }

// maxName is the longest object name (contract certificates.md, 2.1).
const maxName = 127

// ErrName reports a string that is not an object name.
var ErrName = errors.New("a name has 1 to 127 characters of 0-9, a-z, A-Z and -")

// Name is the name of a certificate, key, secret or issuer. Names compare
// without case; the casing of the first use is what answers show. The zero Name
// stands for "no object" (lists, contacts).
type Name struct{ text string }

// ParseName checks s against ^[0-9a-zA-Z-]{1,127}$.
func ParseName(s string) (Name, error) {
	if len(s) == 0 || len(s) > maxName {
		return Name{}, ErrName
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-') {
			return Name{}, ErrName
		}
	}
	return Name{s}, nil
}

// MustName is ParseName for names that are known to be good.
func MustName(s string) Name {
	n, err := ParseName(s)
	if err != nil {
		panic("object: bad name " + s)
	}
	return n
}

// String is the name as it was written.
func (n Name) String() string { return n.text }

// Key is the canonical form: lower case. It is what is stored as the primary
// key, compared in scopes and bound into sealed boxes.
func (n Name) Key() string { return strings.ToLower(n.text) }

// IsZero reports whether n names nothing.
func (n Name) IsZero() bool { return n.text == "" }

// Version names one version: 32 lower-case hex digits. The zero Version means
// the current one.
type Version string

// ErrVersion reports a string that is not a version.
var ErrVersion = errors.New("a version has 32 hexadecimal characters")

// ParseVersion accepts either case and returns lower case.
func ParseVersion(s string) (Version, error) {
	if len(s) != 32 {
		return "", ErrVersion
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return "", ErrVersion
		}
	}
	return Version(strings.ToLower(s)), nil
}

// NewVersion makes a random version.
func NewVersion() Version { return Version(randomHex()) }

// NewRequestID makes the id of a pending operation: 32 lower-case hex digits.
func NewRequestID() string { return randomHex() }

func randomHex() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Attributes are what every version of every family carries. Times are UTC with
// a resolution of one second: that is what the wire shows.
type Attributes struct {
	Enabled   bool
	NotBefore *time.Time // nil: not set
	Expires   *time.Time // nil: not set
	Created   time.Time
	Updated   time.Time
}

// Tags are the caller's own labels. nil: none were ever given.
type Tags map[string]string

// Bounds of tags, in characters for the texts (contract certificates.md, 14;
// keys.md, 9.1; secrets.md, 5.1).
const (
	maxTags          = 15
	maxTagText       = 256
	maxSecretTagText = 512
)

// ErrTags reports tags beyond their bounds.
var ErrTags = errors.New("object: too many tags, or one that is too long")

// Check reports whether the tags stay within the bounds of their family.
func (t Tags) Check(f Family) error {
	longest := maxTagText
	if f == Secrets {
		longest = maxSecretTagText
	}
	if len(t) > maxTags {
		return ErrTags
	}
	for k, v := range t {
		if utf8.RuneCountInString(k) > longest || utf8.RuneCountInString(v) > longest {
			return ErrTags
		}
	}
	return nil
}

// Deletion is the state of a soft-deleted object.
type Deletion struct {
	At      time.Time // when it was deleted
	PurgeAt time.Time // when the vault purges it by itself: At + retention
}

// VersionKey names a version among those of all vaults, for what is kept of it.
type VersionKey struct {
	Vault   VaultID
	Name    string  // canonical
	Version Version // "": the current one
}

// PageSize bounds (contract certificates.md, 2.3).
const (
	MinPage     = 1
	MaxPage     = 25
	DefaultPage = 25
)

// Page asks for the items that follow After, at most Limit of them.
type Page struct {
	Limit int
	After string // the order key of the last item seen; "" from the start
}

// Second cuts t to what is stored and shown: UTC, whole seconds.
func Second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Head is the row that a name has whatever its versions: certificates, keys and
// secrets alike.
type Head struct {
	Vault    VaultID
	Name     Name
	Managed  bool      // owned by the certificate of the same name
	Current  Version   // "" when no version exists yet
	Deletion *Deletion // nil: live
}

// What a transaction answers when a row is not there, or already is.
var (
	ErrNotFound = errors.New("object: not found")
	ErrExists   = errors.New("object: already exists")
	// ErrNotAuthentic reports something stored that somebody who is not the vault has
	// changed, or put there: it is not used.
	ErrNotAuthentic = errors.New("object: what is stored was changed outside of the vault")
	// ErrOutcomeUnknown reports a commit whose answer was lost: what it was to make
	// durable is there, or is not.
	ErrOutcomeUnknown = errors.New("object: it is not known whether it took effect")

	// ErrChanged reports a compare-and-swap that lost: the row is no longer in
	// the state that the writer saw.
	ErrChanged = errors.New("object: changed meanwhile")
)
