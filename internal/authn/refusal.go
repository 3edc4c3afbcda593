package authn

import (
	"slices"
	"strings"
	"unicode"

	"coffer/internal/audience"
)

// The prefixes of a 401 (contract identity.md, 4; access-control.md, 9.1). The
// service's own list is public only in part: 10001, 10010, 10011, 10012, 10021
// and 10023 are numbers of our choice.
const (
	NoToken       = "AKV10000"
	Malformed     = "AKV10001"
	Expired       = "AKV10010"
	NotYetValid   = "AKV10011"
	TooLong       = "AKV10012" // good for longer than 24 hours
	WrongSigner   = "AKV10021" // the signature does not verify
	WrongAudience = "AKV10022"
	Barred        = "AKV10023" // the principal is disabled, deleted, or not this issuer's to name; or the token is revoked
	WrongIssuer   = "AKV10032"
	UnknownKey    = "AKV10046"
)

// Refusal says why a request is not authenticated. The door answers 401 with
// the challenge; the message never holds a claim beyond those it names, nor a
// signature.
type Refusal struct {
	Code string // AKV10000 and so on
	Msg  string // without the code

	// Renew tells that another token may be good, so that the client is to get one
	// although its own has not expired.
	Renew bool
}

// Error is the message as the wire has it: the code, a colon, the text.
func (r *Refusal) Error() string { return r.Code + ": " + r.Msg }

func malformed(what string) *Refusal {
	return &Refusal{Code: Malformed, Msg: "The token is malformed: " + what + "."}
}

// The refusals of what the configuration of issuers decides begin with the service's
// sentence where it has one. Then they say what this token would need: the caller can
// tell that to whoever keeps the configuration.

// wrongIssuer names the issuers of a tenant; of all when tenant is "".
func (v *Verifier) wrongIssuer(found, tenant string) *Refusal {
	var expected []string
	need := "It needs an entry in identity.issuers with exactly this issuer."
	for _, i := range v.issuers {
		if tenant == "" || strings.EqualFold(i.tenant, tenant) {
			expected = append(expected, i.url)
		}
		if i.url != found && strings.EqualFold(strings.TrimSuffix(i.url, "/"), strings.TrimSuffix(found, "/")) {
			need = "The entry '" + i.url + "' in identity.issuers is spelled otherwise: issuers are compared exactly."
		}
	}
	return &Refusal{Code: WrongIssuer, Msg: "Invalid issuer. Expected one of " + strings.Join(expected, ", ") + ", found " + quoted(found, 256) + ". " + need}
}

// wrongTenant is for a token of the issuer whose tid is not the one of its entry.
func (i *issuer) wrongTenant(tid string) *Refusal {
	found := "has the tid '" + quoted(tid, maxTID) + "'"
	if tid == "" {
		found = "has no tid"
	}
	return &Refusal{Code: WrongIssuer, Msg: "Invalid issuer. The token of " + i.url + " " + found + ", and needs '" + i.tid +
		"', which is the tenant of its issuer's entry in identity.issuers."}
}

// wrongAlgorithm is for a token that is signed with another algorithm than its issuer
// may use.
func (i *issuer) wrongAlgorithm(alg string) *Refusal {
	allowed := make([]string, len(i.algorithms))
	for n, a := range i.algorithms {
		allowed[n] = string(a)
	}
	return malformed("its alg is " + alg + ", and tokens of " + i.url + " need " + strings.Join(allowed, " or ") +
		", which are the algorithms of its entry in identity.issuers")
}

// unknownKey is for a token whose key the issuer does not have, or could not be asked
// for; header is its first part.
func (i *issuer) unknownKey(header string) *Refusal {
	text := "Unable to resolve the key used for signature validation. EncodedJwtHeader: '" + quoted(header, 1024) + "'."
	if !i.builtIn {
		text += " The keys of " + i.url + " have none of this kid and alg, or could not be fetched, which the server's log tells."
	}
	return &Refusal{Code: UnknownKey, Msg: text, Renew: i.builtIn}
}

// wrongAudience is for a token that was made for none of the audiences.
func (t *verified) wrongAudience(audiences []string) *Refusal {
	first := audience.VaultResource
	if len(audiences) > 0 {
		first = audiences[0]
	}
	text := "Invalid audience. Expected " + first + " or " + audience.VaultAppID + ", found: " + quoted(strings.Join(t.audience, ", "), 256) + "."
	if !t.issuer.builtIn {
		needed := slices.DeleteFunc(append([]string{first}, t.issuer.audiences...), func(a string) bool {
			return slices.Contains(audience.Public, a) && !slices.Contains(t.issuer.audiences, a)
		})
		text += " A token of " + t.issuer.url + " needs one of the audiences of its entry in identity.issuers"
		if len(needed) > 0 {
			text += ", or '" + needed[0] + "'"
		}
		text += "."
	}
	return &Refusal{Code: WrongAudience, Msg: text}
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
