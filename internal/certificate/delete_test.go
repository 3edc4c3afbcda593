package certificate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/store"
	"coffer/internal/vault"
)

var byName = cmp.Comparer(func(a, b object.Name) bool { return a == b })

func TestDeleteAndRecoverChangeNothingElse(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", selfPolicy())
	w.issued("web", nil)
	before, whole := w.get("web"), w.dump("web")
	w.pass(time.Hour)
	deleted := w.remove("web")
	d := deleted.Certificate.Head.Deletion
	if d == nil || !d.At.Equal(w.now()) || d.PurgeAt.Unix()-d.At.Unix() != 90*86400 {
		t.Fatalf("deletion %+v", d)
	}
	w.check()
	w.pass(time.Hour)
	shown, err := w.service.GetDeleted(t.Context(), w.grant(access.CertificateGetDeleted, "WEB"))
	w.must(err)
	if diff := cmp.Diff(deleted, shown, byName); diff != "" {
		t.Errorf("the answer of the deletion and what is shown later (-want +got)\n%s", diff)
	}
	unchanged := *deleted.Certificate
	unchanged.Head.Deletion = nil
	if diff := cmp.Diff(before, &certificate.Bundle{Certificate: &unchanged, Version: deleted.Version}, byName); diff != "" {
		t.Errorf("the deletion changed (-before +after)\n%s", diff)
	}
	_, err = w.service.Get(t.Context(), w.grant(access.CertificateGet, "web"), before.Version.Version)
	w.refused(err, fault.NotFound, "A certificate with (name/id) web/"+string(before.Version.Version)+" was not found in this key vault.")
	_, err = w.service.Policy(t.Context(), w.grant(access.CertificatePolicyGet, "web"))
	w.refused(err, fault.NotFound, "web was not found")
	_, _, err = w.key("web", "")
	w.refused(err, fault.NotFound, "")
	_, err = w.secrets.Get(t.Context(), w.grant(access.SecretGet, "web"), "", "")
	w.refused(err, fault.NotFound, "")
	_, err = w.service.Delete(t.Context(), w.grant(access.CertificateDelete, "web"))
	w.refused(err, fault.NotFound, "web was not found")

	back := w.recover("web")
	if diff := cmp.Diff(before, back, byName); diff != "" {
		t.Errorf("recovered (-before +after)\n%s", diff)
	}
	if got := w.dump("web"); got != whole {
		t.Errorf("recovered\n%s\nwas\n%s", got, whole)
	}
	w.secret("web")
	_, err = w.service.Recover(t.Context(), w.grant(access.CertificateRecover, "web"))
	w.refused(err, fault.NotFound, "A certificate with (name/id) web was not found")
	w.check()
}

func TestDeletedListShowsPlaceholdersOnlyWhenAsked(t *testing.T) {
	w := newInstallation(t)
	w.begin("begun", policyOf("Unknown"))
	w.issued("done", selfPolicy())
	w.remove("begun")
	w.remove("done")
	for pending, want := range map[bool]int{false: 1, true: 2} {
		list, _, err := w.service.List(t.Context(), w.grant(access.CertificateListDeleted, ""),
			certificate.ListQuery{Page: object.Page{Limit: 25}, Deleted: true, Pending: pending})
		if err != nil || len(list) != want {
			t.Errorf("pending %v: %d, %v", pending, len(list), err)
		}
	}
}

func TestPurgeFreesTheName(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", selfPolicy())
	w.refused(w.purge("web"), fault.NotFound, "Deleted Certificate not found: web")
	w.remove("web")
	w.must(w.purge("WEB"))
	if d := w.dump("web"); d != "" {
		t.Errorf("left %s", d)
	}
	w.refused(w.purge("web"), fault.NotFound, "Deleted Certificate not found: web")
	w.check()
	if b := w.issued("Web", selfPolicy()); b.Certificate.Head.Name.String() != "Web" {
		t.Error("the new name has the old casing")
	}
	w.check()
}

func TestPurgeProtectionHoldsUntilTheRetentionIsOver(t *testing.T) {
	w := newInstallation(t)
	w.issued("web", selfPolicy())
	w.remove("web")
	protected := *w.home // the grant does not know of it
	protected.PurgeProtection, protected.Revision = true, w.home.Revision+1
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateVault(t.Context(), &protected) }))
	w.refused(w.purge("web"), fault.Forbidden, `Operation "purge" is not allowed because purge protection is enabled for this vault.`)
	w.recover("web")
	w.remove("web")
	w.pass(90 * 24 * time.Hour)
	w.must(w.service.PurgeDue(t.Context(), unrecorded))
	if d := w.dump("web"); d != "" {
		t.Errorf("left %s", d)
	}
}

func TestPurgeDueAtTheExactSecond(t *testing.T) {
	w := newInstallation(t)
	short := *w.near
	short.RetentionDays = 7
	w.begin("pending", policyOf("Unknown"))
	w.issued("web", selfPolicy())
	w.remove("web")
	w.remove("pending")
	create := func(v *vault.Vault, name string) {
		_, err := w.service.Create(t.Context(), w.grantIn(v, access.CertificateCreate, name), certificate.CreateParams{Policy: policyOf("Unknown")})
		w.must(err)
		_, err = w.service.Delete(t.Context(), w.grantIn(v, access.CertificateDelete, name))
		w.must(err)
	}
	for i := range 51 { // more than one transaction takes
		create(&short, "near-"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	purged := func() (names int) {
		w.Helper()
		w.must(w.service.PurgeDue(t.Context(), func(object.Head) (func(error), error) { names++; return func(error) {}, nil }))
		return names
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {7*24*time.Hour - time.Second, 0}, {time.Second, 51}, {0, 0}, {83*24*time.Hour - time.Second, 0}, {time.Second, 2}, {time.Hour, 0}} {
		w.pass(c.after)
		if got := purged(); got != c.want {
			t.Errorf("at %v: %d, want %d", w.now(), got, c.want)
		}
	}
	w.check()
}

// unrecorded is the record of a purge that nobody keeps.
func unrecorded(object.Head) (func(error), error) { return func(error) {}, nil }
