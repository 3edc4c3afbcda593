package keyvault

import (
	"strings"
	"testing"

	"coffer/internal/rest"
)

// TestOnlyOurHostsNameVaults: the audience that a token must have follows from
// the host, so that a host of the caller's choice must not reach a vault.
func TestOnlyOurHostsNameVaults(t *testing.T) {
	s := &Server{cfg: Config{Suffixes: []string{"vault.example.net"}, Names: []string{"login.example.net"}}}
	for _, tt := range []struct {
		host, name string
		served     bool
	}{
		{"main.vault.example.net", "main", true},
		{"MAIN.Vault.Example.Net:8443", "main", true},
		{"main.evil.example", "", false},
		{"main.vault.example.net.evil.example", "", false},
		{"main.sub.vault.example.net", "", false},
		{"vault.example.net", "", false},
		{"main", "", false},
		{"login.example.net:8443", "", true},
		{"localhost:8443", "", true},
		{"127.0.0.1", "", true},
		{"[::1]:8443", "", true},
	} {
		a, ok := rest.ParseHost(tt.host)
		if !ok {
			t.Errorf("%s does not parse", tt.host)
			continue
		}
		if name, served := s.vaultName(a); name != tt.name || served != tt.served {
			t.Errorf("vaultName(%s) = %q, %t; want %q, %t", tt.host, name, served, tt.name, tt.served)
		}
	}
}

func TestHostsThatCannotNameAVault(t *testing.T) {
	s := &Server{cfg: Config{DefaultVault: "dev", Audiences: func(string) []string { return nil }}}
	for _, header := range []string{
		"a.b", "ab.test", "1dev.test", "de--v.test", "dev-.test", "de_v.test", strings.Repeat("a", 25) + ".test", "", "dev.vault.test:x",
	} {
		if got, ok := s.resolve(header); ok {
			t.Errorf("%q passes: %+v", header, got)
		}
	}
	for header, want := range map[string]string{"DEV.vault.test:8443": "dev", "team": "team", "localhost": "dev", "[::1]:443": "dev"} {
		if got, ok := s.resolve(header); !ok || got.Vault != want {
			t.Errorf("%q: %+v, %v", header, got, ok)
		}
	}
}
