package audience

import (
	"net/url"
	"slices"
	"strings"
)

// Hosts are the DNS names of one server, in lower case.
type Hosts struct {
	Suffix string   // the name of a vault's host ends in a dot and this
	Names  []string // further names
}

// Have reports whether a host name, in lower case and without port, is the
// server's own.
func (h Hosts) Have(name string) bool {
	return name == "localhost" || name == h.Suffix || strings.HasSuffix(name, "."+h.Suffix) || slices.Contains(h.Names, name)
}

// Serve reports whether tokens for a resource open vaults of the server.
func (h Hosts) Serve(resource string) bool {
	if slices.Contains(Of("localhost", nil), resource) {
		return true
	}
	u, err := url.Parse(resource)
	if err != nil || u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return false
	}
	return strings.EqualFold(u.Hostname(), h.Suffix)
}
