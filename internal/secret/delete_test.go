package secret_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/vault"
)

func TestDeleteAndRecover(t *testing.T) {
	w := newInstallation(t)
	first := w.put("Web", value("one"))
	w.pass(time.Minute)
	second := w.put("web", secret.SetParams{Value: value("two").Value, Change: secret.Change{Enabled: ptr(false), Tags: object.Tags{}}})
	w.pass(time.Minute)
	before := w.dump("web")
	deleted := w.remove("WEB")
	d := deleted.Head.Deletion
	if deleted.Version.Version != second.Version.Version || deleted.Value.Reveal() != nil || d == nil || !d.At.Equal(w.now()) || d.PurgeAt.Sub(d.At) != 90*24*time.Hour {
		t.Errorf("%+v", deleted)
	}
	got, err := w.GetDeleted(t.Context(), w.grant(access.SecretGetDeleted, "web")) // though it is disabled
	if err != nil || got.Version.Version != second.Version.Version || got.Head.Deletion.At != d.At || got.Head.Name.String() != "Web" {
		t.Errorf("%+v, %v", got, err)
	}
	list, more, err := w.ListDeleted(t.Context(), w.grant(access.SecretListDeleted, ""), object.Page{Limit: 25})
	if err != nil || more || len(list) != 1 || list[0].Version.Version != second.Version.Version || list[0].Version.Value != nil {
		t.Errorf("%+v, %v", list, err)
	}

	// It is nowhere else, and its name is taken.
	for what, try := range map[string]func() error{
		"get": func() error { _, err := w.Get(t.Context(), w.grant(access.SecretGet, "web"), "", ""); return err },
		"older": func() error {
			_, err := w.Get(t.Context(), w.grant(access.SecretGet, "web"), first.Version.Version, "")
			return err
		},
		"update": func() error { _, err := w.change("web", "", secret.Change{}); return err },
		"delete": func() error { _, err := w.Delete(t.Context(), w.grant(access.SecretDelete, "web")); return err },
		"backup": func() error { _, err := w.Backup(t.Context(), w.grant(access.SecretBackup, "web")); return err },
	} {
		if err := try(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = w.try("web", value("x"))
	w.refused(err, fault.Conflict, "Secret web is currently in a deleted but recoverable state")
	if list, _, err := w.List(t.Context(), w.grant(access.SecretList, ""), object.Page{Limit: 25}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}

	recovered, err := w.Recover(t.Context(), w.grant(access.SecretRecover, "web"))
	if err != nil || recovered.Version.Version != second.Version.Version || recovered.Head.Deletion != nil || recovered.Value.Reveal() != nil {
		t.Errorf("%+v, %v", recovered, err)
	}
	if w.dump("web") != before {
		t.Errorf("recovered\n%s\nof\n%s", w.dump("web"), before)
	}
	if got := w.read("web", first.Version.Version); got != "one" {
		t.Errorf("the older version is %q", got)
	}
	_, err = w.Recover(t.Context(), w.grant(access.SecretRecover, "web"))
	w.refused(err, fault.NotFound, "A secret with (name/id) web was not found")
	_, err = w.GetDeleted(t.Context(), w.grant(access.SecretGetDeleted, "web"))
	w.refused(err, fault.NotFound, "Deleted Secret not found: web")
	w.check()
}

func TestPurge(t *testing.T) {
	w := newInstallation(t)
	w.refused(w.purge("web"), fault.NotFound, "Deleted Secret not found: web")
	old := w.put("web", value("one"))
	w.refused(w.purge("web"), fault.NotFound, "Deleted Secret not found: web")
	w.remove("web")
	w.must(w.purge("web"))
	w.refused(w.purge("web"), fault.NotFound, "Deleted Secret not found: web")
	if w.dump("web") != "" {
		t.Error(w.dump("web"))
	}
	w.put("web", value("two"))
	if _, err := w.Get(t.Context(), w.grant(access.SecretGet, "web"), old.Version.Version, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("a version of before the purge: %v", err)
	}

	grant := func(a access.Action) access.Grant { return w.grantIn(w.kept, a, "web") }
	_, err := w.Set(t.Context(), grant(access.SecretSet), value("x"))
	w.must(err)
	_, err = w.Delete(t.Context(), grant(access.SecretDelete))
	w.must(err)
	err = w.Purge(t.Context(), grant(access.SecretPurge))
	w.refused(err, fault.Forbidden, "Operation \"purge\" is not allowed because purge protection is enabled for this vault."+
		" Key Vault service will automatically purge it after the retention period has passed.\r\nVault: kept;location=local")
	_, err = w.Recover(t.Context(), grant(access.SecretRecover))
	w.must(err)
	w.check()
}

// What is deleted goes by itself when its time has come: not a second earlier,
// each in its vault's time, protected or not.
func TestPurgeDue(t *testing.T) {
	w := newInstallation(t)
	in := func(v *vault.Vault, name string) {
		_, err := w.Set(t.Context(), w.grantIn(v, access.SecretSet, name), value("x"))
		w.must(err)
		_, err = w.Delete(t.Context(), w.grantIn(v, access.SecretDelete, name))
		w.must(err)
	}
	for i := range 60 { // more than one batch
		in(w.near, fmt.Sprint("n-", i))
	}
	in(w.kept, "protected")
	in(w.home, "later")
	w.put("live", value("x"))
	var gone []string
	purge := func() []string {
		gone = nil
		w.must(w.PurgeDue(t.Context(), func(h object.Head) (func(error), error) {
			return func(err error) {
				w.must(err)
				gone = append(gone, h.Name.String())
			}, nil
		}))
		return gone
	}
	w.pass(7*24*time.Hour - time.Second)
	if len(purge()) != 0 {
		t.Errorf("too early: %v", gone)
	}
	w.pass(time.Second)
	if len(purge()) != 61 || !slices.Contains(gone, "protected") || slices.Contains(gone, "later") {
		t.Errorf("%d: %v", len(gone), gone)
	}
	if len(purge()) != 0 {
		t.Errorf("twice: %v", gone)
	}
	w.pass(83 * 24 * time.Hour)
	if got := purge(); len(got) != 1 || got[0] != "later" {
		t.Errorf("%v", got)
	}
	w.refused(w.purge("later"), fault.NotFound, "")
	if w.read("live", "") != "x" {
		t.Error("a live one went too")
	}
	w.check()
}

// What cannot be put on record stays, and what is recovered while it is being put
// on record stays too.
func TestPurgeDueRecordsFirstAndLooksAgain(t *testing.T) {
	w := newInstallation(t)
	w.put("web", value("x"))
	w.remove("web")
	w.pass(90 * 24 * time.Hour)
	full := errors.New("the disk is full")
	if err := w.PurgeDue(t.Context(), func(object.Head) (func(error), error) { return nil, full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	w.must(w.PurgeDue(t.Context(), func(object.Head) (func(error), error) {
		_, err := w.Recover(t.Context(), w.grant(access.SecretRecover, "web"))
		w.must(err)
		return func(err error) {
			if !errors.As(err, new(access.NotNeeded)) {
				t.Errorf("of a secret that was recovered the record says %v", err)
			}
		}, nil
	}))
	if w.read("web", "") != "x" {
		t.Error("it was purged")
	}
	w.remove("web")
	w.pass(90 * 24 * time.Hour)
	var told error
	w.fault.Store(storetest.At("PurgeSecret", store.Before))
	err := w.PurgeDue(t.Context(), func(object.Head) (func(error), error) { return func(err error) { told = err }, nil })
	w.fault.Store(nil)
	if !errors.Is(err, storetest.ErrInjected) || !errors.Is(told, storetest.ErrInjected) {
		t.Errorf("got %v, told %v", err, told)
	}
	w.check()
}

func TestDeletedAreListedInPages(t *testing.T) {
	w := newInstallation(t)
	for i := range 7 {
		name := fmt.Sprint("n-", i)
		w.put(name, value("x"))
		if i != 3 {
			w.remove(name)
		}
	}
	var seen []string
	page := object.Page{Limit: 4}
	for more := true; more; {
		var list []secret.Listed
		var err error
		list, more, err = w.ListDeleted(t.Context(), w.grant(access.SecretListDeleted, ""), page)
		w.must(err)
		for _, l := range list {
			seen = append(seen, l.Head.Name.String())
		}
		page.After = seen[len(seen)-1]
	}
	if want := []string{"n-0", "n-1", "n-2", "n-4", "n-5", "n-6"}; !slices.Equal(seen, want) {
		t.Errorf("%v", seen)
	}
	if list, _, err := w.ListDeleted(t.Context(), w.grantIn(w.near, access.SecretListDeleted, ""), object.Page{Limit: 25}); err != nil || len(list) != 0 {
		t.Errorf("seen from next door: %v, %v", list, err)
	}
}
