package authn

import (
	"strings"
	"unicode"
)

// The prefixes of a 401 (contract identity.md, 4; access-control.md, 9.1). The
// service's own list is public only in part: 10001, 10010, 10011, 10021 and
// 10023 are numbers of our choice.
const (
	NoToken       = "AKV10000"
	Malformed     = "AKV10001"
	Expired       = "AKV10010"
	NotYetValid   = "AKV10011"
	WrongSigner   = "AKV10021" // the signature does not verify
	WrongAudience = "AKV10022"
	Barred        = "AKV10023" // the principal is disabled, deleted, or not this issuer's to name
	WrongIssuer   = "AKV10032"
	UnknownKey    = "AKV10046"
)

// Refusal says why a request is not authenticated. The door answers 401 with
// the challenge; the message never holds a claim beyond those it names, nor a
// signature.
type Refusal struct {
	Code string // AKV10000 and so on
	Msg  string // without the code
}

// Error is the message as the wire has it: the code, a colon, the text.
func (r *Refusal) Error() string { return r.Code + ": " + r.Msg }

func malformed(what string) *Refusal {
	return &Refusal{Malformed, "The token is malformed: " + what + "."}
}

// quoted makes text from a token fit to repeat: printable ASCII, bounded.
func quoted(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
