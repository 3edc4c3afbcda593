package keyvault

import (
	"slices"
	"strings"
	"sync"
)

// meaning is what a Host header stands for.
type meaning struct {
	address   address
	vault     string   // its name in lower case; whether there is one is another question
	audiences []string // what a token may be meant for
}

// hosts keeps what the headers mean that clients send again and again.
type hosts struct {
	mu    sync.RWMutex
	known map[string]meaning // guarded by mu; of names that are ours
}

// maxHosts bounds the headers kept: a stranger chooses among many spellings of
// our own names.
const maxHosts = 1024

func (h *hosts) meaning(header string, locate func(string) (meaning, bool)) (meaning, bool) {
	h.mu.RLock()
	m, found := h.known[header]
	h.mu.RUnlock()
	if found {
		return m, true
	}
	m, served := locate(header)
	if !served {
		return meaning{}, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= maxHosts {
		h.known = map[string]meaning{}
	}
	h.known[strings.Clone(header)] = m // without the rest of what was received with it
	return m, true
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
