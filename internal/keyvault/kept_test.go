package keyvault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"coffer/internal/fresh"
	"coffer/internal/keyvault"
	"coffer/internal/store"
)

// sealed is what differs between two answers that say the same.
var sealed = regexp.MustCompile(`\$skiptoken=[^&"]*`)

// Whatever was asked before, and in whatever other words, an answer is that of a door
// which keeps nothing, and the record tells the same of it.
func TestAKeptAnswerIsThatOfNow(t *testing.T) {
	w := newInstallation(t)
	bare := w.config
	bare.Fresh = fresh.Source{}
	reading, err := keyvault.New(bare)
	if err != nil {
		t.Fatal(err)
	}
	must := func(verb, target, body string) {
		t.Helper()
		if rec := w.do(verb, target+"?api-version=7.6", body); rec.Code >= 300 {
			t.Fatalf("%s %s: %d %s", verb, target, rec.Code, rec.Body)
		}
	}
	value, err := json.Marshal(map[string]string{"value": testMaterial().pem})
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, path := range []string{
		"/certificates", "/keys", "/secrets", "/deletedcertificates", "/deletedkeys", "/deletedsecrets", "/certificates/issuers",
		"/certificates/web", "/certificates/WEB", "/certificates/none", "/certificates/web/versions", "/certificates/Web/versions",
		"/keys/web", "/keys/own", "/keys/own/versions", "/secrets/s1/versions", "/keys/own/none",
	} {
		for _, query := range []string{"?api-version=7.6", "?api-version=7.0", "?api-version=2016-10-01", "?api-version=7.6&maxresults=1",
			"?maxresults=2&api-version=7.6", "?api-version=7.6&includePending=true", "?api-version=7.6&maxresults=0"} {
			targets = append(targets, path+query)
		}
	}
	compare := func(after string) {
		t.Helper()
		for _, target := range targets {
			for _, host := range []string{"dev.vault.test", "DEV.vault.test:8443", "team.vault.test"} {
				var want string
				for i, door := range []http.Handler{reading, w.handler, w.handler} {
					r := httptest.NewRequest("GET", "https://"+host+target, http.NoBody)
					r.Header.Set("Authorization", "Bearer ann")
					rec := httptest.NewRecorder()
					door.ServeHTTP(rec, r)
					got := fmt.Sprint(rec.Code, sealed.ReplaceAllString(rec.Body.String(), "$$skiptoken="))
					if rec.Code >= 400 {
						got = fmt.Sprint(rec.Code)
					}
					if i == 0 {
						want = got
					} else if got != want {
						t.Fatalf("after %s: %s%s: %s\nwant %s", after, host, target, got, want)
					}
				}
			}
		}
	}
	compare("nothing")
	for _, step := range []struct{ verb, target, body string }{
		{"POST", "/certificates/web/import", string(value)},
		{"POST", "/certificates/shop/import", string(value)},
		{"POST", "/keys/own/create", `{"kty":"EC"}`},
		{"POST", "/keys/own/create", `{"kty":"EC"}`},
		{"PUT", "/secrets/s1", `{"value":"x"}`},
		{"PATCH", "/certificates/web", `{"tags":{"a":"b"}}`},
		{"PUT", "/certificates/issuers/corp", `{"provider":"Test"}`},
		{"POST", "/certificates/late/create", `{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=x"},"issuer":{"name":"Self"}}}`},
		{"DELETE", "/certificates/web", ""},
		{"DELETE", "/secrets/s1", ""},
		{"POST", "/deletedcertificates/web/recover", ""},
		{"DELETE", "/deletedsecrets/s1", ""},
		{"DELETE", "/keys/own", ""},
	} {
		w.now = w.now.Add(time.Minute)
		must(step.verb, step.target, step.body)
		compare(step.verb + " " + step.target)
	}
	w.work(t)
	compare("an issue")
	err = w.db.Update(t.Context(), func(tx *store.Tx) error {
		v, err := tx.Vault(t.Context(), "dev")
		if err != nil {
			return err
		}
		v.PurgeProtection, v.Revision = true, v.Revision+1
		return tx.UpdateVault(t.Context(), v)
	})
	if err != nil {
		t.Fatal(err)
	}
	compare("a change of the vault")

	for _, target := range []string{"/certificates/web", "/keys/shop"} {
		for range 2 {
			if rec := w.do("GET", target+"?api-version=7.6", ""); rec.Code != 200 {
				t.Fatal(rec.Body)
			}
		}
		lines, _ := w.audited(t)
		last := lines[len(lines)-2:]
		if a, b := last[0].Properties.ID, last[1].Properties.ID; a != b || len(a) != len("https://dev.vault.test")+len(target)+33 {
			t.Errorf("%s is recorded as %s, and when it was kept as %s", target, a, b)
		}
	}
}

// A page that was kept goes on where it should.
func TestLinksOfKeptPagesLead(t *testing.T) {
	w := newInstallation(t)
	for i := range 5 {
		if rec := w.do("PUT", fmt.Sprintf("/secrets/s%d?api-version=7.6", i), `{"value":"x"}`); rec.Code != 200 {
			t.Fatal(rec.Body)
		}
	}
	for range 2 {
		seen, pages, next := 0, 0, "https://dev.vault.test/secrets?api-version=7.6&maxresults=2"
		for ; next != "" && pages < 5; pages++ {
			r := httptest.NewRequest("GET", next, http.NoBody)
			r.Header.Set("Authorization", "Bearer ann")
			rec := w.serveHTTP(r)
			var page struct {
				Value    []struct{}
				NextLink *string
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != 200 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			seen += len(page.Value)
			if next = ""; page.NextLink != nil {
				next = *page.NextLink
			}
		}
		if seen != 5 || pages != 3 {
			t.Errorf("%d secrets on %d pages", seen, pages)
		}
	}
}
