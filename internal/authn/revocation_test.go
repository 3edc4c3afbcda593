package authn_test

import (
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
)

// Each revocation ends the tokens of before at once where it is made, and elsewhere
// after the stated age; what it does not concern stays good, and a new token is good in
// the second of the revocation already.
func TestRevocationEndsTokens(t *testing.T) {
	for name, c := range map[string]struct {
		revoke func(t *testing.T, w *authntest.Installation, p *directory.Principal, used, other string)
		code   string
		others bool // tokens that another credential obtained end too
		again  bool // the credential obtains new ones
	}{
		"forget the credential": {func(t *testing.T, w *authntest.Installation, p *directory.Principal, used, _ string) {
			must(t, w.Dir.RemoveCredential(t.Context(), p.ObjectID, used))
		}, "AKV10023", false, false},
		"revoke": {func(t *testing.T, w *authntest.Installation, p *directory.Principal, _, _ string) {
			must(t, w.Dir.Revoke(t.Context(), p.ObjectID, false))
		}, "AKV10023", true, true},
		"disable and enable": {func(t *testing.T, w *authntest.Installation, p *directory.Principal, _, _ string) {
			must(t, w.Dir.Disable(t.Context(), p.ObjectID))
			must(t, w.Dir.Enable(t.Context(), p.ObjectID))
		}, "AKV10023", true, true},
		"revoke the keys": {func(t *testing.T, w *authntest.Installation, _ *directory.Principal, _, _ string) {
			must(t, w.Tokens.RevokeKeys(t.Context(), accesstest.New(t).Everywhere(access.TokenKeyRevoke), nil))
		}, "AKV10046", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := authntest.New(t)
			p := w.App(t, "app")
			bystander := w.Mint(t, w.Replica, w.App(t, "bystander"), resource)
			first := w.Proof(t, p)
			w.Clock.Add(time.Second) // the newest is the last
			_, _, err := w.Dir.AddSecret(t.Context(), p.ObjectID, time.Time{})
			must(t, err)
			second := w.Proof(t, p)
			mint := func(proof directory.Proof) string {
				t.Helper()
				tok, err := w.Tokens.Mint(t.Context(), proof, resource)
				must(t, err)
				return "Bearer " + string(tok.Text.Reveal())
			}
			byFirst, bySecond := mint(first), mint(second)
			here, elsewhere := verifier(t, w, w.Replica), verifier(t, w, w.Another(t))
			is := func(where, token, want string) {
				t.Helper()
				v := here
				if where == "elsewhere" {
					v = elsewhere
				}
				if _, err := v.Verify(t.Context(), token, audiences, tenant); code(err) != want {
					t.Errorf("%s: %v, want %q", where, err, want)
				}
			}
			for _, where := range []string{"here", "elsewhere"} {
				is(where, byFirst, "")
				is(where, bySecond, "")
			}
			c.revoke(t, w, p, first.Credential.ID, second.Credential.ID)
			is("here", byFirst, c.code)
			if name != "revoke the keys" {
				is("here", mint(first), c.code) // proved before, minted after
			}
			w.Clock.Add(5 * time.Second)
			is("elsewhere", byFirst, c.code)
			want := ""
			if c.others {
				want = c.code
			}
			is("here", bySecond, want)
			is("elsewhere", bySecond, want)
			if name != "revoke the keys" {
				is("elsewhere", "Bearer "+bystander, "")
			}
			if c.again { // and in that very second, for the clock stands still
				must(t, w.Dir.Revoke(t.Context(), p.ObjectID, false))
				is("here", "Bearer "+w.Mint(t, w.Replica, p, resource), "")
			}
		})
	}
}

// A key that is revoked is gone from the published set, and another replica takes the
// tokens of the one in its place as soon as it sees one.
func TestRevokedKeysAreReplaced(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	there := w.Another(t)
	v := verifier(t, w, there)
	old := w.Mint(t, w.Replica, p, resource)
	if _, err := v.Verify(t.Context(), "Bearer "+old, audiences, tenant); err != nil {
		t.Fatal(err)
	}
	must(t, w.Tokens.RevokeKeys(t.Context(), accesstest.New(t).Everywhere(access.TokenKeyRevoke), nil))
	here := verifier(t, w, w.Replica)
	for _, r := range []authntest.Replica{there, w.Replica} { // the other one signs with none that it has read before
		token := "Bearer " + w.Mint(t, r, p, resource)
		for _, v := range []*authn.Verifier{here, v} {
			if _, err := v.Verify(t.Context(), token, audiences, tenant); err != nil {
				t.Errorf("a new token: %v", err)
			}
		}
	}
	set, err := w.Tokens.KeySet(t.Context())
	must(t, err)
	if len(set.Keys) != 1 {
		t.Errorf("%d keys are published", len(set.Keys))
	}
}

// One key is revoked without the others.
func TestOneKeyIsRevoked(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	v := verifier(t, w, w.Replica)
	grants := accesstest.New(t)
	first := "Bearer " + w.Mint(t, w.Replica, p, resource)
	kid, _ := w.SigningKey(t)
	w.Clock.Add(time.Second)
	must(t, w.Tokens.RotateKeys(t.Context(), grants.Everywhere(access.TokenKeyRotate)))
	w.Clock.Add(time.Minute)
	second := "Bearer " + w.Mint(t, w.Replica, p, resource)
	must(t, w.Tokens.RevokeKeys(t.Context(), grants.Everywhere(access.TokenKeyRevoke), []string{kid}))
	if _, err := v.Verify(t.Context(), first, audiences, tenant); code(err) != "AKV10046" {
		t.Errorf("of the revoked key: %v", err)
	}
	if _, err := v.Verify(t.Context(), second, audiences, tenant); err != nil {
		t.Errorf("of the other key: %v", err)
	}
}

// Revocations of one moment are apart: a token from between two ends with the second.
func TestRevocationsOfOneMomentAreApart(t *testing.T) {
	w := authntest.New(t)
	p := w.App(t, "app")
	v := verifier(t, w, w.Replica)
	for range 3 {
		token := "Bearer " + w.Mint(t, w.Replica, p, resource)
		must(t, w.Dir.Revoke(t.Context(), p.ObjectID, false))
		if _, err := v.Verify(t.Context(), token, audiences, tenant); code(err) != "AKV10023" {
			t.Errorf("got %v", err)
		}
	}
}

// Of another issuer's token, when it was issued decides.
func TestRevocationOfAnExternalUser(t *testing.T) {
	w := authntest.New(t)
	v, ofUser := userTokens(t, w)
	now := w.Clock.Now().Unix()
	token := func(more object) string {
		return "Bearer " + ofUser(object{"iat": now, "exp": now + 3600}.With(more))
	}
	caller, err := v.Verify(t.Context(), token(nil), audiences, tenant)
	must(t, err)
	w.Clock.Add(500 * time.Millisecond)
	must(t, w.Dir.Revoke(t.Context(), caller.ObjectID, true))
	for name, c := range map[string]struct {
		more object
		want string
	}{
		"before":                         {nil, "AKV10023"},
		"in the same second":             {object{"iat": now}, "AKV10023"},
		"in the next second":             {object{"iat": now + 1}, ""},
		"begins before":                  {object{"iat": nil, "nbf": now - 10}, "AKV10023"},
		"does not say when":              {object{"iat": nil}, "AKV10023"},
		"of another user":                {object{"sub": "somebody else"}, ""},
		"of another user, does not say":  {object{"sub": "somebody else", "iat": nil}, ""},
		"from the future, beyond clocks": {object{"iat": now + 302}, "AKV10011"},
	} {
		if got, err := v.Verify(t.Context(), token(c.more), audiences, tenant); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		} else if err == nil && len(got.Groups) == 0 {
			t.Errorf("%s: the token's groups do not count any more", name)
		}
	}
}

// No token is good for longer than a day, whoever signed it and whatever it leaves out.
func TestTokensThatLiveTooLongAreRefused(t *testing.T) {
	const day = 86400
	w := authntest.New(t)
	v, ofUser := userTokens(t, w)
	now := w.Clock.Now().Unix()
	for name, c := range map[string]struct {
		claims object
		want   string
	}{
		"a day":                       {object{"iat": now, "exp": now + day}, ""},
		"a second more":               {object{"iat": now, "exp": now + day + 1}, "AKV10012"},
		"more, nearly over":           {object{"iat": now - 2*day, "exp": now + 60}, "AKV10012"},
		"a day by nbf":                {object{"nbf": now, "exp": now + day}, ""},
		"more by nbf":                 {object{"nbf": now, "exp": now + day + 1}, "AKV10012"},
		"iat before nbf":              {object{"iat": now - 60, "nbf": now, "exp": now + day}, "AKV10012"},
		"neither, a day":              {object{"exp": now + day}, ""},
		"neither, more than clocks":   {object{"exp": now + day + 301}, "AKV10012"},
		"iat far ahead, to last long": {object{"iat": now + 10*day, "nbf": now, "exp": now + 10*day + 60}, "AKV10012"},
	} {
		if _, err := v.Verify(t.Context(), "Bearer "+ofUser(c.claims), audiences, tenant); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// Ours too, if somebody got hold of the key.
	kid, key := func() (string, any) {
		w.Mint(t, w.Replica, w.App(t, "app"), resource)
		return w.SigningKey(t)
	}()
	own := sign(object{"alg": "RS256", "kid": kid}, object{"iss": base + "/" + tenant + "/", "aud": resource, "tid": tenant, "oid": tenant, "iat": now, "exp": now + 25*3600}, key)
	_, err := v.Verify(t.Context(), "Bearer "+own, audiences, tenant)
	const text = "AKV10012: The token is good for longer than 24 hours (exp - iat is 90000 s). Have its issuer issue shorter ones."
	if err == nil || err.Error() != text {
		t.Errorf("got  %v\nwant %s", err, text)
	}
}

// userTokens makes a verifier that trusts an external issuer, and tokens of that one for
// a user with a group.
func userTokens(t *testing.T, w *authntest.Installation) (*authn.Verifier, func(object) string) {
	t.Helper()
	key := rsaKeys()[0]
	f := newForeign(t, rsaJWK("k", &key.PublicKey))
	f.config.Claims.Groups = "roles"
	return verifier(t, w, w.Replica, f), func(claims object) string {
		body := object{"iss": f.config.URL, "aud": resource, "sub": "anna", "roles": []string{"team"}, "exp": w.Clock.Now().Unix() + 3600}
		return sign(object{"alg": "RS256", "kid": "k"}, body.With(claims), key)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
