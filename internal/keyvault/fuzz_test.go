package keyvault_test

import (
	"context"
	"crypto"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"coffer/internal/fault"
	"coffer/internal/pki"
)

// sane is what holds of every answer, whatever was asked.
func sane(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	switch {
	case rec.Code >= 500:
		t.Fatalf("%d %s", rec.Code, rec.Body)
	case rec.Code >= 300 && rec.Code < 400:
		t.Fatalf("a redirect: %d", rec.Code)
	case rec.Code >= 400:
		errorOf(t, rec)
	case rec.Code != http.StatusNoContent && !json.Valid(rec.Body.Bytes()):
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec.Header().Get("x-ms-request-id") == "" || rec.Header().Get("Cache-Control") != "no-cache" {
		t.Fatal(rec.Header())
	}
	for name, values := range rec.Header() {
		if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			t.Fatalf("%s: %q", name, values)
		}
	}
}

// FuzzTarget asks with any method, path, query and host.
func FuzzTarget(f *testing.F) {
	w := newInstallation(f)
	for _, r := range w.handler.Routes() {
		f.Add(r.Verb, pathOf(r.Pattern, "web", someVersion)+"?api-version=7.6", "dev.vault.test")
	}
	for _, host := range []string{"", "localhost:8443", "[::1]:443", "[fe80::1%25eth0]", "dev.vault.test:99999", "DEV", "dev..test", "dev.vault.test\r\nX: y", "[::1", "1.2.3.4:x", "]:1["} {
		f.Add("GET", "//certificates//issuers//a%2Fb///?api%2Dversion=7.6&$skiptoken=%zz&maxresults=1", host)
	}
	f.Fuzz(func(t *testing.T, verb, target, host string) {
		path, query, _ := strings.Cut(target, "?")
		plain, err := url.PathUnescape(path)
		if err != nil || verb == "" {
			return // no server passes such a request on
		}
		r := newRequest("GET", "/", strings.NewReader("{}"))
		r.Method, r.Host = verb, host
		r.URL = &url.URL{Path: plain, RawPath: path, RawQuery: query}
		rec := w.serveHTTP(r)
		sane(t, rec)
		if rec.Code < 300 && strings.Contains(rec.Body.String(), `"nextLink":"`) && !strings.Contains(rec.Body.String(), host) {
			t.Fatalf("a link to another host: %s", rec.Body)
		}
	})
}

// busy makes no keys: they would take longer than everything that is looked for.
type busy struct{}

func (busy) Generate(context.Context, pki.KeySpec) (crypto.Signer, error) {
	return nil, &fault.Error{Kind: fault.Busy, Msg: "Too many keys are being made."}
}

// FuzzBody sends any body to every operation that reads one.
func FuzzBody(f *testing.F) {
	w := newInstallationWith(f, busy{})
	for i, s := range samples {
		f.Add(i, s.body)
		f.Add(i, `{"policy":{"x509_props":{"sans":{"uris":[null]}}},"x5c":[null],"contacts":[null],"value":""}`)
	}
	f.Add(0, `{"a":"\ud800","\u0000":1}`)
	f.Add(0, `{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=x"}}}`)
	f.Fuzz(func(t *testing.T, at int, body string) {
		s := samples[uint(at)%uint(len(samples))]
		sane(t, w.do(s.verb, s.path+"?api-version=2026-07-01-preview", body))
	})
}

// FuzzSkipToken continues with any token: only those that we made are taken, and
// only where they belong.
func FuzzSkipToken(f *testing.F) {
	w := newInstallation(f)
	m := testMaterial()
	body := string(must(json.Marshal(map[string]string{"value": m.pem})))
	for _, name := range []string{"aa", "bb"} {
		if rec := w.do("POST", "/certificates/"+name+"/import?api-version=7.6", body); rec.Code != 200 {
			f.Fatal(rec.Body)
		}
	}
	var page struct{ NextLink string }
	if err := json.Unmarshal(w.do("GET", "/certificates?api-version=7.6&maxresults=1", "").Body.Bytes(), &page); err != nil {
		f.Fatal(err)
	}
	link := must(url.Parse(page.NextLink))
	good := link.Query().Get("$skiptoken")
	f.Add(good)
	for i := range good {
		f.Add(good[:i])
		f.Add(good[:i] + "A" + good[i+1:])
	}
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=" {
		f.Add(good[:len(good)-1] + string(last)) // bits that count for nothing have one spelling
	}
	f.Add("")
	f.Add(strings.Repeat("A", 600))
	f.Fuzz(func(t *testing.T, token string) {
		for _, list := range []string{"/certificates", "/deletedcertificates", "/keys", "/secrets/aa/versions"} {
			rec := w.do("GET", list+"?api-version=7.6&$skiptoken="+url.QueryEscape(token), "")
			sane(t, rec)
			if taken := rec.Code == 200; taken != (token == "" || token == good && list == "/certificates") {
				t.Fatalf("%s?$skiptoken=%s: %d %s", list, token, rec.Code, rec.Body)
			}
		}
	})
}
