package authn_test

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/guid"
)

// logging is a verifier that writes its log to a buffer.
func logging(t *testing.T, w *authntest.Installation, change func(*authn.Config), issuers ...*foreign) (*authn.Verifier, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c := w.Config(w.Replica)
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, f := range issuers {
		c.HTTP = f.server.Client()
		c.Issuers = append(c.Issuers, f.config)
	}
	if change != nil {
		change(&c)
	}
	v, err := authn.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v, &log
}

// Whatever an issuer writes into its claims, it names nobody of the directory, nobody
// of another issuer, and with a group no subject.
func TestClaimsOfAnIssuerNameNobodyElse(t *testing.T) {
	w := authntest.New(t)
	keys := rsaKeys()
	one, other := newForeign(t, rsaJWK("k", &keys[0].PublicKey)), newForeign(t, rsaJWK("k", &keys[1].PublicKey))
	one.config.Claims.Groups, other.config.Claims.Groups = "groups", "groups"
	v := verifier(t, w, w.Replica, one, other)
	app, group := w.App(t, "administrator"), w.Group(t, "operators")
	theirs := guid.New()
	taken := []string{app.ObjectID, app.AppID, group, theirs}
	for _, value := range append(slices.Clone(taken), "alice", strings.ToUpper(app.ObjectID)) {
		var ids []string
		for n, f := range []*foreign{one, other} {
			body := object{"iss": f.config.URL, "aud": resource, "sub": value, "groups": []string{value}, "exp": w.Clock.Now().Unix() + 60}
			got, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "k"}, body, keys[n]), audiences, tenant)
			if err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			if got.ObjectID != f.config.ObjectID(value, false) || len(got.Groups) != 1 || got.Groups[0] != f.config.ObjectID(value, true) {
				t.Errorf("%s: the caller is %s, in %v, which is not what an administrator is told", value, got.ObjectID, got.Groups)
			}
			ids = append(ids, got.ObjectID, got.Groups[0])
		}
		for n, id := range ids {
			if slices.Contains(taken, id) || slices.Contains(ids[n+1:], id) || !guid.Valid(id) {
				t.Errorf("%s names %s, which is another's: all are %v", value, id, ids)
			}
		}
	}
}

// A tenant of Entra ID that speaks for its own ids does not speak for the directory's.
func TestOwnIDsAreNotTheDirectorys(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := entra(t, rsaJWK("k", &key.PublicKey))
	v := verifier(t, w, w.Replica, f)
	app, group := w.App(t, "administrator"), w.Group(t, "operators")
	user, theirs := guid.New(), guid.New()
	for name, c := range map[string]struct {
		oid    string
		groups []string
		code   string
		want   []string
	}{
		"groups":                  {user, []string{theirs}, "", []string{theirs}},
		"a group of ours":         {user, []string{group, theirs}, "", []string{theirs}},
		"an application as group": {user, []string{strings.ToUpper(app.ObjectID)}, "", nil},
		"a group by its name":     {user, []string{"operators"}, "", nil},
		"an application":          {app.ObjectID, nil, "AKV10023", nil},
		"a group":                 {group, nil, "AKV10023", nil},
		"no GUID":                 {"alice", nil, "AKV10001", nil},
	} {
		t.Run(name, func(t *testing.T) {
			body := object{"iss": f.config.URL, "aud": resource, "tid": tenant, "oid": c.oid, "groups": c.groups, "exp": w.Clock.Now().Unix() + 60}
			if c.groups == nil {
				delete(body, "groups")
			}
			got, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "k"}, body, key), audiences, tenant)
			if code(err) != c.code || err == nil && !slices.Equal(got.Groups, c.want) {
				t.Errorf("got %v in %v, want %q and %v", err, got.Groups, c.code, c.want)
			}
		})
	}
}

func TestOwnIDsAreOfOneTenantOfEntraID(t *testing.T) {
	w := authntest.New(t)
	other := guid.New()
	own := func(url, tid string) authn.Issuer {
		return authn.Issuer{URL: url, TenantID: tenant, TID: tid, OwnIDs: true}
	}
	for name, c := range map[string]struct {
		issuers []authn.Issuer
		want    string
	}{
		"both versions of one tenant": {[]authn.Issuer{own("https://sts.windows.net/"+other+"/", other), own("https://login.microsoftonline.com/"+other+"/v2.0", other)}, ""},
		"any other issuer":            {[]authn.Issuer{own("https://issuer.test/"+tenant, "")}, "issuers[0].ids"},
		"a name like it":              {[]authn.Issuer{own("https://sts.windows.net.issuer.test/"+tenant+"/", "")}, "issuers[0].ids"},
		"another tenant than its URL": {[]authn.Issuer{own("https://sts.windows.net/"+other+"/", "")}, "issuers[0].ids"},
		"two tenants":                 {[]authn.Issuer{own("https://sts.windows.net/"+other+"/", other), own("https://sts.windows.net/"+tenant+"/", "")}, "issuers[1].ids"},
		"a tenant of two lines":       {[]authn.Issuer{{URL: "https://issuer.test", TenantID: tenant, TID: "a\nb"}}, "issuers[0].tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			config := w.Config(w.Replica)
			config.Issuers, config.HTTP = c.issuers, newForeign(t).server.Client()
			if _, err := authn.New(config); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to name %q", err, c.want)
			}
		})
	}
}

// The tenant of an issuer's entry is what its tokens call it; its subjects are callers
// in this installation's tenant.
func TestTenantOfAnIssuer(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	other := guid.New()
	f, g := newForeign(t, rsaJWK("k", &key.PublicKey)), newForeign(t, rsaJWK("k", &key.PublicKey))
	f.config.TID = other
	v := verifier(t, w, w.Replica, f, g)
	for name, c := range map[string]struct {
		of   *foreign
		tid  any
		want string
	}{
		"as configured":  {f, strings.ToUpper(other), ""},
		"none":           {f, nil, ""},
		"ours":           {f, tenant, "AKV10032: Invalid issuer. The token of " + f.config.URL + " has the tid '" + tenant + "', and needs '" + other + "', which is the tenant of its issuer's entry in identity.issuers."},
		"by default":     {g, tenant, ""},
		"not configured": {g, other, "AKV10032: Invalid issuer. The token of " + g.config.URL + " has the tid '" + other + "', and needs '" + tenant + "', which is the tenant of its issuer's entry in identity.issuers."},
		"not a text":     {g, 7, "AKV10032: Invalid issuer. The token of " + g.config.URL + " has no tid, and needs '" + tenant + "', which is the tenant of its issuer's entry in identity.issuers."},
	} {
		t.Run(name, func(t *testing.T) {
			body := object{"iss": c.of.config.URL, "aud": resource, "sub": "s", "tid": c.tid, "exp": w.Clock.Now().Unix() + 60}
			got, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "k"}, body, key), audiences, tenant)
			if err == nil && (c.want != "" || got.TenantID != tenant) || err != nil && err.Error() != c.want {
				t.Errorf("got %+v, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestRefusalsSayWhatThisTokenNeeds(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := newForeign(t, rsaJWK("k", &key.PublicKey))
	f.config.Audiences, f.config.Algorithms = []string{"coffer"}, []string{"RS256", "ES256"}
	v := verifier(t, w, w.Replica, f)
	const canary = "secret-of-the-token"
	head, body := object{"alg": "RS256", "kid": "k"}, object{"iss": f.config.URL, "aud": resource, "sub": "s", "name": canary, "exp": w.Clock.Now().Unix() + 60}
	for name, c := range map[string]struct {
		head, body object
		want       string
	}{
		"issuer with a slash": {head, body.With(object{"iss": f.config.URL + "/"}), "The entry '" + f.config.URL + "' in identity.issuers is spelled otherwise"},
		"another issuer":      {head, body.With(object{"iss": "https://else.test"}), "It needs an entry in identity.issuers with exactly this issuer."},
		"algorithm":           {head.With(object{"alg": "PS256"}), body, "its alg is PS256, and tokens of " + f.config.URL + " need RS256 or ES256"},
		"key":                 {head.With(object{"kid": "l"}), body, "The keys of " + f.config.URL + " have none of this kid and alg"},
		"audience":            {head, body.With(object{"aud": "else"}), "needs one of the audiences of its entry in identity.issuers, or '" + resource + "'."},
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(c.head, c.body, key)
			_, err := v.Verify(t.Context(), "Bearer "+token, audiences, tenant)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant it to say %s", err, c.want)
			}
			payload := strings.Split(token, ".")[1]
			if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), payload)) {
				t.Errorf("the refusal repeats the token: %v", err)
			}
		})
	}
}

func TestKeysThatAreNotUsedAreToldOncePerChange(t *testing.T) {
	w := authntest.New(t)
	keys := rsaKeys()
	good := rsaJWK("good", &keys[0].PublicKey)
	f := newForeign(t, good, rsaJWK("enc", &keys[1].PublicKey).With(object{"use": "enc"}), object{"kty": "oct", "kid": "oct", "k": "AAAA"},
		object{"kty": "AKP", "kid": "new"}, good.With(object{"n": b64(keys[0].N.Bytes()[:128]), "kid": "short"}),
		rsaJWK("good", &keys[1].PublicKey), rsaJWK("alg", &keys[1].PublicKey).With(object{"alg": "HS256"}))
	v, log := logging(t, w, nil, f)
	fetch := func(want int) {
		t.Helper()
		w.Clock.Add(time.Minute)
		body := object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60}
		_, _ = v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "none"}, body, keys[0]), audiences, tenant)
		if n := strings.Count(log.String(), "are not used"); n != want {
			t.Errorf("told %d times, want %d:\n%s", n, want, log)
		}
	}
	fetch(1)
	for _, want := range []string{"2 (kid 'enc'): its use is not sig", "3 (kid 'oct'): it is neither", "4 (kid 'new'): it cannot be read", "5 (kid 'short'): it has fewer than 2048 bits",
		"6 (kid 'good'): another key has its kid", "7 (kid 'alg'): its alg is not of its type"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	fetch(1)
	f.set(func(f *foreign) { f.keys = f.keys[:2] })
	fetch(2)
}

func TestKeysThatCannotBeRefreshedExpire(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := newForeign(t, rsaJWK("k", &key.PublicKey))
	v, log := logging(t, w, nil, f)
	verify := func(want string) {
		t.Helper()
		body := object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60, "jti": guid.New()}
		if _, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "k"}, body, key), audiences, tenant); code(err) != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	verify("")
	f.set(func(f *foreign) { f.fail = true })
	w.Clock.Add(48*time.Hour - time.Second)
	verify("")
	w.Clock.Add(time.Second)
	verify("AKV10046") // within the minute of the last try
	w.Clock.Add(time.Minute)
	verify("AKV10046")
	if n := strings.Count(log.String(), "have expired"); n != 1 {
		t.Errorf("told %d times, want once:\n%s", n, log)
	}
	f.set(func(f *foreign) { f.fail = false })
	w.Clock.Add(time.Minute)
	verify("")
}

// A key that takes another's kid is the new one within a minute, for remembered tokens
// too; the one before signs nothing any more.
func TestKeyReplacedUnderItsKid(t *testing.T) {
	w := authntest.New(t)
	keys := rsaKeys()
	f := newForeign(t, rsaJWK("k", &keys[0].PublicKey))
	v := verifier(t, w, w.Replica, f)
	token := func(n int) string {
		return "Bearer " + sign(object{"alg": "RS256", "kid": "k"}, object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 3600}, keys[n])
	}
	verify := func(token, want string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token, audiences, tenant); code(err) != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	before := token(0)
	verify(before, "")
	f.set(func(f *foreign) { f.keys = []object{rsaJWK("k", &keys[1].PublicKey)} })
	verify(token(1), "AKV10021") // within the minute of the last fetch
	w.Clock.Add(time.Minute)
	verify(token(1), "")
	verify(before, "AKV10021")
	if n := f.fetched(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	// A refresh that brings the same keys makes nobody verify anew, nor ask again.
	w.Clock.Add(time.Minute)
	verify(token(0), "AKV10021")
	if n := f.fetched(); n != 3 {
		t.Errorf("%d fetches after a bad signature, want 3", n)
	}
	verify(token(1), "")
}

// A key verifies signatures of its own algorithm only, whatever the token and the
// issuer's setting say.
func TestKeyIsForItsAlgorithm(t *testing.T) {
	w := authntest.New(t)
	key, ec := rsaKeys()[0], ecKey()
	f := newForeign(t, rsaJWK("ps", &key.PublicKey).With(object{"alg": "PS256"}), rsaJWK("any", &key.PublicKey), ecJWK("ec", ec))
	f.config.Algorithms = []string{"RS256", "PS256", "ES256", "ES384"}
	v := verifier(t, w, w.Replica, f)
	for _, c := range []struct {
		alg, kid string
		key      crypto.Signer
		want     string
	}{
		{"PS256", "ps", key, ""}, {"RS256", "ps", key, "AKV10046"}, {"RS256", "any", key, ""}, {"PS256", "any", key, ""},
		{"ES256", "ec", ec, ""}, {"ES256", "any", ec, "AKV10046"}, {"RS256", "ec", key, "AKV10046"},
	} {
		t.Run(fmt.Sprint(c.alg, c.kid), func(t *testing.T) {
			body := object{"iss": f.config.URL, "aud": resource, "sub": "s", "exp": w.Clock.Now().Unix() + 60}
			if _, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": c.alg, "kid": c.kid}, body, c.key), audiences, tenant); code(err) != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// An entry that was written for an id of the time before name spaces is told of, once,
// when a token comes that it was for; it gives nothing.
func TestFormerIDsAreToldOnce(t *testing.T) {
	w := authntest.New(t)
	key := rsaKeys()[0]
	f := newForeign(t, rsaJWK("k", &key.PublicKey))
	f.config.Claims.Groups = "groups"
	subject, group := guid.New(), guid.New()
	named := map[string]bool{subject: true, group: true, f.config.ObjectID("admins", false): true}
	reads := 0
	v, log := logging(t, w, func(c *authn.Config) {
		c.Entries = func(context.Context) (map[string]bool, error) { reads++; return named, nil }
	}, f)
	verify := func(sub string, groups ...string) {
		t.Helper()
		body := object{"iss": f.config.URL, "aud": resource, "sub": sub, "groups": groups, "exp": w.Clock.Now().Unix() + 60, "jti": guid.New()}
		got, err := v.Verify(t.Context(), "Bearer "+sign(object{"alg": "RS256", "kid": "k"}, body, key), audiences, tenant)
		if err != nil || named[got.ObjectID] || slices.ContainsFunc(got.Groups, func(g string) bool { return named[g] }) {
			t.Errorf("the caller is %+v, %v", got, err)
		}
	}
	verify("s", guid.New(), "others")
	if strings.Contains(log.String(), "earlier versions") {
		t.Errorf("told of ids that nothing names:\n%s", log)
	}
	for range 3 {
		verify(strings.ToUpper(subject), group, "admins")
	}
	for _, want := range []string{"was=" + subject + " is=" + f.config.ObjectID(strings.ToUpper(subject), false), "was=" + group, "was=" + f.config.ObjectID("admins", false) + " is=" + f.config.ObjectID("admins", true)} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q is told %d times, want once:\n%s", want, n, log)
		}
	}
	if reads != 1 {
		t.Errorf("the entries were read %d times within a minute", reads)
	}
}
