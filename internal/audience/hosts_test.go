package audience_test

import (
	"testing"

	"coffer/internal/audience"
)

func TestHostsAreOurOwnOnly(t *testing.T) {
	h := audience.Hosts{Suffix: "vault.test", Names: []string{"login.example.net"}}
	for name, want := range map[string]bool{
		"localhost": true, "vault.test": true, "kv1.vault.test": true, "login.example.net": true,
		"": false, "evilvault.test": false, "vault.test.evil": false, "a.login.example.net": false, "127.0.0.1": false,
	} {
		if got := h.Have(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	for resource, want := range map[string]bool{
		"https://vault.azure.net": true, "https://vault.azure.net/": true, "cfa8b339-82a2-471a-a3c9-0fc0be7a4093": true,
		"https://vault.test": true, "https://VAULT.test:8443/": true,
		"": false, "http://vault.test": false, "https://kv1.vault.test": false, "https://vault.test/x": false, "https://vault.test?x": false,
		"https://a@vault.test": false, "https://management.azure.com": false, "https://login.example.net": false,
	} {
		if got := h.Serve(resource); got != want {
			t.Errorf("%q: %v, want %v", resource, got, want)
		}
	}
}
