package authn_test

import (
	"context"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/audience"
	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory/directorytest"
)

const resource = "https://vault.test:8443"

var audiences = audience.Of("kv1.vault.test:8443", nil)

func TestOnlyGoodTokensOfTheDirectoryPass(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	good := w.Mint(t, w.Replica, p, resource)
	kid, key := w.SigningKey(t)
	v := verifier(t, w, w.Replica)
	other := rsaKeys()[0]

	head := object{"alg": "RS256", "typ": "JWT", "kid": kid, "x5t": kid}
	now := float64(w.Clock.Now().Unix())
	body := object{
		"iss": base + "/" + tenant + "/", "aud": resource, "tid": tenant, "oid": p.ObjectID, "sub": p.ObjectID, "appid": p.AppID,
		"idtyp": "app", "iat": now, "nbf": now, "exp": now + 3600, "coffer_credential": w.Proof(t, p).Credential.ID,
	}
	spki, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	parts := strings.Split(good, ".")
	twice := []byte(`{"iss":"` + base + "/" + tenant + `/","aud":"` + resource + `","tid":"` + tenant + `","exp":9999999999,"oid":"` + p.ObjectID + `","oid":"` + tenant + `"}`)
	cased := []byte(`{"iss":"` + base + "/" + tenant + `/","aud":"` + resource + `","tid":"` + tenant + `","Exp":9999999999,"oid":"` + p.ObjectID + `"}`)

	for name, c := range map[string]struct {
		authorization string
		code          string
	}{
		"minted":                     {"Bearer " + good, ""},
		"scheme in lower case":       {"bearer " + good, ""},
		"scheme in upper case":       {"BEARER  " + good, ""},
		"made by hand":               {"Bearer " + sign(head, body, key), ""},
		"float dates":                {"Bearer " + sign(head, body.With(object{"exp": now + 10.5, "nbf": now - 0.25}), key), ""},
		"no nbf":                     {"Bearer " + sign(head, body.With(object{"nbf": nil}), key), ""},
		"several audiences":          {"Bearer " + sign(head, body.With(object{"aud": []string{"x", resource}}), key), ""},
		"audience with a slash":      {"Bearer " + sign(head, body.With(object{"aud": resource + "/"}), key), ""},
		"the vault application":      {"Bearer " + sign(head, body.With(object{"aud": "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"}), key), ""},
		"expired within the skew":    {"Bearer " + sign(head, body.With(object{"exp": now - 299}), key), ""},
		"early within the skew":      {"Bearer " + sign(head, body.With(object{"nbf": now + 299}), key), ""},
		"x5t in place of kid":        {"Bearer " + sign(head.With(object{"kid": nil}), body, key), ""},
		"no header":                  {"", "AKV10000"},
		"no token":                   {"Bearer", "AKV10000"},
		"another scheme":             {"Basic " + good, "AKV10000"},
		"proof of possession":        {"PoP " + good, "AKV10000"},
		"not a token":                {"Bearer abc", "AKV10001"},
		"two tokens":                 {"Bearer " + good + " " + good, "AKV10001"},
		"too long":                   {"Bearer " + good + strings.Repeat("A", 16<<10), "AKV10001"},
		"alg none":                   {"Bearer " + sign(head.With(object{"alg": "none"}), body, nil), "AKV10001"},
		"alg None with signature":    {"Bearer " + sign(head.With(object{"alg": "None"}), body, key), "AKV10001"},
		"HMAC of the public key":     {"Bearer " + sign(head.With(object{"alg": "HS256"}), body, spki), "AKV10001"},
		"PS256 is not our algorithm": {"Bearer " + sign(head.With(object{"alg": "PS256"}), body, key), "AKV10001"},
		"ES256 with an RSA kid":      {"Bearer " + sign(head.With(object{"alg": "ES256"}), body, ecKey()), "AKV10001"},
		"critical extension":         {"Bearer " + sign(head.With(object{"crit": []string{"x"}, "x": 1}), body, key), "AKV10021"},
		"unknown kid":                {"Bearer " + sign(head.With(object{"kid": "nope"}), body, key), "AKV10046"},
		"no kid, no x5t":             {"Bearer " + sign(head.With(object{"kid": nil, "x5t": nil}), body, key), "AKV10046"},
		"the key in its own header":  {"Bearer " + sign(object{"alg": "RS256", "jwk": rsaJWK("mine", &other.PublicKey)}, body, other), "AKV10046"},
		"signed by another key":      {"Bearer " + sign(head, body, other), "AKV10021"},
		"payload changed":            {"Bearer " + parts[0] + "." + strings.Split(sign(head, body.With(object{"oid": tenant}), nil), ".")[1] + "." + parts[2], "AKV10021"},
		"signature cut":              {"Bearer " + good[:len(good)-8], "AKV10021"},
		"no signature":               {"Bearer " + parts[0] + "." + parts[1] + ".", "AKV10021"},
		"expired":                    {"Bearer " + sign(head, body.With(object{"exp": now - 301}), key), "AKV10010"},
		"no exp":                     {"Bearer " + sign(head, body.With(object{"exp": nil}), key), "AKV10001"},
		"exp null":                   {"Bearer " + sign(head, []byte(`{"iss":"`+base+"/"+tenant+`/","exp":null}`), key), "AKV10001"},
		"exp is text":                {"Bearer " + sign(head, body.With(object{"exp": "9999999999"}), key), "AKV10001"},
		"exp beyond all time":        {"Bearer " + sign(head, body.With(object{"exp": 1e300}), key), "AKV10001"},
		"exp negative":               {"Bearer " + sign(head, body.With(object{"exp": -1}), key), "AKV10001"},
		"exp in another case":        {"Bearer " + sign(head, cased, key), "AKV10001"},
		"a claim that occurs twice":  {"Bearer " + sign(head, twice, key), "AKV10001"},
		"payload not an object":      {"Bearer " + sign(head, []byte(`[]`), key), "AKV10001"},
		"not yet valid":              {"Bearer " + sign(head, body.With(object{"nbf": now + 301}), key), "AKV10011"},
		"another audience":           {"Bearer " + sign(head, body.With(object{"aud": "https://graph.test"}), key), "AKV10022"},
		"the management plane":       {"Bearer " + sign(head, body.With(object{"aud": "https://management.azure.com/"}), key), "AKV10022"},
		"the spn: prefix":            {"Bearer " + sign(head, body.With(object{"aud": "spn:" + resource}), key), "AKV10022"},
		"no audience":                {"Bearer " + sign(head, body.With(object{"aud": nil}), key), "AKV10022"},
		"another tenant":             {"Bearer " + sign(head, body.With(object{"tid": p.ObjectID}), key), "AKV10032"},
		"no tenant":                  {"Bearer " + sign(head, body.With(object{"tid": nil}), key), "AKV10032"},
		"another issuer":             {"Bearer " + sign(head, body.With(object{"iss": "https://evil.test/"}), key), "AKV10032"},
		"issuer without its slash":   {"Bearer " + sign(head, body.With(object{"iss": base + "/" + tenant}), key), "AKV10032"},
		"no issuer":                  {"Bearer " + sign(head, body.With(object{"iss": nil}), key), "AKV10032"},
		"nobody":                     {"Bearer " + sign(head, body.With(object{"oid": nil, "sub": nil}), key), "AKV10001"},
		"a principal that is not":    {"Bearer " + sign(head, body.With(object{"oid": tenant}), key), "AKV10023"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time from memory
				caller, err := v.Verify(t.Context(), c.authorization, audiences, tenant)
				if got := code(err); got != c.code {
					t.Fatalf("got %q (%v), want %q", got, err, c.code)
				}
				if err == nil && caller.ObjectID != p.ObjectID {
					t.Errorf("caller is %q, want %q", caller.ObjectID, p.ObjectID)
				}
				if err != nil && (caller.ObjectID != "" || strings.Contains(err.Error(), parts[2])) {
					t.Errorf("a refusal gives a caller %v, or tells the signature: %v", caller, err)
				}
			}
		})
	}
	if _, err := v.Verify(t.Context(), "Bearer "+good, audiences, p.ObjectID); code(err) != "AKV10032" {
		t.Errorf("a vault of another tenant answers %v", err)
	}
}

// The texts are those of contract access-control.md, 9.1.
func TestRefusalsReadAsTheService(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	v := verifier(t, w, w.Replica)
	for name, c := range map[string]struct{ authorization, want string }{
		"none": {"", "AKV10000: Request is missing a Bearer or PoP token."},
		"audience": {"Bearer " + w.Mint(t, w.Replica, p, "https://other.test"),
			"AKV10022: Invalid audience. Expected https://vault.test:8443 or cfa8b339-82a2-471a-a3c9-0fc0be7a4093, found: https://other.test."},
		"issuer": {"Bearer " + sign(object{"alg": "RS256"}, object{"iss": "https://sts.windows.net/x/\r\n"}, nil),
			"AKV10032: Invalid issuer. Expected one of https://login.example.net/" + tenant + "/, found https://sts.windows.net/x/??." +
				" It needs an entry in identity.issuers with exactly this issuer."},
		"key": {"Bearer " + sign(object{"alg": "RS256", "kid": "k"}, object{"iss": base + "/" + tenant + "/"}, nil),
			"AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '" + b64([]byte(`{"alg":"RS256","kid":"k"}`)) + "'."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), c.authorization, audiences, tenant)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	token := w.Mint(t, w.Replica, p, resource)
	w.Clock.Add(66 * time.Minute)
	if _, err := v.Verify(t.Context(), "Bearer "+token, audiences, tenant); err == nil || err.Error() != "AKV10010: Error validating token: IDX10223." {
		t.Errorf("expired: %v", err)
	}
}

func TestRememberedTokenStillExpires(t *testing.T) {
	w := authntest.New(t)
	token := "Bearer " + w.Mint(t, w.Replica, w.App(t, "app"), resource)
	v := verifier(t, w, w.Replica)
	for _, step := range []struct {
		add  time.Duration
		code string
	}{{0, ""}, {64 * time.Minute, ""}, {time.Minute, ""}, {time.Second, "AKV10010"}} {
		w.Clock.Add(step.add)
		if _, err := v.Verify(t.Context(), token, audiences, tenant); code(err) != step.code {
			t.Errorf("after %v more: %v, want %q", step.add, err, step.code)
		}
	}
}

func TestDisabledPrincipalIsOutAtOnceHereAndWithinFiveSecondsElsewhere(t *testing.T) {
	for name, end := range map[string]func(*directorytest.Directory, context.Context, string) error{
		"disabled": (*directorytest.Directory).Disable,
		"deleted":  (*directorytest.Directory).Delete,
	} {
		t.Run(name, func(t *testing.T) {
			w := authntest.New(t)
			p := w.App(t, "app")
			token := "Bearer " + w.Mint(t, w.Replica, p, resource)
			here, elsewhere := verifier(t, w, w.Replica), verifier(t, w, w.Another(t))
			verify := func(v *authn.Verifier, want string) {
				t.Helper()
				if _, err := v.Verify(t.Context(), token, audiences, tenant); code(err) != want {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			verify(here, "")
			verify(elsewhere, "")
			if err := end(w.Dir, t.Context(), p.ObjectID); err != nil {
				t.Fatal(err)
			}
			verify(here, "AKV10023")
			w.Clock.Add(4 * time.Second)
			verify(elsewhere, "") // what it remembers is younger than five seconds
			w.Clock.Add(time.Second)
			verify(elsewhere, "AKV10023")
			if name == "disabled" {
				if err := w.Dir.Enable(t.Context(), p.ObjectID); err != nil {
					t.Fatal(err)
				}
				verify(here, "AKV10023") // its tokens of before stay ended
				token = "Bearer " + w.Mint(t, w.Replica, p, resource)
				verify(here, "")
			}
		})
	}
}

func TestCallerOfTheDirectory(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	inner, outer, off := w.Group(t, "inner"), w.Group(t, "outer"), w.Group(t, "off")
	for _, m := range [][2]string{{inner, p.ObjectID}, {outer, inner}, {inner, outer}, {off, p.ObjectID}} { // a circle too
		if err := w.Dir.AddMember(t.Context(), m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Dir.Disable(t.Context(), off); err != nil {
		t.Fatal(err)
	}
	proof := w.Proof(t, p)
	token, err := w.Tokens.Mint(t.Context(), proof, resource)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, w, w.Replica)
	got, err := v.Verify(t.Context(), "Bearer "+string(token.Text.Reveal()), audiences, strings.ToUpper(tenant))
	if err != nil {
		t.Fatal(err)
	}
	want := access.Caller{
		TenantID: tenant, ObjectID: p.ObjectID, AppID: p.AppID, Issuer: base + "/" + tenant + "/", TokenID: token.ID,
		KeyID: token.KeyID, Credential: proof.Credential.ID,
		Groups: []string{inner, outer}, TokenGroups: 2,
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(access.Caller{})); d != "" {
		t.Error(d)
	}
	// Membership is the directory's of now, not the token's of then.
	if err := w.Dir.RemoveMember(t.Context(), inner, p.ObjectID); err != nil {
		t.Fatal(err)
	}
	got, err = v.Verify(t.Context(), "Bearer "+string(token.Text.Reveal()), audiences, tenant)
	if err != nil || len(got.Groups) != 0 {
		t.Errorf("after leaving: groups %v, error %v", got.Groups, err)
	}
}

func TestVerifyIsSafeForConcurrentUse(t *testing.T) {
	w := authntest.New(t)
	v := verifier(t, w, w.Replica)
	p := w.App(t, "app")
	token := "Bearer " + w.Mint(t, w.Replica, p, resource)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := v.Verify(context.Background(), token, audiences, tenant); err != nil {
					t.Errorf("%d: %v", n, err)
				}
				if n == 0 {
					w.Clock.Add(time.Second)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzVerify(f *testing.F) {
	w := authntest.New(f)
	p := w.App(f, "app")
	v := verifier(f, w, w.Replica)
	good := "Bearer " + w.Mint(f, w.Replica, p, resource)
	for _, seed := range []string{good, "", "Bearer", "Bearer ..", "bearer e30.e30.", "Bearer " + sign(object{"alg": "none"}, object{"iss": base + "/" + tenant + "/"}, nil),
		"Bearer " + sign(object{"alg": "RS256", "kid": nil, "x5t": 1}, object{"iss": base + "/" + tenant + "/", "exp": 1e9}, nil)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		caller, err := v.Verify(t.Context(), authorization, audiences, tenant)
		if err == nil && caller.ObjectID != p.ObjectID {
			t.Errorf("%q became %v", authorization, caller)
		}
		if err != nil && !strings.HasPrefix(code(err), "AKV100") {
			t.Errorf("%q: %v", authorization, err)
		}
	})
}
