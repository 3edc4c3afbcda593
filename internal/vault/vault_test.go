package vault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

var epoch = time.Date(2026, 1, 31, 14, 5, 6, 789, time.UTC)

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"abc": true, "Abc": true, "a-1": true, "abcdefghijklmnopqrstuvwx": true, "a1b2-c3": true,
		"": false, "ab": false, "abcdefghijklmnopqrstuvwxy": false, "1ab": false, "-ab": false, "ab-": false, "a--b": false,
		"a_b": false, "a.b": false, "a b": false, "äbc": false, "a\x00b": false, "ab\r": false, "ab\n": false, "../": false, "@bc": false, "[bc": false, "a\x0db": false,
	} {
		if err := vault.ParseName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Contract certificates.md, 13.3.
func TestRecoveryLevels(t *testing.T) {
	for _, c := range []struct {
		days    int
		protect bool
		want    string
	}{
		{90, false, "Recoverable+Purgeable"}, {90, true, "Recoverable"}, {7, false, "CustomizedRecoverable+Purgeable"}, {89, true, "CustomizedRecoverable"},
	} {
		v := vault.Vault{RetentionDays: c.days, PurgeProtection: c.protect}
		if got := v.RecoveryLevel(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
		if d := v.Deletion(epoch); d.At != epoch.Truncate(time.Second) || d.PurgeAt.Unix()-d.At.Unix() != int64(c.days)*86400 {
			t.Errorf("%+v: %+v", c, d)
		}
	}
}

// fixture changes vaults as management does, over the real store, and has their
// registry.
type fixture struct {
	db       object.DB[vault.Tx]
	registry *vault.Registry
	now      time.Time
	views    int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	o := &fixture{now: epoch}
	base := storetest.Open(t, storetest.SQLite(t))
	db := counted{store.For[vault.Tx]{DB: base}, &o.views}
	o.registry = vault.NewRegistry(db, fresh.Source{Commits: base.Commits()})
	o.db = db
	return o
}

func (o *fixture) Create(ctx context.Context, v vault.Vault) (*vault.Vault, error) {
	made, err := vault.New(v, o.now)
	if err == nil {
		err = o.update(ctx, func(tx vault.Tx) error { return tx.InsertVault(ctx, made) })
	}
	return made, err
}

func (o *fixture) Update(ctx context.Context, name string, change func(*vault.Vault) error) (next *vault.Vault, err error) {
	err = o.update(ctx, func(tx vault.Tx) error {
		old, err := tx.Vault(ctx, strings.ToLower(name))
		if err != nil {
			return err
		}
		if next, err = old.Changed(o.now, change); err != nil {
			return err
		}
		return tx.UpdateVault(ctx, next)
	})
	return next, err
}

func (o *fixture) Delete(ctx context.Context, name string) error {
	return o.update(ctx, func(tx vault.Tx) error {
		v, err := tx.Vault(ctx, strings.ToLower(name))
		if err != nil {
			return err
		}
		return tx.DeleteVault(ctx, v.ID)
	})
}

func (o *fixture) Get(ctx context.Context, name string) (v *vault.Vault, err error) {
	err = o.db.View(ctx, func(tx vault.Tx) (err error) {
		v, err = tx.Vault(ctx, strings.ToLower(name))
		return err
	})
	return v, err
}

func (o *fixture) update(ctx context.Context, fn func(vault.Tx) error) error {
	return o.db.Update(ctx, fn)
}

// counted counts the reads.
type counted struct {
	object.DB[vault.Tx]
	views *int
}

func (c counted) View(ctx context.Context, fn func(vault.Tx) error) error {
	*c.views++
	return c.DB.View(ctx, fn)
}

func TestCreateTakesDefaultsAndChecks(t *testing.T) {
	o := newFixture(t)
	v, err := o.Create(t.Context(), vault.Vault{ID: "chosen", Name: "Dev", TenantID: "t", Revision: 7})
	if err != nil {
		t.Fatal(err)
	}
	if v.ID == "chosen" || len(v.ID) != 32 || v.RetentionDays != 90 || v.SKU != vault.Standard || v.Location != "local" || v.Revision != 1 || !v.Created.Equal(epoch.Truncate(time.Second)) {
		t.Errorf("%+v", v)
	}
	for claim, bad := range map[string]vault.Vault{
		"a name": {Name: "x"}, "6 days": {Name: "abc", RetentionDays: 6}, "91 days": {Name: "abc", RetentionDays: 91}, "a SKU": {Name: "abc", SKU: "gold"},
		"1025 policies": {Name: "abc", AccessPolicies: make([]vault.AccessPolicy, 1025)},
	} {
		if _, err := o.Create(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

func TestUpdateKeepsWhatIsFixed(t *testing.T) {
	o := newFixture(t)
	first, err := o.Create(t.Context(), vault.Vault{Name: "dev", TenantID: "t", AccessPolicies: []vault.AccessPolicy{{ObjectID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*vault.Vault)) (*vault.Vault, error) {
		return o.Update(t.Context(), "DEV", func(v *vault.Vault) error { f(v); return nil })
	}
	o.now = epoch.Add(time.Hour)
	v, err := change(func(v *vault.Vault) {
		v.ID, v.Name, v.TenantID, v.Created, v.Revision = "x", "other", "u", o.now, 99
		v.PurgeProtection, v.RBAC = true, true
		v.SetPolicy(vault.AccessPolicy{ObjectID: "A", Keys: []string{"get"}})
		v.SetPolicy(vault.AccessPolicy{ObjectID: "A", ApplicationID: "app"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.ID != first.ID || v.Name != "dev" || v.TenantID != "t" || !v.Created.Equal(first.Created) || v.Revision != 2 || !v.Updated.Equal(o.now.Truncate(time.Second)) || !v.RBAC || len(v.AccessPolicies) != 2 {
		t.Errorf("%+v", v)
	}
	if stored, err := o.Get(t.Context(), "Dev"); err != nil || stored.Revision != 2 || !stored.PurgeProtection {
		t.Errorf("%+v, %v", stored, err)
	}
	broken := errors.New("broken")
	for claim, f := range map[string]func(*vault.Vault) error{
		"purge protection off": func(v *vault.Vault) error { v.PurgeProtection = false; return nil },
		"another retention":    func(v *vault.Vault) error { v.RetentionDays = 7; return nil },
		"another SKU":          func(v *vault.Vault) error { v.SKU = ""; return nil },
		"an error":             func(*vault.Vault) error { return broken },
	} {
		if _, err := o.Update(t.Context(), "dev", f); !fault.Is(err, fault.Invalid) && !errors.Is(err, broken) {
			t.Errorf("%s: %v", claim, err)
		}
	}
	if stored, err := o.Get(t.Context(), "dev"); err != nil || stored.Revision != 2 {
		t.Errorf("a refusal changed %+v, %v", stored, err)
	}
	if !v.RemovePolicy("a", "APP") || v.RemovePolicy("a", "app") || len(v.AccessPolicies) != 1 {
		t.Errorf("%+v", v.AccessPolicies)
	}
}

// A vault made again under a name is another vault.
func TestNameMadeAgainIsAnotherVault(t *testing.T) {
	o := newFixture(t)
	a, err := o.Create(t.Context(), vault.Vault{Name: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.registry.ByName(t.Context(), "dev"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("%v", err)
	}
	b, err := o.Create(t.Context(), vault.Vault{Name: "dev"})
	if err != nil || a.ID == b.ID {
		t.Errorf("%v, %v", b, err)
	}
}

func TestRegistryKeepsWhatItRead(t *testing.T) {
	o := newFixture(t)
	want := func(name string, found bool, views int) {
		t.Helper()
		o.views = 0
		v, err := o.registry.ByName(t.Context(), name)
		if found != (err == nil) || !found && !errors.Is(err, object.ErrNotFound) || found && !strings.EqualFold(v.Name, name) || o.views != views {
			t.Errorf("%s: %v, %v, %d reads", name, v, err, o.views)
		}
	}
	want("dev", false, 1)
	want("DEV", false, 0) // absent ones too
	if _, err := o.Create(t.Context(), vault.Vault{Name: "Dev"}); err != nil {
		t.Fatal(err)
	}
	want("dev", true, 1) // a change here counts at once
	want("Dev", true, 0)
	want("no vault", false, 0) // no name is not even looked for
	if err := o.Delete(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	want("dev", false, 1)
	// What unknown hosts ask for is not kept for ever.
	for i := range 5000 {
		want(fmt.Sprintf("v%d", i+100), false, 1)
	}
	want("v100", false, 1)
}

// A read that began before a change does not bring the old state back.
func TestRegistryForgetsReadsThatAChangeOvertook(t *testing.T) {
	db := storetest.Open(t, storetest.SQLite(t))
	base := store.For[vault.Tx]{DB: db}
	var meanwhile func()
	slow := slowReads{base, &meanwhile}
	registry := vault.NewRegistry(slow, fresh.Source{Commits: db.Commits()})
	service := &fixture{db: base, registry: registry, now: epoch}
	if _, err := service.Create(t.Context(), vault.Vault{Name: "dev"}); err != nil {
		t.Fatal(err)
	}
	meanwhile = func() {
		meanwhile = nil
		if _, err := service.Update(t.Context(), "dev", func(v *vault.Vault) error { v.RBAC = true; return nil }); err != nil {
			t.Error(err)
		}
	}
	if _, err := registry.ByName(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	if v, err := registry.ByName(t.Context(), "dev"); err != nil || !v.RBAC {
		t.Errorf("%+v, %v", v, err)
	}
}

// slowReads lets something happen between a read and its answer.
type slowReads struct {
	object.DB[vault.Tx]
	after *func()
}

func (d slowReads) View(ctx context.Context, fn func(vault.Tx) error) error {
	err := d.DB.View(ctx, fn)
	if f := *d.after; f != nil {
		f()
	}
	return err
}
