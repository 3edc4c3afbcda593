package rest

import (
	"net/url"
	"strings"
)

// Query is the query of a request. Parameters that nobody asks for are ignored;
// what does not decode stays as it is, and fails the check of its own parameter.
type Query struct{ raw string }

// ParseQuery takes the raw query.
func ParseQuery(raw string) Query { return Query{raw} }

// Get is a parameter's value, decoded; "" is absent. Names are decoded before they
// are compared without case, for the JavaScript clients write api%2Dversion (contract
// errors.md, 5). Of a parameter that is given twice the first counts.
func (q Query) Get(name string) string {
	for pair := range strings.SplitSeq(q.raw, "&") {
		if v, ok := value(pair, name); ok && v != "" {
			return v
		}
	}
	return ""
}

// Ambiguous tells whether a parameter is given twice, with values that differ.
func (q Query) Ambiguous(name string) bool {
	first := ""
	for pair := range strings.SplitSeq(q.raw, "&") {
		v, ok := value(pair, name)
		if ok && first != "" && !strings.EqualFold(first, v) {
			return true
		}
		if ok && first == "" {
			first = v
		}
	}
	return false
}

// value is the value of a pair that has this name.
func value(pair, name string) (string, bool) {
	n, v, _ := strings.Cut(pair, "=")
	if !strings.EqualFold(unescape(n), name) {
		return "", false
	}
	return unescape(v), true
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// maxExcerpt bounds what of a caller's text a message repeats, in bytes.
const maxExcerpt = 256

// Excerpt is the beginning of a text, fit for a message.
func Excerpt(s string) string {
	if len(s) > maxExcerpt {
		s = s[:maxExcerpt] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
