package audience_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"coffer/internal/audience"
)

// parsed is what a client makes of a challenge.
type parsed struct {
	scope, tenant string
	ok            bool
}

// The parsers are those of five clients, after contract identity.md, 3.2 and
// 3.3.
var parsers = map[string]func(header string) parsed{
	"Go": func(h string) parsed { // strips the literal scheme, splits on spaces, wants one = each
		const prefix = "Bearer "
		if !strings.HasPrefix(h, prefix) {
			return parsed{}
		}
		vals := map[string]string{}
		for _, part := range strings.Split(h[len(prefix):], " ") {
			kv := strings.Split(part, "=")
			if len(kv) != 2 {
				return parsed{}
			}
			vals[kv[0]] = strings.Trim(kv[1], "\",")
		}
		u, err := url.Parse(vals["authorization"])
		if err != nil || u.Path == "" {
			return parsed{} // azcore panics here
		}
		return parsed{vals["resource"] + "/.default", strings.Split(u.Path, "/")[1], vals["scope"] == ""}
	},
	"Python": func(h string) parsed { // cuts the scheme at the first space, splits on commas, wants one = each
		_, rest, ok := strings.Cut(strings.TrimSpace(h), " ")
		if !ok {
			return parsed{}
		}
		vals := map[string]string{}
		for _, part := range strings.Split(rest, ",") {
			kv := strings.Split(strings.TrimSpace(part), "=")
			if len(kv) != 2 {
				return parsed{}
			}
			vals[strings.Trim(kv[0], `" `)] = strings.Trim(kv[1], `" `)
		}
		u, err := url.Parse(vals["authorization"])
		if err != nil || vals["scope"] != "" {
			return parsed{}
		}
		return parsed{vals["resource"] + "/.default", strings.Split(strings.TrimPrefix(u.Path, "/"), "/")[0], true}
	},
	"JavaScript": func(h string) parsed { // name="value" only; the whole path is the tenant
		rest, ok := strings.CutPrefix(h, "Bearer ")
		if !ok {
			return parsed{}
		}
		vals := map[string]string{}
		for _, part := range regexp.MustCompile(`,? +`).Split(rest, -1) {
			m := regexp.MustCompile(`^(\w+)="([^"]*)"$`).FindStringSubmatch(part)
			if m == nil {
				return parsed{}
			}
			vals[m[1]] = m[2]
		}
		u, err := url.Parse(vals["authorization"])
		if err != nil {
			return parsed{}
		}
		return parsed{vals["resource"] + "/.default", u.Path[1:], true}
	},
	"Java and .NET": func(h string) parsed { // a header that starts with the scheme, commas, first =, quotes
		if !strings.HasPrefix(h, "Bearer ") {
			return parsed{}
		}
		vals := map[string]string{}
		for _, part := range strings.Split(strings.TrimPrefix(h, "Bearer "), ",") {
			k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
			if !ok || len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
				return parsed{}
			}
			vals[k] = v[1 : len(v)-1]
		}
		u, err := url.Parse(vals["authorization"])
		if err != nil || !u.IsAbs() {
			return parsed{}
		}
		return parsed{vals["resource"] + "/.default", strings.Split(u.Path, "/")[1], true}
	},
}

func TestChallengeIsReadAlikeByEveryClient(t *testing.T) {
	const recorded = `Bearer authorization="https://login.example.net/72f988bf-86f1-41af-91ab-2d7cd011db47", resource="https://vault.azure.net"`
	if got := audience.Challenge("https://login.example.net", "72f988bf-86f1-41af-91ab-2d7cd011db47", "https://vault.azure.net"); got != recorded {
		t.Errorf("got  %s\nwant %s", got, recorded)
	}
	hosts := []string{
		"kv1.vault.test:8443", "kv1.vault.test", "localhost:8443", "10.0.0.5", "[::1]:8443", "", `a.b", scope="x`, "a.b=c", "a.b,c.d", "a.b c.d", "a..b", ".a.b", "a.b.",
		"kv.ünicode.test", "kv.vault.test:http", "kv.vault.test:123456", strings.Repeat("a", 300) + ".b.c",
	}
	for _, host := range hosts {
		for _, tenantName := range []string{"adfs", "11111111-2222-4333-8444-555555555555"} {
			resource := audience.Resource(host, nil)
			header := audience.Challenge("https://login.example.net:8443", tenantName, resource)
			for client, parse := range parsers {
				if got := parse(header); got != (parsed{resource + "/.default", tenantName, true}) {
					t.Errorf("%s reads %s of host %q as %+v", client, header, host, got)
				}
			}
		}
	}
}

func TestResourceFollowsTheHost(t *testing.T) {
	overrides := map[string]string{"kv9.vault.test": "https://special.test", "corp.example": "https://corp.example"}
	for host, want := range map[string]string{
		"kv1.vault.test:8443":      "https://vault.test:8443",
		"KV1.Vault.Test:8443":      "https://vault.test:8443",
		"kv1.vault.test:443":       "https://vault.test",
		"kv1.vault.test":           "https://vault.test",
		"kv1.vault.test.":          "https://vault.test",
		"dev.vault.localhost:9000": "https://vault.localhost:9000",
		"kv1.vault.azure.net":      "https://vault.azure.net",
		"localhost":                "https://vault.azure.net",
		"localhost:8443":           "https://vault.azure.net",
		"127.0.0.1:8443":           "https://vault.azure.net",
		"10.0.0.5":                 "https://vault.azure.net",
		"[::1]:8443":               "https://vault.azure.net",
		"[::1]":                    "https://vault.azure.net",
		"kv9.vault.test:8443":      "https://special.test",
		"kv1.corp.example:8443":    "https://corp.example",
		"evil\".test.x":            "https://vault.azure.net",
	} {
		got := audience.Resource(host, overrides)
		if got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
		// The domain check of all clients (contract identity.md, 3.4): the request's
		// host ends with a dot and the resource's host, ports included.
		if strings.HasPrefix(host, "kv1.") && !strings.HasSuffix(host, ".") && !strings.Contains(host, "corp") {
			u, _ := url.Parse(got)
			if !strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ":443")), "."+u.Host) {
				t.Errorf("clients at %s refuse %s", host, got)
			}
		}
	}
}

func TestAudiences(t *testing.T) {
	const app = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"
	for host, want := range map[string][]string{
		"kv1.vault.test:8443": {"https://vault.test:8443", "https://vault.test:8443/", app, "https://vault.azure.net", "https://vault.azure.net/"},
		"localhost":           {"https://vault.azure.net", "https://vault.azure.net/", app, "https://vault.azure.net", "https://vault.azure.net/"},
	} {
		if got := audience.Of(host, nil); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
	got := audience.Of("kv1.vault.test", map[string]string{"other.test": "https://other.test/"})
	for _, want := range []string{"https://vault.test", "https://other.test", "https://other.test/"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
	if slices.ContainsFunc(got, func(a string) bool { return strings.Contains(a, "management") }) {
		t.Errorf("%q holds the management plane", got)
	}
}

func FuzzResource(f *testing.F) {
	for _, host := range []string{"kv1.vault.test:8443", "[::1]:1", "a.b", "a", ":", "..", "a.b:x"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		resource := audience.Resource(host, nil)
		u, err := url.Parse(resource)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || strings.ContainsAny(resource, `=, "`) {
			t.Errorf("%q: %q", host, resource)
		}
	})
}
