package audit

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Bounds of what an unauthenticated caller can put into a record, in characters. The first is
// the contract's; a URI that the server accepts is shorter than the second.
const (
	maxText = 512
	maxURI  = 4096
)

// clip cuts s to max characters.
func clip(s string, max int) string {
	if len(s) <= max {
		return s
	}
	n := 0
	for i := range s {
		if n == max {
			return s[:i]
		}
		n++
	}
	return s
}

// masked are the query parameters whose values never reach the log: the skip
// token by the contract, the others because callers who should know better put
// credentials there (RFC 6750, section 2.3).
var masked = []string{"$skiptoken", "access_token", "client_secret", "client_assertion"}

// maskURI is uri with the values of masked parameters replaced by ***.
func maskURI(uri string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return clip(uri, maxURI)
	}
	query, _, _ = strings.Cut(query, "#")
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if isMasked(name) {
			parts[i] = name + "=***"
		}
	}
	return clip(path+"?"+strings.Join(parts, "&"), maxURI)
}

// isMasked compares the name as the server will read it. A name that does not
// decode is masked: nobody knows what it is.
func isMasked(name string) bool {
	plain, err := url.QueryUnescape(name)
	if err != nil {
		return true
	}
	for _, m := range masked {
		if strings.EqualFold(strings.TrimSpace(plain), m) {
			return true
		}
	}
	return false
}

// signature is the name of a status without blanks: NoContent for 204.
func signature(status int) string {
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// tlsName is a protocol version as crypto/tls numbers it, in the service's words.
func tlsName(version uint16) string {
	switch version {
	case 0x0303:
		return "TLS1_2"
	case 0x0304:
		return "TLS1_3"
	}
	return ""
}

// valid replaces what is not UTF-8, so that a line is always JSON for everyone.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
