package token_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"coffer/internal/audience"
	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/guid"
	"coffer/internal/token"
)

const resource = "https://vault.test:8443"

var audiences = audience.Of("kv1.vault.test:8443", nil)

func TestBadConfigurationIsRefused(t *testing.T) {
	w := authntest.New(t)
	for name, change := range map[string]func(*token.Config){
		"DB":        func(c *token.Config) { c.DB = nil },
		"Sealer":    func(c *token.Config) { c.Sealer = nil },
		"Directory": func(c *token.Config) { c.Directory = nil },
		"TenantID":  func(c *token.Config) { c.TenantID = "adfs" },
		"BaseURL":   func(c *token.Config) { c.BaseURL = "http://login.test" },
	} {
		c := token.Config{DB: authntest.For[token.Tx]{DB: w.DB}, Sealer: w.Sealer, Directory: w.Dir.Directory, TenantID: authntest.Tenant, BaseURL: authntest.Base}
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
	w := authntest.New(t)
	ctx := t.Context()
	app := w.App(t, "app")
	mi, _ := w.Dir.CreateManagedIdentity(ctx, "web")
	_, secret, err1 := w.Dir.AddSecret(ctx, app.ObjectID, time.Time{})
	_, header, err2 := w.Dir.AddIdentityHeader(ctx, mi.ObjectID, time.Time{})
	w.Mint(t, w.Replica, app, resource)
	_, key := w.SigningKey(t)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var rows []any
	err := (authntest.For[authntest.Tx]{DB: w.DB}).View(ctx, func(tx authntest.Tx) error {
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
	w := authntest.New(t)
	ctx := t.Context()
	mi, err := w.Dir.CreateManagedIdentity(ctx, "web-1")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := w.Tokens.Mint(ctx, w.Proof(t, mi), resource+"/")
	if err != nil {
		t.Fatal(err)
	}
	set, err := w.Tokens.KeySet(ctx)
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
	for name, content := range map[string][]byte{
		"/key":  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}),
		"/sig":  authntest.Unb64(t, parts[2]),
		"/data": []byte(parts[0] + "." + parts[1]),
	} {
		if err := os.WriteFile(dir+name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(context.WithoutCancel(ctx), "openssl", "dgst", "-sha256", "-verify", dir+"/key", "-signature", dir+"/sig", dir+"/data").CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v: %s", err, out)
	}
	var header, claims authntest.Object
	if err := errors.Join(json.Unmarshal(authntest.Unb64(t, parts[0]), &header), json.Unmarshal(authntest.Unb64(t, parts[1]), &claims)); err != nil {
		t.Fatal(err)
	}
	if header["alg"] != "RS256" || header["typ"] != "JWT" || header["kid"] != set.Keys[0].KeyID || header["x5t"] != header["kid"] || len(header) != 4 {
		t.Errorf("header %v", header)
	}
	now := float64(w.Clock.Now().Unix())
	for name, want := range (authntest.Object{
		"aud": resource + "/", "iss": authntest.Base + "/" + authntest.Tenant + "/", "iat": now, "nbf": now, "exp": now + 24*3600,
		"oid": mi.ObjectID, "sub": mi.ObjectID, "tid": authntest.Tenant, "appid": mi.AppID, "appidacr": "2", "idtyp": "app", "uti": tok.ID, "ver": "1.0",
		"xms_mirid": "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/coffer/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web-1",
	}) {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
}

func TestTooManyGroupsForAToken(t *testing.T) {
	w := authntest.New(t)
	ctx := t.Context()
	p := w.App(t, "app")
	err := (authntest.For[directory.Tx]{DB: w.DB}).Update(ctx, func(tx directory.Tx) error {
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
	token := w.Mint(t, w.Replica, p, resource)
	var claims authntest.Object
	if err := json.Unmarshal(authntest.Unb64(t, strings.Split(token, ".")[1]), &claims); err != nil {
		t.Fatal(err)
	}
	if claims["groups"] != nil || claims["hasgroups"] != true {
		t.Errorf("claims %v", claims)
	}
	got, err := w.Verifier(t, w.Replica).Verify(ctx, "Bearer "+token, audiences, authntest.Tenant)
	if err != nil || len(got.Groups) != 201 {
		t.Errorf("%d groups, %v", len(got.Groups), err)
	}
}
