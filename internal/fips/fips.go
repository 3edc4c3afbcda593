package fips

import (
	"crypto/fips140"
	"crypto/sha1"
)

// Enforced reports whether only what FIPS 140-3 approves may be used.
func Enforced() bool { return fips140.Enforced() }

// Excludes says why something is refused, for its caller.
func Excludes(what string) string {
	return what + " is not approved by FIPS 140-3, and this vault runs in FIPS mode (GODEBUG=fips140=only)"
}

// NameSHA1 is the SHA-1 of the parts together, as the name of something: thumbprints (x5t), key identifiers (RFC 5280,
// section 4.2.1.2) and GUIDs of names (RFC 9562, section 5.5) are defined by it. It proves nothing, and FIPS 140-3 does not
// govern it.
func NameSHA1(parts ...[]byte) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() {
		h := sha1.New()
		for _, p := range parts {
			h.Write(p)
		}
		h.Sum(sum[:0])
	})
	return sum
}
