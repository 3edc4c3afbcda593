package keyvault

import (
	"slices"
	"strings"

	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// maxHosts bounds the headers kept: whoever calls chooses among many spellings of
// our own names.
const maxHosts = 1024

// locate resolves a Host header. What it stands for is kept, for clients send the
// same one again and again.
func (s *Server) locate(header string, _ *rest.Path) (pipeline.Place, error) {
	if p, found := s.hosts.Get(header); found {
		return p, nil
	}
	header = strings.Clone(header) // without the rest of what was received with it
	p, served := s.resolve(header)
	if !served {
		return pipeline.Place{}, pipeline.NoVault()
	}
	s.hosts.Put(header, p)
	return p, nil
}

// resolve reads a Host header; false for a name that is not ours, or that cannot be
// one of a vault.
func (s *Server) resolve(header string) (pipeline.Place, bool) {
	a, valid := rest.ParseHost(header)
	if !valid || a.Label != "" && vault.ParseName(a.Label) != nil {
		return pipeline.Place{}, false
	}
	name, served := s.vaultName(a)
	if name == "" {
		name = strings.ToLower(s.cfg.DefaultVault)
	}
	if !served || name == "" {
		return pipeline.Place{}, false
	}
	return pipeline.Place{Address: a, Vault: name, Audiences: s.cfg.Audiences(a.Host)}, true
}

// vaultName is the vault that an address means, "" for the default one; served
// is false for a name that is not ours.
func (s *Server) vaultName(a rest.Address) (name string, served bool) {
	if a.Label == "" || s.cfg.Suffixes == nil {
		return a.Label, true
	}
	_, suffix, _ := strings.Cut(a.Name(), ".")
	if slices.Contains(s.cfg.Suffixes, suffix) {
		return a.Label, true
	}
	return "", slices.Contains(s.cfg.Names, a.Name())
}
