package authn_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/guid"
)

func TestForeignTokens(t *testing.T) {
	w := authntest.New(t)
	keys := rsaKeys()
	mine, theirs := newForeign(t, rsaJWK("k", &keys[0].PublicKey)), newForeign(t, rsaJWK("k", &keys[1].PublicKey), rsaJWK("l", &keys[1].PublicKey))
	mine.config.Audiences = []string{"coffer", "https://vault.azure.net"}
	mine.config.Claims.Groups = "roles"
	v := verifier(t, w, w.Replica, mine, theirs)
	local := w.App(t, "local")

	now := w.Clock.Now().Unix()
	head := object{"alg": "RS256", "kid": "k"}
	body := object{"iss": mine.config.URL, "aud": resource, "sub": "Anna@example.net", "azp": "my-client", "exp": now + 60,
		"preferred_username": "anna", "roles": []string{"/admins", "AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee"}, "jti": "token-1"}
	for name, c := range map[string]struct {
		token, code string
	}{
		"good":                          {sign(head, body, keys[0]), ""},
		"audience of the configuration": {sign(head, body.With(object{"aud": "coffer"}), keys[0]), ""},
		"public name, allowed":          {sign(head, body.With(object{"aud": "https://vault.azure.net"}), keys[0]), ""},
		"public name, not allowed":      {sign(head, body.With(object{"iss": theirs.config.URL, "aud": "https://vault.azure.net"}), keys[1]), "AKV10022"},
		"other's audience":              {sign(head, body.With(object{"iss": theirs.config.URL, "aud": "coffer"}), keys[1]), "AKV10022"},
		"other's key, same kid":         {sign(head, body, keys[1]), "AKV10021"},
		"other's kid":                   {sign(head.With(object{"kid": "l"}), body, keys[1]), "AKV10046"},
		"algorithm not allowed":         {sign(head.With(object{"alg": "PS256"}), body, keys[0]), "AKV10001"},
		"claims another tenant":         {sign(head, body.With(object{"tid": local.ObjectID}), keys[0]), "AKV10032"},
		"claims to be a local app":      {sign(head, body.With(object{"sub": local.ObjectID}), keys[0]), ""}, // and is another: see below
		"no subject":                    {sign(head, body.With(object{"sub": nil}), keys[0]), "AKV10001"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Verify(t.Context(), "Bearer "+c.token, audiences, tenant); code(err) != c.code {
				t.Errorf("got %v, want %q", err, c.code)
			}
		})
	}
	got, err := v.Verify(t.Context(), "Bearer "+sign(head, body, keys[0]), audiences, tenant)
	if err != nil {
		t.Fatal(err)
	}
	if got.UPN != "anna" || got.AppID != "my-client" || got.TokenID != "token-1" || got.Delegated || got.TokenGroups != 2 || got.Issuer != mine.config.URL {
		t.Errorf("caller is %+v", got)
	}
	if id, ok := guid.Parse(got.ObjectID); !ok || id[14] != '5' {
		t.Errorf("object id %q is not a name-based GUID", got.ObjectID)
	}
	if len(got.Groups) != 2 || got.Groups[0] == "/admins" || strings.EqualFold(got.Groups[1], "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee") {
		t.Errorf("groups are %v", got.Groups)
	}
	// Who the directory knows, here as a member, has the directory's groups.
	g := w.Group(t, "operators")
	if err := w.Dir.AddMember(t.Context(), g, got.ObjectID); err != nil {
		t.Fatal(err)
	}
	again, err := v.Verify(t.Context(), "Bearer "+sign(head, body, keys[0]), audiences, tenant)
	if err != nil || again.ObjectID != got.ObjectID || len(again.Groups) != 1 || again.Groups[0] != g {
		t.Errorf("as a member: %+v, %v", again, err)
	}
}

// entra is an issuer with Entra's name whose keys come from a socket of ours.
func entra(t *testing.T, keys ...object) *foreign {
	f := newForeign(t, keys...)
	f.config.URL, f.config.OwnIDs = "https://sts.windows.net/"+tenant+"/", true
	f.config.JWKSURI = f.server.URL + "/keys"
	return f
}

func TestEntraClaims(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := entra(t, rsaJWK("k", &key.PublicKey))
	var log bytes.Buffer
	config := w.Config(w.Replica)
	config.Issuers, config.HTTP, config.Log = []authn.Issuer{f.config}, f.server.Client(), slog.New(slog.NewTextHandler(&log, nil))
	v, err := authn.New(config)
	if err != nil {
		t.Fatal(err)
	}
	const oid, app, member = "AAAAAAAA-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002", "cccccccc-0000-4000-8000-000000000003"
	body := object{"iss": f.config.URL, "aud": resource, "tid": tenant, "oid": oid, "sub": "pairwise", "exp": w.Clock.Now().Unix() + 60}
	for name, c := range map[string]struct {
		claims    object
		code      string
		app       string
		delegated bool
		groups    int
	}{
		"application":         {object{"appid": app, "sub": oid, "idtyp": "app", "groups": []string{member}}, "", app, false, 1},
		"user, v1":            {object{"appid": app, "scp": "user_impersonation", "upn": "a@b"}, "", app, true, 0},
		"user, v2":            {object{"azp": app, "scp": "user_impersonation", "idtyp": "user"}, "", app, true, 0},
		"app with a scope":    {object{"appid": app, "scp": "x", "idtyp": "app"}, "", app, false, 0},
		"too many groups":     {object{"appid": app, "hasgroups": true, "groups": []string{member}}, "", app, false, 0},
		"groups elsewhere":    {object{"appid": app, "_claim_names": object{"groups": "src1"}}, "", app, false, 0},
		"without tid":         {object{"tid": nil}, "AKV10032", "", false, 0},
		"groups not strings":  {object{"groups": []int{1}}, "AKV10001", "", false, 0},
		"oid not a string":    {object{"oid": 7}, "AKV10001", "", false, 0},
		"scp not a string":    {object{"scp": []string{"a"}}, "AKV10001", "", false, 0},
		"sub where no oid is": {object{"oid": nil, "sub": oid}, "", "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "k"}, body.With(c.claims), key), audiences, tenant)
			if code(err) != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
			if err != nil {
				return
			}
			if got.ObjectID != strings.ToLower(oid) || got.AppID != c.app || got.Delegated != c.delegated || len(got.Groups) != c.groups || got.TokenGroups != c.groups {
				t.Errorf("caller is %+v", got)
			}
		})
	}
	if n := strings.Count(log.String(), "too many"); n != 1 {
		t.Errorf("the overage was logged %d times, want once:\n%s", n, log.String())
	}
}

func TestAllowedAlgorithmsAreTheIssuersOwn(t *testing.T) {
	w := authntest.New(t)
	ec := ecKey()
	f := newForeign(t, ecJWK("e", ec))
	f.config.Algorithms = []string{"ES256"}
	v := verifier(t, w, w.Replica, f)
	body := object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60}
	if _, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "ES256", "kid": "e"}, body, ec), audiences, tenant); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "e"}, body, rsaKeys()[0]), audiences, tenant); code(err) != "AKV10001" {
		t.Errorf("RS256: %v", err)
	}
}

func ecJWK(kid string, k *ecdsa.PrivateKey) object {
	point, _ := k.PublicKey.Bytes()
	return object{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:])}
}

func TestKeysAreFetchedOnceAMinuteAtMost(t *testing.T) {
	w := authntest.New(t)
	keys := rsaKeys()
	f := newForeign(t, rsaJWK("a", &keys[0].PublicKey))
	v := verifier(t, w, w.Replica, f)
	try := func(kid string, n int, want string, fetches int) {
		t.Helper()
		body := object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60, "jti": guid.New()}
		_, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": kid}, body, keys[n]), audiences, tenant)
		if code(err) != want {
			t.Errorf("kid %s: got %v, want %q", kid, err, want)
		}
		if got := f.fetched(); got != fetches {
			t.Errorf("kid %s: %d fetches, want %d", kid, got, fetches)
		}
	}
	try("a", 0, "", 1)
	try("a", 0, "", 1)
	try("b", 1, "AKV10046", 1) // within the minute
	w.Clock.Add(time.Minute)
	try("b", 1, "AKV10046", 2)
	f.set(func(f *foreign) { f.keys = append(f.keys, rsaJWK("b", &keys[1].PublicKey)) })
	try("b", 1, "AKV10046", 2)
	w.Clock.Add(time.Minute)
	try("b", 1, "", 3)
	try("a", 1, "AKV10021", 3) // a bad signature fetches nothing
	f.set(func(f *foreign) { f.fail = true })
	w.Clock.Add(24 * time.Hour)
	try("a", 0, "", 4) // the last good set stays
	try("a", 0, "", 4)
	f.set(func(f *foreign) { f.fail, f.keys = false, f.keys[1:] })
	w.Clock.Add(time.Minute)
	try("b", 1, "", 5)
	try("a", 0, "AKV10046", 5) // withdrawn
}

func TestWithdrawnKeyEndsRememberedTokens(t *testing.T) {
	w := authntest.New(t)
	keys := rsaKeys()
	f := newForeign(t, rsaJWK("a", &keys[0].PublicKey), rsaJWK("b", &keys[1].PublicKey))
	v := verifier(t, w, w.Replica, f)
	token := "Bearer " + sign(object{"alg": "RS256", "kid": "a"}, object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 86400}, keys[0])
	verify := func(want string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token, audiences, tenant); code(err) != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	verify("")
	f.set(func(f *foreign) { f.keys = f.keys[1:] })
	verify("")
	w.Clock.Add(24 * time.Hour)
	verify("AKV10046")
}

func TestConcurrentFetchesAreOne(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := newForeign(t, rsaJWK("a", &key.PublicKey))
	v := verifier(t, w, w.Replica, f)
	token := "Bearer " + sign(object{"alg": "RS256", "kid": "a"}, object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60}, key)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := v.Verify(context.Background(), token, audiences, tenant); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := f.fetched(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

func TestUnfitKeySetsAreNotUsed(t *testing.T) {
	key := rsaKeys()[0]
	good := rsaJWK("a", &key.PublicKey)
	secret := []byte("0123456789abcdef0123456789abcdef")
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		header  object
		key     any
	}{
		"redirect":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) }, object{"alg": "RS256", "kid": "a"}, key},
		"too large":         {func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20+1)) }, object{"alg": "RS256", "kid": "a"}, key},
		"not JSON":          {func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html>")) }, object{"alg": "RS256", "kid": "a"}, key},
		"symmetric key":     {answer(object{"kty": "oct", "kid": "a", "k": b64(secret)}), object{"alg": "HS256", "kid": "a"}, secret},
		"key to encrypt":    {answer(good.With(object{"use": "enc"})), object{"alg": "RS256", "kid": "a"}, key},
		"private key":       {answer(good.With(object{"d": b64(key.D.Bytes())})), object{"alg": "RS256", "kid": "a"}, key},
		"RSA key too short": {answer(good.With(object{"n": b64(key.N.Bytes()[:128])})), object{"alg": "RS256", "kid": "a"}, key},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/keys", c.handler)
			mux.HandleFunc("/good", answer(good))
			server := httptest.NewTLSServer(mux)
			defer server.Close()
			w := authntest.New(t)
			config := w.Config(w.Replica)
			config.HTTP, config.Issuers = server.Client(), []authn.Issuer{{URL: "https://issuer.test", JWKSURI: server.URL + "/keys", TenantID: tenant}}
			v, err := authn.New(config)
			if err != nil {
				t.Fatal(err)
			}
			token := sign(c.header, object{"iss": "https://issuer.test", "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60}, c.key)
			if _, err := v.Verify(t.Context(), "Bearer "+token, audiences, tenant); code(err) != "AKV10046" && code(err) != "AKV10001" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func answer(keys ...object) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { writeJSON(w, object{"keys": keys}) }
}

func TestDiscoveryOfAnotherIssuerIsNotBelieved(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := newForeign(t, rsaJWK("a", &key.PublicKey))
	f.config.URL += "/realms/x"
	f.server.Config.Handler.(*http.ServeMux).HandleFunc("/realms/x/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, object{"issuer": f.server.URL, "jwks_uri": f.server.URL + "/keys"})
	})
	v := verifier(t, w, w.Replica, f)
	token := sign(object{"alg": "RS256", "kid": "a"}, object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60}, key)
	if _, err := v.Verify(t.Context(), "Bearer "+token, audiences, tenant); code(err) != "AKV10046" || f.fetched() != 0 {
		t.Errorf("got %v after %d fetches", err, f.fetched())
	}
}

func TestBadIssuersAreNamedAtStart(t *testing.T) {
	w := authntest.New(t)
	good := authn.Issuer{URL: "https://issuer.test", TenantID: tenant}
	for name, c := range map[string]struct {
		issuers []authn.Issuer
		want    string
	}{
		"http":        {[]authn.Issuer{{URL: "http://issuer.test", TenantID: tenant}}, "issuers[0].url"},
		"no tenant":   {[]authn.Issuer{{URL: "https://issuer.test"}}, "issuers[0].tenant"},
		"http keys":   {[]authn.Issuer{{URL: "https://issuer.test", TenantID: tenant, JWKSURI: "http://issuer.test/keys"}}, "issuers[0].jwks_uri"},
		"twice":       {[]authn.Issuer{good, good}, "issuers[1].url"},
		"ourselves":   {[]authn.Issuer{{URL: base + "/" + tenant + "/", TenantID: tenant}}, "issuers[0].url"},
		"HMAC":        {[]authn.Issuer{{URL: "https://issuer.test", TenantID: tenant, Algorithms: []string{"HS256"}}}, "issuers[0].algorithms"},
		"ARM":         {[]authn.Issuer{{URL: "https://issuer.test", TenantID: tenant, Audiences: []string{"https://management.azure.com/"}}}, "issuers[0].audiences"},
		"both of two": {[]authn.Issuer{{URL: "x"}, {URL: "y"}}, "issuers[1].url"},
	} {
		t.Run(name, func(t *testing.T) {
			config := w.Config(w.Replica)
			config.Issuers, config.HTTP = c.issuers, http.DefaultClient
			_, err := authn.New(config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to name %s", err, c.want)
			}
		})
	}
}
