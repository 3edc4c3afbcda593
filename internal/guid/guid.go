package guid

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"coffer/internal/fips"
)

// Bytes is the length of a GUID with its hyphens.
const Bytes = 36

// Zero is the id of nobody.
const Zero = "00000000-0000-0000-0000-000000000000"

// New makes a random GUID (RFC 9562, section 5.4).
func New() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return format(b, 4)
}

// OfSubject makes the stable GUID of a subject of another issuer: version 5 of the
// subject, in the name space that is version 5 of the issuer among URLs (RFC 9562,
// sections 5.5 and 6.6; contract identity.md, 8). SHA-1 serves as a name here, not as
// a proof: the signature was checked.
func OfSubject(issuer, subject string) string { return named(issuer, subject) }

// OfGroup is OfSubject of a group, whose names have a name space of their own: whoever
// may name groups at the issuer cannot make one that is a subject here. An issuer has
// no fragment, so that the space is no issuer's.
func OfGroup(issuer, group string) string { return named(issuer+"#groups", group) }

// named is the GUID of a name in the name space of a URL.
func named(url, name string) string {
	urls := [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	return format(version5(version5(urls, url), name), 5)
}

func version5(space [16]byte, name string) (id [16]byte) {
	sum := fips.NameSHA1(space[:], []byte(name))
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 5<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

func format(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Parse gives the canonical form, lower case, of 8-4-4-4-12 hex digits. No
// other spelling is a GUID, so that one principal has one name.
func Parse(s string) (string, bool) {
	if len(s) != Bytes {
		return "", false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return "", false
			}
			continue
		}
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// Valid reports whether Parse takes s.
func Valid(s string) bool {
	_, ok := Parse(s)
	return ok
}
