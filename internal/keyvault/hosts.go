package keyvault

import (
	"slices"
	"strings"
)

// meaning is what a Host header stands for.
type meaning struct {
	address   address
	vault     string   // its name in lower case; whether there is one is another question
	audiences []string // what a token may be meant for
}

// maxHosts bounds the headers kept: a stranger chooses among many spellings of
// our own names.
const maxHosts = 1024

// meaning is what a Host header stands for; false for a name that is not ours. It
// is kept, for clients send the same one again and again.
func (s *Server) meaning(header string) (meaning, bool) {
	if m, found := s.hosts.Get(header); found {
		return m, true
	}
	m, served := s.locate(header)
	if served {
		s.hosts.Put(strings.Clone(header), m) // without the rest of what was received with it
	}
	return m, served
}

// locate reads a Host header; false for a name that is not ours.
func (s *Server) locate(header string) (meaning, bool) {
	a, valid := parseHost(strings.Clone(header))
	if !valid {
		return meaning{}, false
	}
	name, served := s.vaultName(a)
	if name == "" {
		name = strings.ToLower(s.cfg.DefaultVault)
	}
	return meaning{a, name, s.cfg.Audiences(a.host)}, served && name != ""
}

// vaultName is the vault that an address means, "" for the default one; served
// is false for a name that is not ours.
func (s *Server) vaultName(a address) (name string, served bool) {
	if a.label == "" || s.cfg.Suffixes == nil {
		return a.label, true
	}
	host := strings.ToLower(strings.TrimSuffix(a.host, ":"+a.port))
	_, suffix, _ := strings.Cut(host, ".")
	if slices.Contains(s.cfg.Suffixes, suffix) {
		return a.label, true
	}
	return "", slices.Contains(s.cfg.Names, host)
}
