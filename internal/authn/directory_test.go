package authn_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/seal"
	"coffer/internal/token"
)

func TestSecretProvesItsApplicationOnly(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, b := w.app(t, "a"), w.app(t, "b")
	cred, secret, err := w.dir.AddSecret(ctx, a.ObjectID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	_, brief, err := w.dir.AddSecret(ctx, a.AppID, w.clock.now().Add(time.Hour)) // by client id too
	if err != nil {
		t.Fatal(err)
	}
	_, others, err := w.dir.AddSecret(ctx, b.ObjectID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^cof_[0-9A-Za-z_-]{43}$`).MatchString(secret) || !strings.HasPrefix(secret, cred.Hint) || len(cred.Hint) > 7 {
		t.Errorf("secret %q with hint %q", secret, cred.Hint)
	}
	try := func(id, secret string, want error) {
		t.Helper()
		p, err := w.dir.BySecret(ctx, id, seal.NewValue([]byte(secret)))
		if err != want || err == nil && p.AppID != strings.ToLower(id) {
			t.Errorf("got %v, %v; want %v", p, err, want)
		}
	}
	try(a.AppID, secret, nil)
	try(a.AppID, brief, nil)
	try(strings.ToUpper(a.AppID), secret, nil)
	try(b.AppID, others, nil)
	try(a.AppID, others, directory.WrongSecret)
	try(a.AppID, secret+"x", directory.WrongSecret)
	try(a.AppID, "", directory.WrongSecret)
	try(a.AppID, strings.Repeat("x", 1<<20), directory.WrongSecret)
	try(a.ObjectID, secret, directory.UnknownClient) // the object id is no client id
	try(guid.New(), secret, directory.UnknownClient)
	try("not a GUID", secret, directory.UnknownClient)
	try("", "", directory.UnknownClient)

	w.clock.add(time.Hour)
	try(a.AppID, brief, directory.ExpiredSecret)
	try(a.AppID, secret, nil)
	if err := w.dir.Disable(ctx, a.ObjectID); err != nil {
		t.Fatal(err)
	}
	try(a.AppID, secret, directory.DisabledClient)
	try(a.AppID, others, directory.WrongSecret)
	if err := w.dir.Enable(ctx, a.ObjectID); err != nil {
		t.Fatal(err)
	}
	if err := w.dir.RemoveCredential(ctx, b.ObjectID, cred.ID); !fault.Is(err, fault.NotFound) { // not b's: stays
		t.Fatal(err)
	}
	try(a.AppID, secret, nil)
	if err := w.dir.RemoveCredential(ctx, a.ObjectID, cred.ID); err != nil {
		t.Fatal(err)
	}
	try(a.AppID, secret, directory.WrongSecret)
}

func TestIdentityHeader(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	p, err := w.dir.CreateManagedIdentity(ctx, "web-1")
	if err != nil {
		t.Fatal(err)
	}
	_, header, err := w.dir.AddIdentityHeader(ctx, p.ObjectID, w.clock.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	app := w.app(t, "app")
	_, secret, err := w.dir.AddSecret(ctx, app.ObjectID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	try := func(header string, want error) {
		t.Helper()
		got, err := w.dir.ByIdentityHeader(ctx, seal.NewValue([]byte(header)))
		if err != want || err == nil && got.ObjectID != p.ObjectID {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
	try(header, nil)
	try(header+"x", directory.WrongSecret)
	try("", directory.WrongSecret)
	try(secret, directory.WrongSecret) // a client secret is no identity header
	if _, err := w.dir.BySecret(ctx, p.AppID, seal.NewValue([]byte(header))); err != directory.UnknownClient {
		t.Errorf("a managed identity signs in as a client: %v", err)
	}
	if err := w.dir.Disable(ctx, p.ObjectID); err != nil {
		t.Fatal(err)
	}
	try(header, directory.DisabledClient)
	w.clock.add(time.Hour)
	try(header, directory.ExpiredSecret)
}

// selfSigned makes a certificate; expires after life.
func selfSigned(t testing.TB, public, private any, from time.Time, life time.Duration) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: from, NotAfter: from.Add(life),
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}}, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestWhatTheDirectoryRefusesToRegister(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	app := w.app(t, "app")
	mi, err := w.dir.CreateManagedIdentity(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	g := group(t, w, "group")
	now := w.clock.now()
	key := rsaKeys()[0]
	cert := selfSigned(t, &key.PublicKey, key, now, time.Hour)
	edPublic, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	addCert := func(der []byte) error { _, err := w.dir.AddCertificate(ctx, app.ObjectID, der); return err }
	federated := func(issuer, subject string, audiences ...string) error {
		_, err := w.dir.AddFederated(ctx, app.ObjectID, issuer, subject, audiences)
		return err
	}
	name := func(n string) error { _, err := w.dir.CreateApplication(ctx, n); return err }
	secret := func(id string, end time.Time) error { _, _, err := w.dir.AddSecret(ctx, id, end); return err }
	header := func(id string) error { _, _, err := w.dir.AddIdentityHeader(ctx, id, time.Time{}); return err }
	if err := addCert(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		err   error
		kind  fault.Kind
		field string
	}{
		"empty name":                  {name(""), fault.Invalid, "name"},
		"name too long":               {name(strings.Repeat("ü", 121)), fault.Invalid, "name"},
		"control character":           {name("a\nb"), fault.Invalid, "name"},
		"not UTF-8":                   {name("a\xff"), fault.Invalid, "name"},
		"managed name with slash":     {second(w.dir.CreateManagedIdentity(ctx, "a/b/c")), fault.Invalid, "name"},
		"secret of a group":           {secret(g, time.Time{}), fault.Invalid, "id"},
		"secret of an identity":       {secret(mi.ObjectID, time.Time{}), fault.Invalid, "id"},
		"header of a group":           {header(g), fault.Invalid, "id"},
		"secret of nobody":            {secret(guid.New(), time.Time{}), fault.NotFound, ""},
		"id not a GUID":               {secret("x", time.Time{}), fault.Invalid, "id"},
		"secret of the past":          {secret(app.ObjectID, now), fault.Invalid, "expires"},
		"certificate twice":           {addCert(cert), fault.Conflict, ""},
		"expired certificate":         {addCert(selfSigned(t, &key.PublicKey, key, now.Add(-2*time.Hour), time.Hour)), fault.Invalid, "certificate"},
		"Ed25519 certificate":         {addCert(selfSigned(t, edPublic, edPrivate, now, time.Hour)), fault.Invalid, "certificate"},
		"P-384 certificate":           {addCert(selfSigned(t, &p384.PublicKey, p384, now, time.Hour)), fault.Invalid, "certificate"},
		"a key":                       {addCert([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")), fault.Invalid, "certificate"},
		"junk":                        {addCert([]byte("junk")), fault.Invalid, "certificate"},
		"http issuer":                 {federated("http://issuer.test", "s"), fault.Invalid, "issuer"},
		"issuer with query":           {federated("https://issuer.test?x=1", "s"), fault.Invalid, "issuer"},
		"no subject":                  {federated("https://issuer.test", ""), fault.Invalid, "subject"},
		"empty audience":              {federated("https://issuer.test", "s", ""), fault.Invalid, "audiences"},
		"member of no group":          {w.dir.AddMember(ctx, app.ObjectID, mi.ObjectID), fault.Invalid, "group"},
		"group within itself":         {w.dir.AddMember(ctx, g, g), fault.Invalid, "member"},
		"member not a GUID":           {w.dir.AddMember(ctx, g, "x"), fault.Invalid, "member"},
		"disabling nobody":            {w.dir.Disable(ctx, guid.New()), fault.NotFound, ""},
		"a list without end":          {second(w.dir.List(ctx, "", 1001)), fault.Invalid, "limit"},
		"a group named by another id": {w.dir.RemoveMember(ctx, app.AppID, mi.ObjectID), fault.Invalid, "group"},
	} {
		t.Run(what, func(t *testing.T) {
			f, ok := errors.AsType[*fault.Error](c.err)
			if !ok || f.Kind != c.kind || f.Field != c.field {
				t.Errorf("got %v", c.err)
			}
		})
	}
	for range 19 { // one certificate is there
		if err := secret(app.ObjectID, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := secret(app.ObjectID, time.Time{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the 21st credential: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestListGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t)
	want := map[string]bool{}
	for range 5 {
		want[w.app(t, "app").ObjectID] = true
	}
	var after string
	for range 3 {
		ps, err := w.dir.List(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ps {
			delete(want, p.ObjectID)
			after = p.ObjectID
		}
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	w := newWorld(t)
	if _, err := directory.New(directory.Config{}); err == nil || !strings.Contains(err.Error(), "DB") {
		t.Errorf("a directory without DB: %v", err)
	}
	for name, change := range map[string]func(*token.Config){
		"DB":        func(c *token.Config) { c.DB = nil },
		"Sealer":    func(c *token.Config) { c.Sealer = nil },
		"Directory": func(c *token.Config) { c.Directory = nil },
		"TenantID":  func(c *token.Config) { c.TenantID = "adfs" },
		"BaseURL":   func(c *token.Config) { c.BaseURL = "http://login.test" },
	} {
		c := token.Config{DB: authntest.For[token.Tx]{DB: w.db}, Sealer: w.sealer, Directory: w.dir.Directory, TenantID: tenant, BaseURL: base}
		if _, err := token.New(c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := token.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for in, want := range map[string]string{
		"https://Login.test:8443/": "https://login.test:8443", "https://login.test": "https://login.test",
		"https://login.test/x": "", "https://u@login.test": "", "login.test": "", "https://login.test?x": "", "https://": "",
	} {
		if got, err := token.ParseBaseURL(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
}

// Nothing that the directory stores may serve in place of a credential, or as a
// signing key.
func TestStoredRowsHoldNoSecrets(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	app := w.app(t, "app")
	mi, _ := w.dir.CreateManagedIdentity(ctx, "web")
	_, secret, err1 := w.dir.AddSecret(ctx, app.ObjectID, time.Time{})
	_, header, err2 := w.dir.AddIdentityHeader(ctx, mi.ObjectID, time.Time{})
	w.mint(t, w.replica, app, resource)
	_, key := w.signingKey(t)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var rows []any
	err := (authntest.For[authntest.Tx]{DB: w.db}).View(ctx, func(tx authntest.Tx) error {
		for _, p := range []*directory.Principal{app, mi} {
			cs, err := tx.Credentials(ctx, p.ObjectID)
			if err != nil {
				return err
			}
			for _, c := range cs {
				rows = append(rows, c.Hint, string(c.Hash), string(c.Certificate), c.Subject)
			}
		}
		ks, err := tx.SigningKeys(ctx)
		for _, k := range ks {
			rows = append(rows, string(k.Private), string(k.Public))
		}
		return err
	})
	if err != nil || len(rows) < 10 {
		t.Fatal(err, len(rows))
	}
	for _, r := range rows {
		for _, s := range []string{secret, header, secret[8:], header[8:], string(key.D.Bytes()), string(key.Primes[0].Bytes())} {
			if strings.Contains(r.(string), s) {
				t.Errorf("a row holds a secret")
			}
		}
	}
}

// openssl checks a minted token with the key of the published set.
func TestMintedTokenVerifiesWithOpenSSL(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mi, err := w.dir.CreateManagedIdentity(ctx, "web-1")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := w.tokens.Mint(ctx, mi, directory.IdentityHeader, resource+"/")
	if err != nil {
		t.Fatal(err)
	}
	set, err := w.tokens.KeySet(ctx)
	if err != nil {
		t.Fatal(err)
	}
	published, err := json.Marshal(set)
	if err != nil || bytes.Contains(published, []byte(`"d"`)) || len(set.Keys) != 1 {
		t.Fatalf("key set %s, %v", published, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(set.Keys[0].Key.(*rsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(tok.Text.Reveal()), ".")
	dir := t.TempDir()
	write(t, dir+"/key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	write(t, dir+"/sig", unb64(t, parts[2]))
	write(t, dir+"/data", []byte(parts[0]+"."+parts[1]))
	out, err := exec.CommandContext(context.WithoutCancel(ctx), "openssl", "dgst", "-sha256", "-verify", dir+"/key", "-signature", dir+"/sig", dir+"/data").CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v: %s", err, out)
	}
	var header, claims object
	if err := errors.Join(json.Unmarshal(unb64(t, parts[0]), &header), json.Unmarshal(unb64(t, parts[1]), &claims)); err != nil {
		t.Fatal(err)
	}
	if header["alg"] != "RS256" || header["typ"] != "JWT" || header["kid"] != set.Keys[0].KeyID || header["x5t"] != header["kid"] || len(header) != 4 {
		t.Errorf("header %v", header)
	}
	now := float64(w.clock.now().Unix())
	for name, want := range (object{
		"aud": resource + "/", "iss": base + "/" + tenant + "/", "iat": now, "nbf": now, "exp": now + 24*3600,
		"oid": mi.ObjectID, "sub": mi.ObjectID, "tid": tenant, "appid": mi.AppID, "appidacr": "2", "idtyp": "app", "uti": tok.ID, "ver": "1.0",
		"xms_mirid": "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/coffer/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web-1",
	}) {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
}

func TestTooManyGroupsForAToken(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	p := w.app(t, "app")
	err := (authntest.For[directory.Tx]{DB: w.db}).Update(ctx, func(tx directory.Tx) error {
		for range 201 {
			g := &directory.Principal{ObjectID: guid.New(), Kind: directory.Group, Enabled: true, Name: "g"}
			if err := errors.Join(tx.InsertPrincipal(ctx, g), tx.InsertMembership(ctx, directory.Membership{GroupID: g.ObjectID, MemberID: p.ObjectID})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	token := w.mint(t, w.replica, p, resource)
	var claims object
	if err := json.Unmarshal(unb64(t, strings.Split(token, ".")[1]), &claims); err != nil {
		t.Fatal(err)
	}
	if claims["groups"] != nil || claims["hasgroups"] != true {
		t.Errorf("claims %v", claims)
	}
	got, err := w.verifier(t, w.replica).Verify(ctx, "Bearer "+token, audiences, tenant)
	if err != nil || len(got.Groups) != 201 {
		t.Errorf("%d groups, %v", len(got.Groups), err)
	}
}
