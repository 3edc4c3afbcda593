package rest

import (
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	type result struct{ base, link, label string }
	for header, want := range map[string]result{
		"dev.vault.test":                    {base: "https://dev.vault.test", link: "https://dev.vault.test:443", label: "dev"},
		"DEV.vault.test:8443":               {base: "https://DEV.vault.test:8443", link: "https://DEV.vault.test:8443", label: "dev"},
		"dev.vault.test:443":                {base: "https://dev.vault.test", link: "https://dev.vault.test:443", label: "dev"},
		"dev":                               {base: "https://dev", link: "https://dev:443", label: "dev"},
		"localhost":                         {base: "https://localhost", link: "https://localhost:443"},
		"LOCALHOST:1":                       {base: "https://LOCALHOST:1", link: "https://LOCALHOST:1"},
		"192.0.2.1:8443":                    {base: "https://192.0.2.1:8443", link: "https://192.0.2.1:8443"},
		"[2001:db8::1]":                     {base: "https://[2001:db8::1]", link: "https://[2001:db8::1]:443"},
		"[2001:db8::1]:443":                 {base: "https://[2001:db8::1]", link: "https://[2001:db8::1]:443"},
		"my-team.localhost:65535":           {base: "https://my-team.localhost:65535", link: "https://my-team.localhost:65535", label: "my-team"},
		"kv1." + strings.Repeat("a", 63):    {base: "https://kv1." + strings.Repeat("a", 63), link: "https://kv1." + strings.Repeat("a", 63) + ":443", label: "kv1"},
		"dev.xn--bcher-kva.example.com:080": {base: "https://dev.xn--bcher-kva.example.com:080", link: "https://dev.xn--bcher-kva.example.com:080", label: "dev"},
	} {
		a, ok := ParseHost(header)
		if got := (result{a.Base, a.Link(), a.Label}); !ok || got != want || a.Host != header {
			t.Errorf("%s: %+v, %v", header, got, ok)
		}
	}
	for _, header := range []string{
		"", ":443", ".", "dev.", "dev..test", ".dev.test", "dev.vault.test:", "dev.vault.test:0", "dev.vault.test:65536",
		"dev.vault.test:+1", "dev.vault.test:x", "dev:1:2", "dev.vault.test/", "dev.vault.test?", "user@dev.vault.test",
		"dev .test", "dev.t\x00st", "d\u00e9v.test", "de_v.test",
		"[::1", "::1]", "[::1]x", "[::1]:", "[fe80::1%eth0]", "[1.2.3.4]", "[]", "[dev]", "2001:db8::1",
		"dev." + strings.Repeat("a", 64), "dev." + strings.Repeat("abcdefg.", 40),
	} {
		if got, ok := ParseHost(header); ok {
			t.Errorf("%q passes: %+v", header, got)
		}
	}
}
