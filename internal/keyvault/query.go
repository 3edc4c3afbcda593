package keyvault

import (
	"net/url"
	"strconv"
	"strings"

	"coffer/internal/fault"
	"coffer/internal/object"
)

// query holds the query parameters that mean something; all others are ignored.
// "" is absent.
type query struct {
	apiVersion     string
	versionClash   bool // api-version was given twice and differs
	maxResults     string
	skipToken      string
	includePending string
	requestID      string
	outContentType string
}

// parseQuery decodes names before it compares them, for the JavaScript clients
// write api%2Dversion (contract errors.md, 5). Of a parameter that is given
// twice the first counts. What does not decode stays as it is, and fails the
// check of its own parameter.
func parseQuery(raw string) query {
	var q query
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = unescape(name)
		if strings.EqualFold(name, "api-version") {
			v := unescape(value)
			if q.apiVersion == "" {
				q.apiVersion = v
			} else if !strings.EqualFold(q.apiVersion, v) {
				q.versionClash = true
			}
			continue
		}
		var to *string
		switch {
		case strings.EqualFold(name, "maxresults"):
			to = &q.maxResults
		case strings.EqualFold(name, "$skiptoken"):
			to = &q.skipToken
		case strings.EqualFold(name, "includePending"):
			to = &q.includePending
		case strings.EqualFold(name, "request_id"):
			to = &q.requestID
		case strings.EqualFold(name, "outContentType"):
			to = &q.outContentType
		}
		if to != nil && *to == "" {
			*to = unescape(value)
		}
	}
	return q
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

// version is the api-version of the request.
func (q query) version(newer bool) (apiVersion, error) {
	if q.versionClash {
		return apiVersion{}, fault.InvalidField("api-version", "It is given twice.")
	}
	return parseAPIVersion(q.apiVersion, newer)
}

// pageSize reads maxresults; given tells whether the caller asked.
func (q query) pageSize() (n int, given bool, err error) {
	if q.maxResults == "" {
		return object.DefaultPage, false, nil
	}
	n, err = strconv.Atoi(q.maxResults)
	if err != nil || n < object.MinPage || n > object.MaxPage {
		return 0, true, fault.InvalidField("maxresults", "")
	}
	return n, true, nil
}

// pending reads includePending, which versions before 7.0 do not know.
func (q query) pending(v apiVersion) (bool, error) {
	switch {
	case q.includePending == "" || !v.has(modernNames) || strings.EqualFold(q.includePending, "false"):
		return false, nil
	case strings.EqualFold(q.includePending, "true"):
		return true, nil
	}
	return false, fault.InvalidField("includePending", "")
}

// maxExcerpt bounds what of a caller's text a message repeats, in bytes.
const maxExcerpt = 256

// excerpt is the beginning of a text, fit for a message.
func excerpt(s string) string {
	if len(s) > maxExcerpt {
		s = s[:maxExcerpt] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
