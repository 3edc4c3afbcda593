package login_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiscoveryDocuments(t *testing.T) {
	d := newDoor(t)
	own := d.server.URL
	for path, want := range map[string][4]string{ // issuer, authorization, token, keys
		"/" + tenant + "/v2.0/.well-known/openid-configuration": {"/" + tenant + "/v2.0", "/" + tenant + "/oauth2/v2.0/authorize", "/" + tenant + "/oauth2/v2.0/token", "/" + tenant + "/discovery/v2.0/keys"},
		"/common/v2.0/.well-known/openid-configuration":         {"/" + tenant + "/v2.0", "/" + tenant + "/oauth2/v2.0/authorize", "/" + tenant + "/oauth2/v2.0/token", "/" + tenant + "/discovery/v2.0/keys"},
		"/" + tenant + "/.well-known/openid-configuration":      {"/" + tenant + "/", "/" + tenant + "/oauth2/authorize", "/" + tenant + "/oauth2/token", "/" + tenant + "/discovery/keys"},
		"/adfs/.well-known/openid-configuration":                {"/adfs", "/adfs/oauth2/authorize", "/adfs/oauth2/token", "/adfs/discovery/keys"},
		"/adfs/adfs/.well-known/openid-configuration":           {"/adfs", "/adfs/oauth2/authorize", "/adfs/oauth2/token", "/adfs/discovery/keys"}, // what "az login --tenant adfs" asks for
		"/ADFS/.Well-Known/OpenID-Configuration?":               {"/adfs", "/adfs/oauth2/authorize", "/adfs/oauth2/token", "/adfs/discovery/keys"},
	} {
		a := d.get(t, path)
		got := [4]any{a.body["issuer"], a.body["authorization_endpoint"], a.body["token_endpoint"], a.body["jwks_uri"]}
		if got != [4]any{own + want[0], own + want[1], own + want[2], own + want[3]} || a.status != 200 {
			t.Errorf("%s: %d %v", path, a.status, got)
		}
		if u, _ := url.Parse(a.body["jwks_uri"].(string)); a.status == 200 {
			keys := d.get(t, u.Path)
			if list := keys.body["keys"].([]any); len(list) != 1 || list[0].(map[string]any)["kty"] != "RSA" || list[0].(map[string]any)["d"] != nil {
				t.Errorf("%s: %s", u.Path, keys.text)
			}
		}
	}
	for _, path := range []string{"/" + tenant + "/adfs/.well-known/openid-configuration", "/adfs/adfs/adfs/.well-known/openid-configuration", "/adfs/adfs/oauth2/token"} {
		if a := d.get(t, path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestSelfURLsNameOnlyOurHosts(t *testing.T) {
	d := newDoor(t)
	for host, want := range map[string]string{
		"login.test:9443":      "https://login.test:9443",
		"Login.Test":           "https://login.test",
		"127.0.0.1:1":          "https://127.0.0.1:1", // the configured name; a port may be forwarded
		"evil.test":            d.server.URL,
		"login.test.evil.test": d.server.URL,
		"login.test@evil.test": d.server.URL,
		"evil.test:443":        d.server.URL,
	} {
		a := d.get(t, "/adfs/.well-known/openid-configuration", "Host", host)
		if a.body["issuer"] != want+"/adfs" || strings.Contains(a.text, "evil") {
			t.Errorf("%s: %s", host, a.text)
		}
	}
}

func TestSmallDocuments(t *testing.T) {
	d := newDoor(t)
	host := strings.TrimPrefix(d.server.URL, "https://")
	rel := "http://schemas.microsoft.com/rel/trusted-realm"
	finger := func(resource, rel string) string {
		return "/.well-known/webfinger?" + url.Values{"rel": {rel}, "resource": {resource}}.Encode()
	}
	authorize := func(u string) string {
		return "/common/discovery/instance?api-version=1.1&authorization_endpoint=" + url.QueryEscape(u)
	}
	for name, c := range map[string]struct {
		path   string
		status int
		want   string
	}{
		"webfinger":                 {finger("https://login.test", rel), 200, `{"subject":"https://login.test","links":[{"rel":"` + rel + `","href":"https://login.test"}]}`},
		"webfinger with port":       {finger(d.server.URL, rel), 200, `{"subject":"` + d.server.URL + `","links":[{"rel":"` + rel + `","href":"` + d.server.URL + `"}]}`},
		"webfinger of another":      {finger("https://evil.test", rel), 404, ""},
		"webfinger of another rel":  {finger("https://login.test", "x"), 404, ""},
		"webfinger over http":       {finger("http://login.test", rel), 404, ""},
		"instance":                  {authorize(d.server.URL + "/x/oauth2/v2.0/authorize"), 200, `{"tenant_discovery_endpoint":"` + d.server.URL + `/` + tenant + `/v2.0/.well-known/openid-configuration","api-version":"1.1","metadata":[{"preferred_network":"` + host + `","preferred_cache":"` + host + `","aliases":["` + host + `"]}]}`},
		"instance of another":       {authorize("https://login.microsoftonline.com/x/oauth2/v2.0/authorize"), 400, ""},
		"user realm":                {"/common/userrealm/Anna@example.net?api-version=1.0", 200, `{"ver":"1.0","account_type":"Managed","domain_name":"example.net","cloud_instance_name":"127.0.0.1","cloud_audience_urn":"urn:federation:MicrosoftOnline"}`},
		"user realm, as Go spells":  {"/common/UserRealm/anna@example.net?api-version=1.0", 200, `{"ver":"1.0","account_type":"Managed","domain_name":"example.net","cloud_instance_name":"127.0.0.1","cloud_audience_urn":"urn:federation:MicrosoftOnline"}`},
		"user realm without a user": {"/common/userrealm/", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.get(t, c.path)
			if a.status != c.status {
				t.Fatalf("%d: %s", a.status, a.text)
			}
			if c.want == "" {
				return
			}
			var want map[string]any
			must(t, json.Unmarshal([]byte(c.want), &want))
			if diff := cmp.Diff(want, a.body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServesItsOwnPathsOnly(t *testing.T) {
	d := newDoor(t)
	for path, want := range map[string]bool{
		"/" + tenant + "/oauth2/token":            true,
		"/99999999-2222-4333-8444-555555555555/x": true, // another tenant: ours to refuse
		"/adfs/anything":                          true,
		"/Common/discovery/instance":              true,
		"/organizations/v2.0":                     true,
		"/msi/token":                              true,
		"/msi/token/":                             true,
		"/.well-known/webfinger":                  true,
		"/msi":                                    false,
		"/":                                       false,
		"":                                        false,
		"/certificates/adfs":                      false,
		"/keys/common/1/sign":                     false,
		"/secrets":                                false,
		"/subscriptions/" + tenant:                false,
		"/.well-known/other":                      false,
		"//adfs/oauth2/token":                     false,
		"/adfs/" + strings.Repeat("a", 600):       false,
		"/deletedcertificates/common/discovery/keys": false,
	} {
		if got := d.login.Serves(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
