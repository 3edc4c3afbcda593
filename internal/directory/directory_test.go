package directory_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"coffer/internal/authn/authntest"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/seal"
)

func TestSecretProvesItsApplicationOnly(t *testing.T) {
	w := authntest.New(t)
	ctx := t.Context()
	a, b := w.App(t, "a"), w.App(t, "b")
	cred, secret, err := w.Dir.AddSecret(ctx, a.ObjectID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	_, brief, err := w.Dir.AddSecret(ctx, a.AppID, w.Clock.Now().Add(time.Hour)) // by client id too
	if err != nil {
		t.Fatal(err)
	}
	_, others, err := w.Dir.AddSecret(ctx, b.ObjectID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^cof_[0-9A-Za-z_-]{43}$`).MatchString(secret) || !strings.HasPrefix(secret, cred.Hint) || len(cred.Hint) > 7 {
		t.Errorf("secret %q with hint %q", secret, cred.Hint)
	}
	try := func(id, secret string, want error) {
		t.Helper()
		p, err := w.Dir.BySecret(ctx, id, seal.NewValue([]byte(secret)))
		if err != want || err == nil && p.Principal.AppID != strings.ToLower(id) {
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

	w.Clock.Add(time.Hour)
	try(a.AppID, brief, directory.ExpiredSecret)
	try(a.AppID, secret, nil)
	if err := w.Dir.Disable(ctx, a.ObjectID); err != nil {
		t.Fatal(err)
	}
	try(a.AppID, secret, directory.DisabledClient)
	try(a.AppID, others, directory.WrongSecret)
	if err := w.Dir.Enable(ctx, a.ObjectID); err != nil {
		t.Fatal(err)
	}
	if err := w.Dir.RemoveCredential(ctx, b.ObjectID, cred.ID); !fault.Is(err, fault.NotFound) { // not b's: stays
		t.Fatal(err)
	}
	try(a.AppID, secret, nil)
	if err := w.Dir.RemoveCredential(ctx, a.ObjectID, cred.ID); err != nil {
		t.Fatal(err)
	}
	try(a.AppID, secret, directory.WrongSecret)
}

func TestIdentityHeader(t *testing.T) {
	w := authntest.New(t)
	ctx := t.Context()
	p, err := w.Dir.CreateManagedIdentity(ctx, "web-1")
	if err != nil {
		t.Fatal(err)
	}
	_, header, err := w.Dir.AddIdentityHeader(ctx, p.ObjectID, w.Clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	app := w.App(t, "app")
	_, secret, err := w.Dir.AddSecret(ctx, app.ObjectID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	try := func(header string, want error) {
		t.Helper()
		got, err := w.Dir.ByIdentityHeader(ctx, seal.NewValue([]byte(header)))
		if err != want || err == nil && got.Principal.ObjectID != p.ObjectID {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
	try(header, nil)
	try(header+"x", directory.WrongSecret)
	try("", directory.WrongSecret)
	try(secret, directory.WrongSecret) // a client secret is no identity header
	if _, err := w.Dir.BySecret(ctx, p.AppID, seal.NewValue([]byte(header))); err != directory.UnknownClient {
		t.Errorf("a managed identity signs in as a client: %v", err)
	}
	if err := w.Dir.Disable(ctx, p.ObjectID); err != nil {
		t.Fatal(err)
	}
	try(header, directory.DisabledClient)
	w.Clock.Add(time.Hour)
	try(header, directory.ExpiredSecret)
}

func TestWhatTheDirectoryRefusesToRegister(t *testing.T) {
	w := authntest.New(t)
	ctx := t.Context()
	app := w.App(t, "app")
	mi, err := w.Dir.CreateManagedIdentity(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	g := w.Group(t, "group")
	now := w.Clock.Now()
	key := authntest.RSAKeys()[0]
	cert := authntest.SelfSigned(t, &key.PublicKey, key, now, time.Hour)
	edPublic, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	addCert := func(der []byte) error { _, err := w.Dir.AddCertificate(ctx, app.ObjectID, der); return err }
	federated := func(issuer, subject string, audiences ...string) error {
		_, err := w.Dir.AddFederated(ctx, app.ObjectID, issuer, subject, audiences)
		return err
	}
	name := func(n string) error { _, err := w.Dir.CreateApplication(ctx, n); return err }
	secret := func(id string, end time.Time) error { _, _, err := w.Dir.AddSecret(ctx, id, end); return err }
	header := func(id string) error { _, _, err := w.Dir.AddIdentityHeader(ctx, id, time.Time{}); return err }
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
		"managed name with slash":     {second(w.Dir.CreateManagedIdentity(ctx, "a/b/c")), fault.Invalid, "name"},
		"secret of a group":           {secret(g, time.Time{}), fault.Invalid, "id"},
		"secret of an identity":       {secret(mi.ObjectID, time.Time{}), fault.Invalid, "id"},
		"header of a group":           {header(g), fault.Invalid, "id"},
		"secret of nobody":            {secret(guid.New(), time.Time{}), fault.NotFound, ""},
		"id not a GUID":               {secret("x", time.Time{}), fault.Invalid, "id"},
		"secret of the past":          {secret(app.ObjectID, now), fault.Invalid, "expires"},
		"certificate twice":           {addCert(cert), fault.Conflict, ""},
		"expired certificate":         {addCert(authntest.SelfSigned(t, &key.PublicKey, key, now.Add(-2*time.Hour), time.Hour)), fault.Invalid, "certificate"},
		"Ed25519 certificate":         {addCert(authntest.SelfSigned(t, edPublic, edPrivate, now, time.Hour)), fault.Invalid, "certificate"},
		"P-384 certificate":           {addCert(authntest.SelfSigned(t, &p384.PublicKey, p384, now, time.Hour)), fault.Invalid, "certificate"},
		"a key":                       {addCert([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")), fault.Invalid, "certificate"},
		"junk":                        {addCert([]byte("junk")), fault.Invalid, "certificate"},
		"http issuer":                 {federated("http://issuer.test", "s"), fault.Invalid, "issuer"},
		"issuer with query":           {federated("https://issuer.test?x=1", "s"), fault.Invalid, "issuer"},
		"no subject":                  {federated("https://issuer.test", ""), fault.Invalid, "subject"},
		"empty audience":              {federated("https://issuer.test", "s", ""), fault.Invalid, "audiences"},
		"member of no group":          {w.Dir.AddMember(ctx, app.ObjectID, mi.ObjectID), fault.Invalid, "group"},
		"group within itself":         {w.Dir.AddMember(ctx, g, g), fault.Invalid, "member"},
		"member not a GUID":           {w.Dir.AddMember(ctx, g, "x"), fault.Invalid, "member"},
		"disabling nobody":            {w.Dir.Disable(ctx, guid.New()), fault.NotFound, ""},
		"a list without end":          {second(w.Dir.List(ctx, "", 1001)), fault.Invalid, "limit"},
		"a group named by another id": {w.Dir.RemoveMember(ctx, app.AppID, mi.ObjectID), fault.Invalid, "group"},
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
	w := authntest.New(t)
	want := map[string]bool{}
	for range 5 {
		want[w.App(t, "app").ObjectID] = true
	}
	var after string
	for range 3 {
		ps, err := w.Dir.List(t.Context(), after, 2)
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

func TestDatabaseIsRequired(t *testing.T) {
	if _, err := directory.New(directory.Config{}); err == nil || !strings.Contains(err.Error(), "DB") {
		t.Errorf("got %v", err)
	}
}
