package authn_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/authn"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/guid"
)

const endpoint = base + "/adfs/oauth2/token"

func ours(aud string) bool { return aud == endpoint }

// The spellings are those of the clients in contract identity.md, 5.6.
func TestCertificateAssertions(t *testing.T) {
	w := authntest.New(t)
	ctx := t.Context()
	app, other := w.App(t, "app"), w.App(t, "other")
	v := verifier(t, w, w.Replica)
	now := w.Clock.Now()
	keys, ec := rsaKeys(), ecKey()
	rsaCert := authntest.SelfSigned(t, &keys[0].PublicKey, keys[0], now.Add(-time.Hour), 48*time.Hour)
	ecCert := authntest.SelfSigned(t, &ec.PublicKey, ec, now.Add(-time.Hour), 48*time.Hour)
	otherCert := authntest.SelfSigned(t, &keys[1].PublicKey, keys[1], now.Add(-time.Hour), 48*time.Hour)
	ending := authntest.SelfSigned(t, &keys[2].PublicKey, keys[2], now.Add(-time.Hour), time.Hour+time.Second)
	for owner, certs := range map[string][][]byte{app.AppID: {rsaCert, ecCert, ending}, other.AppID: {otherCert}} {
		for _, c := range certs {
			if _, err := w.Dir.AddCertificate(ctx, owner, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Clock.Add(time.Minute) // "ending" has ended
	now = w.Clock.Now()
	s1, s256, e256 := sha1.Sum(rsaCert), sha256.Sum256(rsaCert), sha256.Sum256(ecCert)
	o256, x256 := sha256.Sum256(otherCert), sha256.Sum256(ending)
	x5t := func(alg, name, value string) object { return object{"alg": alg, "typ": "JWT", name: value} }
	rs := x5t("RS256", "x5t", b64(s1[:]))
	body := func(changes object) object {
		return object{"iss": app.AppID, "sub": app.AppID, "aud": endpoint, "jti": guid.New(), "nbf": now.Unix(), "iat": now.Unix(), "exp": now.Unix() + 600}.With(changes)
	}
	for name, c := range map[string]struct {
		assertion string
		want      error
	}{
		"Python MSAL 1.21":      {sign(x5t("RS256", "x5t", base64.URLEncoding.EncodeToString(s1[:])), body(object{"exp": float64(now.Unix()) + 600.123456}), keys[0]), nil},
		"Python MSAL, newer":    {sign(x5t("PS256", "x5t#S256", base64.URLEncoding.EncodeToString(s256[:])), body(nil), keys[0]), nil},
		"Go, ordinary tenant":   {sign(x5t("PS256", "x5t#S256", base64.StdEncoding.EncodeToString(s256[:])), body(nil), keys[0]), nil},
		"Go, tenant adfs":       {sign(x5t("RS256", "x5t", base64.StdEncoding.EncodeToString(s1[:])), body(nil), keys[0]), nil},
		"JavaScript":            {sign(x5t("PS256", "x5t#S256", b64(s256[:])), body(nil), keys[0]), nil},
		"standard, not padded":  {sign(x5t("RS256", "x5t", base64.RawStdEncoding.EncodeToString(s1[:])), body(nil), keys[0]), nil},
		"EC":                    {sign(x5t("ES256", "x5t#S256", b64(e256[:])), body(nil), ec), nil},
		"with x5c":              {sign(rs.With(object{"x5c": []string{base64.StdEncoding.EncodeToString(rsaCert)}}), body(nil), keys[0]), nil},
		"without nbf":           {sign(rs, body(object{"nbf": nil, "iat": nil}), keys[0]), nil},
		"client id in capitals": {sign(rs, body(object{"iss": strings.ToUpper(app.AppID), "sub": strings.ToUpper(app.AppID)}), keys[0]), nil},
		"audience among others": {sign(rs, body(object{"aud": []string{"x", endpoint}}), keys[0]), nil},
		"a minute late":         {sign(rs, body(object{"exp": now.Unix() - 60}), keys[0]), nil},
		"another key":           {sign(rs, body(nil), keys[1]), directory.BadSignature},
		"another's certificate": {sign(x5t("RS256", "x5t#S256", b64(o256[:])), body(nil), keys[1]), directory.BadSignature},
		"its own x5c":           {sign(object{"alg": "RS256", "x5c": []string{base64.StdEncoding.EncodeToString(otherCert)}}, body(nil), keys[1]), directory.BadSignature},
		"x5t right, S256 wrong": {sign(rs.With(object{"x5t#S256": b64(o256[:])}), body(nil), keys[0]), directory.BadSignature},
		"certificate has ended": {sign(x5t("RS256", "x5t#S256", b64(x256[:])), body(nil), keys[2]), directory.BadSignature},
		"no thumbprint":         {sign(object{"alg": "RS256"}, body(nil), keys[0]), directory.BadSignature},
		"thumbprint not base64": {sign(rs.With(object{"x5t": "***"}), body(nil), keys[0]), directory.BadSignature},
		"thumbprint not text":   {sign(rs.With(object{"x5t": 1}), body(nil), keys[0]), directory.BadSignature},
		"alg none":              {sign(rs.With(object{"alg": "none"}), body(nil), nil), directory.BadSignature},
		"HMAC with the DER":     {sign(rs.With(object{"alg": "HS256"}), body(nil), rsaCert), directory.BadSignature},
		"expired":               {sign(rs, body(object{"exp": now.Unix() - 301}), keys[0]), directory.BadTimes},
		"no exp":                {sign(rs, body(object{"exp": nil}), keys[0]), directory.BadTimes},
		"not yet":               {sign(rs, body(object{"nbf": now.Unix() + 301}), keys[0]), directory.BadTimes},
		"good for ever":         {sign(rs, body(object{"exp": now.Unix() + 2*86400}), keys[0]), directory.TooLong},
		"for another server":    {sign(rs, body(object{"aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token"}), keys[0]), directory.BadAudience},
		"for nobody":            {sign(rs, body(object{"aud": nil}), keys[0]), directory.BadAudience},
		"subject of another":    {sign(rs, body(object{"sub": other.AppID}), keys[0]), directory.NotFederated},
		"issuer of another":     {sign(rs, body(object{"iss": other.AppID}), keys[0]), directory.NotFederated},
		"empty":                 {"", directory.BadSignature},
		"not a token":           {"a.b.c", directory.BadSignature},
		"too long":              {strings.Repeat("a", 1<<20), directory.BadSignature},
		"payload not an object": {sign(rs, []byte("7"), keys[0]), directory.BadSignature},
		"jti not text":          {sign(rs, body(object{"jti": 7}), keys[0]), directory.BadSignature},
		"a member occurs twice": {sign(rs, []byte(`{"iss":"`+app.AppID+`","iss":"x","sub":"`+app.AppID+`","exp":9999999999}`), keys[0]), directory.BadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			p, kind, err := v.ByAssertion(ctx, app.AppID, c.assertion, ours)
			if err != c.want || err == nil && (p.Principal.ObjectID != app.ObjectID || kind != directory.Certificate) {
				t.Fatalf("got %v, %q, %v; want %v", p, kind, err, c.want)
			}
			if c.want == nil {
				if _, _, err := v.ByAssertion(ctx, app.AppID, c.assertion, ours); err != directory.BadTimes {
					t.Errorf("the second use: %v, want %v", err, directory.BadTimes)
				}
			}
		})
	}
	good := sign(rs, body(nil), keys[0])
	if _, _, err := v.ByAssertion(ctx, guid.New(), good, ours); err != directory.UnknownClient {
		t.Errorf("an unknown client: %v", err)
	}
	if err := w.Dir.Disable(ctx, app.ObjectID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.ByAssertion(ctx, app.AppID, good, ours); err != directory.DisabledClient {
		t.Errorf("a disabled client: %v", err)
	}
}

func TestAssertionIsGoodOnceAmongReplicas(t *testing.T) {
	w := authntest.New(t)
	app := w.App(t, "app")
	key := rsaKeys()[0]
	cert := authntest.SelfSigned(t, &key.PublicKey, key, w.Clock.Now(), time.Hour)
	if _, err := w.Dir.AddCertificate(t.Context(), app.ObjectID, cert); err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(cert)
	for name, jti := range map[string]any{"with jti": "1", "without jti": nil} {
		assertion := sign(object{"alg": "RS256", "x5t": b64(sum[:])},
			object{"iss": app.AppID, "sub": app.AppID, "aud": endpoint, "jti": "x", "exp": w.Clock.Now().Unix() + 600}.With(object{"jti": jti}), key)
		var wg sync.WaitGroup
		results := make([]error, 4)
		for n := range results {
			v := verifier(t, w, w.Another(t))
			wg.Go(func() { _, _, results[n] = v.ByAssertion(context.Background(), app.AppID, assertion, ours) })
		}
		wg.Wait()
		good := 0
		for _, err := range results {
			if err == nil {
				good++
			} else if err != directory.BadTimes {
				t.Errorf("%s: %v", name, err)
			}
		}
		if good != 1 {
			t.Errorf("%s: accepted %d times, want once", name, good)
		}
	}
}

// openssl signs, as a shell script of an operator would.
func TestAssertionSignedByOpenSSL(t *testing.T) {
	w := authntest.New(t)
	w.Clock.Set(time.Now())
	app := w.App(t, "app")
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command("openssl", args...).Output()
		if err != nil {
			t.Fatalf("openssl %s: %v", args[0], err)
		}
		return out
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=app", "-days", "2", "-keyout", dir+"/key", "-out", dir+"/cert")
	cert := run("x509", "-in", dir+"/cert")
	if _, err := w.Dir.AddCertificate(t.Context(), app.ObjectID, cert); err != nil {
		t.Fatal(err)
	}
	v := verifier(t, w, w.Replica)
	for alg, options := range map[string][]string{"RS256": nil, "PS256": {"-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"}} {
		thumb := sha256.Sum256(run("x509", "-in", dir+"/cert", "-outform", "DER"))
		unsigned := sign(object{"alg": alg, "x5t#S256": b64(thumb[:])},
			object{"iss": app.AppID, "sub": app.AppID, "aud": endpoint, "jti": alg, "exp": w.Clock.Now().Unix() + 600}, nil)
		write(t, dir+"/data", []byte(strings.TrimSuffix(unsigned, ".")))
		sig := run(append(append([]string{"dgst", "-sha256", "-sign", dir + "/key"}, options...), dir+"/data")...)
		if _, _, err := v.ByAssertion(t.Context(), app.AppID, unsigned+b64(sig), ours); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestFederatedAssertions(t *testing.T) {
	w := authntest.New(t)
	ctx := t.Context()
	app := w.App(t, "app")
	keys, ec := rsaKeys(), ecKey()
	cluster := newForeign(t, rsaJWK("k", &keys[0].PublicKey), ecJWK("e", ec))
	unrelated := newForeign(t, rsaJWK("k", &keys[1].PublicKey))
	config := w.Config(w.Replica)
	config.HTTP = cluster.server.Client()
	v, err := authn.New(config)
	if err != nil {
		t.Fatal(err)
	}
	const subject = "system:serviceaccount:default:web"
	if _, err := w.Dir.AddFederated(ctx, app.ObjectID, cluster.config.URL, subject, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Dir.AddFederated(ctx, app.ObjectID, cluster.config.URL, "repo:a/b", []string{"mine"}); err != nil {
		t.Fatal(err)
	}
	now := w.Clock.Now().Unix()
	head := object{"alg": "RS256", "kid": "k"}
	body := object{"iss": cluster.config.URL, "sub": subject, "aud": []string{"api://AzureADTokenExchange"}, "exp": now + 3600}
	for name, c := range map[string]struct {
		assertion string
		want      error
	}{
		"good":                   {sign(head, body, keys[0]), nil},
		"EC":                     {sign(object{"alg": "ES256", "kid": "e"}, body, ec), nil},
		"own audience":           {sign(head, body.With(object{"sub": "repo:a/b", "aud": "mine"}), keys[0]), nil},
		"other's audience":       {sign(head, body.With(object{"aud": "mine"}), keys[0]), directory.NotFederated},
		"subject in other case":  {sign(head, body.With(object{"sub": strings.ToUpper(subject)}), keys[0]), directory.NotFederated},
		"issuer with a slash":    {sign(head, body.With(object{"iss": cluster.config.URL + "/"}), keys[0]), directory.NotFederated},
		"issuer not registered":  {sign(head, body.With(object{"iss": unrelated.config.URL}), keys[1]), directory.NotFederated},
		"signed by another":      {sign(head, body, keys[1]), directory.BadSignature},
		"unknown kid":            {sign(head.With(object{"kid": "z"}), body, keys[0]), directory.BadSignature},
		"good for two days":      {sign(head, body.With(object{"exp": now + 2*86400}), keys[0]), directory.TooLong},
		"expired":                {sign(head, body.With(object{"exp": now - 301}), keys[0]), directory.BadTimes},
		"no exp":                 {sign(head, body.With(object{"exp": nil}), keys[0]), directory.BadTimes},
		"alg none":               {sign(head.With(object{"alg": "none"}), body, nil), directory.BadSignature},
		"a member occurs twice":  {sign(head, []byte(`{"iss":"`+cluster.config.URL+`","sub":"x","sub":"`+subject+`","exp":9999999999}`), keys[0]), directory.BadSignature},
		"audience is not a text": {sign(head, body.With(object{"aud": 1}), keys[0]), directory.BadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // a workload's token is used again and again
				p, kind, err := v.ByAssertion(ctx, app.AppID, c.assertion, ours)
				if err != c.want || err == nil && (p.Principal.ObjectID != app.ObjectID || kind != directory.Federated) {
					t.Fatalf("got %v, %q, %v; want %v", p, kind, err, c.want)
				}
			}
		})
	}
	if n := unrelated.fetched(); n != 0 {
		t.Errorf("an issuer that nobody registered was asked %d times", n)
	}
	// A federated issuer's token is no bearer token.
	if _, err := v.Verify(ctx, "Bearer "+sign(head, body.With(object{"aud": resource}), keys[0]), audiences, tenant); code(err) != "AKV10032" {
		t.Errorf("as a bearer token: %v", err)
	}
}

func FuzzByAssertion(f *testing.F) {
	w := authntest.New(f)
	app := w.App(f, "app")
	key := rsaKeys()[0]
	cert := authntest.SelfSigned(f, &key.PublicKey, key, w.Clock.Now(), time.Hour)
	if _, err := w.Dir.AddCertificate(context.Background(), app.ObjectID, cert); err != nil {
		f.Fatal(err)
	}
	v := verifier(f, w, w.Replica)
	sum := sha1.Sum(cert)
	for _, seed := range []string{"", "..", "e30.e30.",
		sign(object{"alg": "RS256", "x5t": b64(sum[:])}, object{"iss": app.AppID, "sub": app.AppID, "exp": 1e9}, key),
		sign(object{"alg": "RS256", "x5t": b64(sum[:])}, object{"iss": app.AppID, "sub": app.AppID, "exp": 1e10, "aud": endpoint}, nil)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, assertion string) {
		if p, _, err := v.ByAssertion(t.Context(), app.AppID, assertion, ours); err == nil {
			t.Errorf("%q became %v", assertion, p)
		}
	})
}
