package secret_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

var epoch = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

const (
	pfxType = "application/x-pkcs12"
	pemType = "application/x-pem-file"
)

// fixture is the service over the real store and seal. "Pfx" and "pem" belong to
// certificates and have two versions, the current one enabled; "off" is disabled,
// "past" expired, "gone" deleted; "own" is nobody's.
type fixture struct {
	*secret.Service
	db    *store.DB
	home  *vault.Vault
	grant func(a access.Action, name string) access.Grant
	other func(a access.Action, name string) access.Grant
}

func id(n int) object.Version { return object.Version(fmt.Sprintf("%032x", n)) }

func newFixture(t *testing.T) fixture {
	t.Helper()
	now := func() time.Time { return epoch }
	db := storetest.Open(t, storetest.SQLite(t))
	root, err := seal.CreateRootFile(filepath.Join(t.TempDir(), "root.key"), seal.Value{}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	sealer := seal.NewSealer(root, store.For[seal.Tx]{DB: db}, now)
	home, other := &vault.Vault{ID: object.NewVaultID(), Name: "home", Revision: 1}, &vault.Vault{ID: object.NewVaultID(), Name: "other", Revision: 1}
	given := accesstest.New(t)
	grants := func(v *vault.Vault) func(access.Action, string) access.Grant {
		return func(a access.Action, name string) access.Grant {
			n, _ := object.ParseName(name)
			return given.Give(v, a, n)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.InsertVault(t.Context(), home), tx.InsertVault(t.Context(), other))
	}))
	for i, name := range []string{"Pfx", "pem", "off", "past", "gone", "own"} {
		h := object.Head{Vault: home.ID, Name: object.MustName(name), Managed: name != "own"}
		var versions []*secret.Version
		for j := range 2 {
			v := &secret.Version{Vault: home.ID, Name: h.Name, Version: id(10*i + j), ContentType: pfxType,
				Attributes: object.Attributes{Enabled: true, Created: epoch, Updated: epoch}}
			switch name {
			case "pem", "own":
				v.ContentType = pemType
			case "off":
				v.Attributes.Enabled = j == 0
			case "past":
				v.Attributes.Expires = &epoch
			}
			var err error
			v.Value, err = sealer.Seal(t.Context(), secret.ValuePlace(v.Vault, v.Name, v.Version), seal.NewValue(fmt.Appendf(nil, "value %d of %s", j, name)))
			must(err)
			versions = append(versions, v)
		}
		h.Current = id(10*i + 1)
		if name == "gone" {
			h.Deletion = &object.Deletion{At: epoch, PurgeAt: epoch}
		}
		must(db.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(tx.InsertSecret(t.Context(), object.Head{Vault: home.ID, Name: h.Name, Managed: h.Managed}),
				tx.InsertSecretVersion(t.Context(), versions[0]), tx.InsertSecretVersion(t.Context(), versions[1]), tx.UpdateSecretHead(t.Context(), h))
		}))
	}
	convert := func(v seal.Value) (seal.Value, error) {
		if strings.HasPrefix(string(v.Reveal()), "value 0") {
			return seal.Value{}, errors.New("not a PFX")
		}
		return seal.NewValue(append([]byte("PEM of "), v.Reveal()...)), nil
	}
	service, err := secret.NewService(secret.Config{DB: store.For[secret.Tx]{DB: db}, Sealer: sealer, Now: now, ToPEM: convert, Fresh: fresh.Source{Commits: db.Commits()}})
	must(err)
	return fixture{service, db, home, grants(home), grants(other)}
}

func TestGet(t *testing.T) {
	d := newFixture(t)
	for _, c := range []struct {
		name    string
		version object.Version
		as      string
		value   string // "": refused
		kind    fault.Kind
		text    string
	}{
		{"pfx", "", "", "value 1 of Pfx", 0, ""},
		{"PFX", id(0), "", "value 0 of Pfx", 0, ""},
		{"pfx", "", pfxType, "value 1 of Pfx", 0, ""},
		{"pfx", "", pemType, "PEM of value 1 of Pfx", 0, ""},
		{"pem", "", pemType, "value 1 of pem", 0, ""},
		{"pem", "", pfxType, "", fault.Invalid, "Property outContentType has invalid value"},
		{"pfx", "", "text/plain", "", fault.Invalid, "outContentType"},
		{"own", "", "", "value 1 of own", 0, ""},
		{"own", "", pfxType, "", fault.Invalid, "outContentType"},
		{"past", "", "", "value 1 of past", 0, ""}, // dates are informative only
		{"off", "", "", "", fault.Forbidden, "Operation get is not allowed on a disabled secret."},
		{"off", id(20), "", "value 0 of off", 0, ""},
		{"gone", "", "", "", fault.NotFound, "A secret with (name/id) gone was not found in this key vault."},
		{"gone", id(40), "", "", fault.NotFound, "gone/" + string(id(40))},
		{"pfx", id(99), "", "", fault.NotFound, "pfx/" + string(id(99))},
		{"nobody", "", "", "", fault.NotFound, "nobody"},
		{"pfx", "", "", "value 1 of Pfx", 0, ""}, // what was converted is not what is kept
	} {
		b, err := d.Get(t.Context(), d.grant(access.SecretGet, c.name), c.version, c.as)
		claim := fmt.Sprintf("%s/%s as %q", c.name, c.version, c.as)
		if c.value == "" {
			if !fault.Is(err, c.kind) || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.text)) || b != nil {
				t.Errorf("%s: %v", claim, err)
			}
			continue
		}
		if err != nil || string(b.Value.Reveal()) != c.value || b.Head.Managed != (c.name != "own") || c.as != "" && b.Version.ContentType != c.as ||
			c.name == "pfx" && c.as == "" && b.Version.ContentType != pfxType {
			t.Errorf("%s: %+v, %v", claim, b, err)
		}
		if _, err := d.Get(t.Context(), d.other(access.SecretGet, c.name), c.version, c.as); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s is seen from another vault: %v", claim, err)
		}
	}
	var e *fault.Error
	_, err := d.Get(t.Context(), d.grant(access.SecretGet, "off"), "", "")
	if !errors.As(err, &e) || e.Reason != fault.SecretDisabled {
		t.Errorf("%#v", err)
	}
	// A failing conversion is the operator's business, and gives nothing away.
	b, err := d.Get(t.Context(), d.grant(access.SecretGet, "pfx"), id(0), pemType)
	if err == nil || errors.As(err, &e) || b != nil || strings.Contains(err.Error(), "value 0") {
		t.Errorf("%+v, %v", b, err)
	}
}

// A box that was copied from another row does not open, and nothing of it is in
// the error.
func TestValueOfAnotherPlaceDoesNotOpen(t *testing.T) {
	d := newFixture(t)
	err := d.db.Update(t.Context(), func(tx *store.Tx) error {
		v, err := tx.SecretVersion(t.Context(), d.home.ID, object.MustName("pfx"), id(1))
		if err != nil {
			return err
		}
		stolen := *v
		stolen.Name, stolen.Version = object.MustName("own"), id(77)
		if err := tx.InsertSecretVersion(t.Context(), &stolen); err != nil {
			return err
		}
		return tx.UpdateSecretHead(t.Context(), object.Head{Vault: d.home.ID, Name: stolen.Name, Current: stolen.Version})
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Get(t.Context(), d.grant(access.SecretGet, "own"), "", "")
	if !errors.Is(err, seal.ErrBox) || b != nil {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestLists(t *testing.T) {
	d := newFixture(t)
	list, more, err := d.List(t.Context(), d.grant(access.SecretList, ""), object.Page{Limit: 25})
	if err != nil || more || len(list) != 5 {
		t.Fatalf("%d %v %v", len(list), more, err)
	}
	for _, l := range list {
		if l.Version.Value != nil || l.Version.Version != l.Head.Current || l.Head.Name.String() == "gone" {
			t.Errorf("%+v", l)
		}
	}
	if list, more, err := d.List(t.Context(), d.grant(access.SecretList, ""), object.Page{Limit: 2, After: "off"}); err != nil || !more || len(list) != 2 || list[0].Head.Name.String() != "own" {
		t.Errorf("%+v %v %v", list, more, err)
	}
	for name, want := range map[string]int{"pfx": 2, "gone": 0, "nobody": 0} {
		vs, h, more, err := d.ListVersions(t.Context(), d.grant(access.SecretListVersions, name), object.Page{Limit: 25})
		if err != nil || more || len(vs) != want || want > 0 && !h.Managed {
			t.Errorf("%s: %d, %v, %v", name, len(vs), more, err)
		}
	}
}

// Emulators let the secret of a certificate be overwritten or deleted on its own.
func TestManagedSecretsRefuseChanges(t *testing.T) {
	d := newFixture(t)
	for op, call := range map[string]func() error{
		"set": func() error {
			_, err := d.Set(t.Context(), d.grant(access.SecretSet, "pfx"), secret.SetParams{Value: seal.NewValue([]byte("x"))})
			return err
		},
		"update": func() error {
			_, err := d.Update(t.Context(), d.grant(access.SecretUpdate, "pfx"), "", secret.Change{})
			return err
		},
		"delete": func() error { _, err := d.Delete(t.Context(), d.grant(access.SecretDelete, "pfx")); return err },
		"backup": func() error { _, err := d.Backup(t.Context(), d.grant(access.SecretBackup, "pfx")); return err },
	} {
		err := call()
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Forbidden || e.Reason != fault.SecretManagedByKeyVault ||
			e.Msg != fmt.Sprintf("Operation %q is not allowed as this object's lifetime is managed by Key Vault.", op) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if b, err := d.Get(t.Context(), d.grant(access.SecretGet, "pfx"), "", ""); err != nil || string(b.Value.Reveal()) != "value 1 of Pfx" {
		t.Errorf("%+v, %v", b, err)
	}
}
