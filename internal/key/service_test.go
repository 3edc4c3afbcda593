package key_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/fault"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

var epoch = time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)

// fixture is the service over the real store, with keys of three names: "Web" with
// two versions, "gone" deleted, and "own", which no certificate manages.
type fixture struct {
	*key.Service
	grant func(a access.Action, name string) access.Grant
	other func(a access.Action, name string) access.Grant // of another vault
}

func id(n int) object.Version { return object.Version(fmt.Sprintf("%032x", n)) }

func newFixture(t *testing.T) fixture {
	t.Helper()
	db := storetest.Open(t, storetest.SQLite(t))
	home, other := &vault.Vault{ID: object.NewVaultID(), Name: "home", Revision: 1}, &vault.Vault{ID: object.NewVaultID(), Name: "other", Revision: 1}
	given := accesstest.New(t)
	grants := func(v *vault.Vault) func(access.Action, string) access.Grant {
		return func(a access.Action, name string) access.Grant {
			n, _ := object.ParseName(name)
			return given.Give(v, a, n)
		}
	}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		err := errors.Join(tx.InsertVault(t.Context(), home), tx.InsertVault(t.Context(), other),
			tx.InsertDataKey(t.Context(), storetest.DataKey(string(home.ID))))
		for i, name := range []string{"Web", "gone", "own", "pending"} {
			h := object.Head{Vault: home.ID, Name: object.MustName(name), Managed: name != "own"}
			err = errors.Join(err, tx.InsertKey(t.Context(), h))
			if name == "pending" {
				continue // its certificate is not issued yet
			}
			for j := range 2 {
				err = errors.Join(err, tx.InsertKeyVersion(t.Context(), &key.Version{Vault: home.ID, Name: h.Name, Version: id(10*i + j),
					Spec: pki.KeySpec{Algorithm: pki.EC, Size: 256, Curve: pki.P256}, Public: []byte{1}, Private: storetest.Box(""),
					Ops: []key.Op{key.Sign}, Attributes: object.Attributes{Enabled: j == 0, Created: epoch, Updated: epoch}}))
			}
			h.Current = id(10*i + 1)
			if name == "gone" {
				h.Deletion = &object.Deletion{At: epoch, PurgeAt: epoch}
			}
			err = errors.Join(err, tx.UpdateKeyHead(t.Context(), h))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	service, err := key.NewService(key.Config{DB: store.For[key.Tx]{DB: db}, Sealer: unused{}, Maker: unused{},
		Now: func() time.Time { return epoch }, Logger: slog.New(slog.DiscardHandler),
		Record: func(object.Head, string) (func(*key.Bundle, error), error) { panic("nothing is rotated") }})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{service, grants(home), grants(other)}
}

// unused is what reading keys does not need: reads open no boxes.
type unused struct {
	key.Sealer
	key.Maker
}

func TestGet(t *testing.T) {
	r := newFixture(t)
	for _, c := range []struct {
		name    string
		version object.Version
		want    object.Version // "": not found
		text    string
	}{
		{"web", "", id(1), ""}, // the current one, though it is disabled
		{"WEB", id(0), id(0), ""},
		{"web", id(99), "", "A key with (name/id) web/" + string(id(99)) + " was not found in this key vault."},
		{"gone", "", "", "(name/id) gone was not found"},
		{"gone", id(10), "", "gone/" + string(id(10)) + " was not found"},
		{"own", "", id(21), ""},
		{"pending", "", "", "pending was not found"},
		{"nobody", "", "", "nobody was not found"},
	} {
		b, err := r.Get(t.Context(), r.grant(access.KeyGet, c.name), c.version)
		if c.want == "" {
			var e *fault.Error
			if !errors.As(err, &e) || e.Kind != fault.NotFound || e.Subject != fault.Key || !strings.Contains(e.Msg, c.text) {
				t.Errorf("%s/%s: %v", c.name, c.version, err)
			}
		} else if err != nil || b.Version.Version != c.want || b.Head.Managed != (c.name != "own") {
			t.Errorf("%s/%s: %+v, %v", c.name, c.version, b, err)
		}
		if _, err := r.Get(t.Context(), r.other(access.KeyGet, c.name), c.version); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s is seen from another vault: %v", c.name, err)
		}
	}
}

func TestLists(t *testing.T) {
	r := newFixture(t)
	list, more, err := r.List(t.Context(), r.grant(access.KeyList, ""), object.Page{Limit: 25})
	if err != nil || more || len(list) != 2 || list[0].Head.Name.String() != "own" || list[1].Head.Name.String() != "Web" || list[1].Version.Version != id(1) {
		t.Errorf("%+v %v %v", list, more, err)
	}
	if list, more, err = r.List(t.Context(), r.grant(access.KeyList, ""), object.Page{Limit: 1}); err != nil || !more || len(list) != 1 {
		t.Errorf("%+v %v %v", list, more, err)
	}
	for name, want := range map[string]int{"web": 2, "gone": 0, "nobody": 0, "pending": 0} {
		vs, h, more, err := r.ListVersions(t.Context(), r.grant(access.KeyListVersions, name), object.Page{Limit: 25})
		if err != nil || more || len(vs) != want || want > 0 && !h.Managed {
			t.Errorf("%s: %d versions, %v, %v", name, len(vs), more, err)
		}
	}
	vs, _, more, err := r.ListVersions(t.Context(), r.grant(access.KeyListVersions, "web"), object.Page{Limit: 1})
	if err != nil || !more || len(vs) != 1 || vs[0].Version != id(0) {
		t.Errorf("%v %v %v", vs, more, err)
	}
}

// The key of a certificate is changed through its certificate only.
func TestManagedKeysRefuseChanges(t *testing.T) {
	r := newFixture(t)
	_, err := r.Delete(t.Context(), r.grant(access.KeyDelete, "web"))
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Forbidden || e.Reason != fault.KeyManagedByKeyVault {
		t.Errorf("got %v", err)
	}
	if _, err := r.Get(t.Context(), r.grant(access.KeyGet, "web"), ""); err != nil {
		t.Error(err)
	}
}

// TestWithoutARecordThereAreNoRules: a rotation that is due would be on no record.
func TestWithoutARecordThereAreNoRules(t *testing.T) {
	_, err := key.NewService(key.Config{DB: store.For[key.Tx]{DB: &store.DB{}}, Sealer: unused{}, Maker: unused{},
		Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("a service without Record")
	}
}
