package keyvault

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
		a, ok := parseHost(header)
		if got := (result{a.base, a.link(), a.label}); !ok || got != want || a.host != header {
			t.Errorf("%s: %+v, %v", header, got, ok)
		}
	}
	for _, header := range []string{
		"", ":443", ".", "dev.", "dev..test", ".dev.test", "dev.vault.test:", "dev.vault.test:0", "dev.vault.test:65536",
		"dev.vault.test:+1", "dev.vault.test:x", "dev:1:2", "dev.vault.test/", "dev.vault.test?", "user@dev.vault.test",
		"dev .test", "dev.t\x00st", "d\u00e9v.test", "a.b", "ab.test", "1dev.test", "de--v.test", "dev-.test", "de_v.test",
		"[::1", "::1]", "[::1]x", "[::1]:", "[fe80::1%eth0]", "[1.2.3.4]", "[]", "[dev]", "2001:db8::1",
		"dev." + strings.Repeat("a", 64), "dev." + strings.Repeat("abcdefg.", 40), strings.Repeat("a", 25) + ".test",
	} {
		if got, ok := parseHost(header); ok {
			t.Errorf("%q passes: %+v", header, got)
		}
	}
}

func TestPathsAreSplitOnceAndDecodedOnce(t *testing.T) {
	for path, want := range map[string]string{
		"/":                             "",
		"":                              "",
		"///":                           "",
		"/certificates/a/":              "certificates|a",
		"//certificates//a///import/":   "certificates|a|import",
		"/certificates/a%2Fb":           "certificates|a/b",
		"/certificates/%252F":           "certificates|%2F",
		"/certificates/a+b":             "certificates|a+b",
		"/a/b/c/d/e":                    "a|b|c|d|e",
		"/certificates/%2e%2e/%2E":      "certificates|..|.",
		"/1/2/3/4/5/6/7/8/9/10/11/12//": "1|2|3|4|5|6",
	} {
		s, ok := splitPath(path)
		if got := strings.Join(s.part[:s.n], "|"); !ok || got != want {
			t.Errorf("%s: %s, %v, want %s", path, got, ok, want)
		}
	}
	if _, ok := splitPath("/a/%zz"); ok {
		t.Error("%zz was decoded")
	}
}

func TestQueryNamesAreDecoded(t *testing.T) {
	q := parseQuery("API%2Dversion=7.4&%24skiptoken=a%2Bb&maxresults=2&maxresults=3&IncludePending=true&request_id=x+y&outContentType=a/b&z&=&%zz=1")
	want := query{apiVersion: "7.4", skipToken: "a+b", maxResults: "2", includePending: "true", requestID: "x y", outContentType: "a/b"}
	if q != want {
		t.Errorf("got %+v, want %+v", q, want)
	}
	if q := parseQuery("api-version=7.4&api-version=7.5"); !q.versionClash {
		t.Error("two versions pass")
	}
	if q := parseQuery("api-version=7.6-preview.2&API-VERSION=7.6-PREVIEW.2"); q.versionClash {
		t.Error("the same version twice does not pass")
	}
	if q := parseQuery("maxresults=%zz"); q.maxResults != "%zz" {
		t.Errorf("got %q", q.maxResults)
	}
}

// TestVersionsAreInOrder holds the rule of contract keys.md, 3: date versions
// sort after 7.6, a preview just before its stable release.
func TestVersionsAreInOrder(t *testing.T) {
	seen := map[string]int{}
	for i, v := range apiVersions {
		if v != strings.ToLower(v) {
			t.Errorf("%s: versions are kept in lower case", v)
		}
		seen[v] = i
	}
	if len(seen) != len(apiVersions) {
		t.Error("a version is there twice")
	}
	for _, v := range apiVersions {
		stable, _, preview := strings.Cut(v, "-preview")
		if at, ok := seen[stable]; preview && ok && at < seen[v] {
			t.Errorf("%s comes after %s", v, stable)
		}
	}
	for i := 1; i < len(apiVersions); i++ {
		a, _, _ := strings.Cut(apiVersions[i-1], "-preview")
		b, _, _ := strings.Cut(apiVersions[i], "-preview")
		if old := strings.HasPrefix(b, "7."); len(a) == len(b) && a > b && !old {
			t.Errorf("%s comes before %s", apiVersions[i-1], apiVersions[i])
		}
	}
}

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
		a, ok := parseHost(tt.host)
		if !ok {
			t.Errorf("%s does not parse", tt.host)
			continue
		}
		if name, served := s.vaultName(a); name != tt.name || served != tt.served {
			t.Errorf("vaultName(%s) = %q, %t; want %q, %t", tt.host, name, served, tt.name, tt.served)
		}
	}
}
