package certificate_test

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pki"
	"coffer/internal/store"
)

func TestCreateLeavesADisabledPlaceholder(t *testing.T) {
	w := newInstallation(t)
	op, err := w.create("Web", certificate.CreateParams{Policy: selfPolicy(), Tags: object.Tags{"env": "prod"}, PreserveOrder: true})
	w.must(err)
	if op.Status != issuance.InProgress || op.CancellationRequested || len(op.CSR) == 0 || op.Error != nil || len(op.RequestID) != 32 || !op.PreserveOrder {
		t.Errorf("operation %+v", op)
	}
	if w.wakes.Load() != 1 {
		t.Error("the runner was not woken")
	}
	b := w.get("web") // names compare without case
	a := b.Version.Attributes
	if b.Certificate.Head.Name.String() != "Web" || b.Version.Completed || a.Enabled || b.Version.Leaf != nil || b.Version.Thumbprint != nil ||
		b.Version.Tags["env"] != "prod" || !b.Certificate.Pending || !b.Version.PreserveOrder {
		t.Errorf("placeholder %+v of %+v", b.Version, b.Certificate)
	}
	if !a.NotBefore.Equal(beginning.Add(-10*time.Minute)) || !a.Expires.Equal(beginning.AddDate(1, 0, 0)) || !a.Created.Equal(beginning) || !a.Updated.Equal(beginning) {
		t.Errorf("attributes %+v", a)
	}
	byVersion, err := w.service.Get(t.Context(), w.grant(access.CertificateGet, "web"), b.Version.Version)
	if err != nil || byVersion.Version.Version != b.Version.Version {
		t.Errorf("by version: %v", err)
	}
	for pending, want := range map[bool]int{false: 0, true: 1} {
		list, more, err := w.service.List(t.Context(), w.grant(access.CertificateList, ""), certificate.ListQuery{Page: object.Page{Limit: 25}, Pending: pending})
		if err != nil || len(list) != want || more {
			t.Errorf("with pending %v: %d names, %v", pending, len(list), err)
		}
	}
	versions, _, err := w.service.ListVersions(t.Context(), w.grant(access.CertificateListVersions, "web"), object.Page{Limit: 25})
	if err != nil || len(versions) != 0 {
		t.Errorf("versions %v, %v", versions, err)
	}
	w.check()
}

func TestCompletionReplacesThePlaceholder(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", selfPolicy())
	stand := w.get("web").Version
	w.pass(time.Hour)
	w.must(w.work())
	b := w.get("web")
	a := b.Version.Attributes
	if !b.Version.Completed || !a.Enabled || b.Version.Version == stand.Version || !b.Certificate.Pending {
		t.Errorf("version %+v", b.Version)
	}
	now := beginning.Add(time.Hour)
	if !a.Created.Equal(now) || !a.Updated.Equal(now) || !a.NotBefore.Equal(now.Add(-10*time.Minute)) || !a.Expires.Equal(now.AddDate(1, 0, 0)) {
		t.Errorf("attributes %+v", a)
	}
	_, err := w.service.Get(t.Context(), w.grant(access.CertificateGet, "web"), stand.Version)
	w.refused(err, fault.NotFound, "web/"+string(stand.Version))
	op := w.operation("web")
	if op.Status != issuance.Completed || op.Private != nil || len(op.CSR) == 0 {
		t.Errorf("operation %+v", op)
	}
	kv, kh, err := w.key("web", "")
	if err != nil || !kh.Managed || kv.Version != b.Version.Version || !kv.Attributes.Expires.Equal(*a.Expires) {
		t.Errorf("key %+v: %v", kv, err)
	}
	if len(w.enrolled) != 1 || w.enrolled[0].Status != issuance.Completed {
		t.Errorf("told %v", w.enrolled)
	}
	w.check()
}

// The clock may stand on the last of a month that has more days than the one in
// which the certificate ends.
func TestMonthsEndAtTheEndOfTheMonth(t *testing.T) {
	w := newInstallation(t)
	p := selfPolicy()
	p.X509.ValidityMonths = ptr(1)
	b := w.issued("web", p)
	leaf, err := x509.ParseCertificate(b.Version.Leaf)
	w.must(err)
	if want := time.Date(2026, 2, 28, 14, 5, 6, 0, time.UTC); !leaf.NotAfter.Equal(want) {
		t.Errorf("ends %v, want %v", leaf.NotAfter, want)
	}
}

func TestThreeCreatesGiveThreeVersions(t *testing.T) {
	w := newInstallation(t)
	seen := map[object.Version]bool{}
	requests := map[string]bool{}
	for range 3 {
		requests[w.begin("web", selfPolicy()).RequestID] = true
		w.must(w.work())
		seen[w.get("web").Version.Version] = true
		w.pass(time.Hour)
	}
	versions, _, err := w.service.ListVersions(t.Context(), w.grant(access.CertificateListVersions, "web"), object.Page{Limit: 25})
	w.must(err)
	if len(versions) != 3 || len(seen) != 3 || len(requests) != 3 {
		t.Fatalf("%d versions, %d seen, %d requests", len(versions), len(seen), len(requests))
	}
	secrets, _, _, err := w.secrets.ListVersions(t.Context(), w.grant(access.SecretListVersions, "web"), object.Page{Limit: 25})
	w.must(err)
	for i, s := range secrets {
		if s.Version != versions[i].Version || i > 0 && s.Previous != versions[i-1].Version || i == 0 && s.Previous != "" {
			t.Errorf("secret %d: %s after %q", i, s.Version, s.Previous)
		}
		if versions[i].NextAction.IsZero() == (i == 2) {
			t.Errorf("version %d has next action %v", i, versions[i].NextAction)
		}
	}
	w.check()
}

func TestLaterCreateLeavesTheCurrentVersionUntilItCompletes(t *testing.T) {
	w := newInstallation(t)
	first := w.issued("web", selfPolicy())
	p := selfPolicy()
	p.X509.Subject = ptr("CN=second")
	w.begin("WEB", p)
	now := w.get("web")
	if now.Version.Version != first.Version.Version || !now.Version.Attributes.Enabled || now.Certificate.Policy.X509.Subject != "CN=second" {
		t.Errorf("current is %+v", now.Version)
	}
	w.must(w.work())
	if w.get("web").Version.Version == first.Version.Version {
		t.Error("the new version is not current")
	}
	old, err := w.service.Get(t.Context(), w.grant(access.CertificateGet, "web"), first.Version.Version)
	if err != nil || !bytes.Equal(old.Version.Leaf, first.Version.Leaf) {
		t.Errorf("the old version: %v", err)
	}
	w.check()
}

func TestCreateTakesTagsAndEnabled(t *testing.T) {
	w := newInstallation(t)
	if _, err := w.create("web", certificate.CreateParams{Policy: selfPolicy(), Tags: object.Tags{"a": "1"}, Enabled: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	w.must(w.work())
	b := w.get("web")
	if b.Version.Attributes.Enabled || b.Version.Tags["a"] != "1" {
		t.Errorf("version %+v", b.Version)
	}
	_, err := w.secrets.Get(t.Context(), w.grant(access.SecretGet, "web"), "", "")
	w.refused(err, fault.Forbidden, "Operation get is not allowed on a disabled secret.")
	for _, c := range []struct {
		claim string
		tags  object.Tags
		want  int
	}{{"carried over", nil, 1}, {"replaced", object.Tags{"b": "1", "c": "2"}, 2}, {"cleared", object.Tags{}, 0}, {"carried over, empty", nil, 0}} {
		if _, err := w.create("web", certificate.CreateParams{Tags: c.tags}); err != nil {
			t.Fatal(err)
		}
		w.must(w.work())
		if v := w.get("web").Version; len(v.Tags) != c.want || !v.Attributes.Enabled {
			t.Errorf("%s: tags %v, enabled %v", c.claim, v.Tags, v.Attributes.Enabled)
		}
	}
	w.check()
}

func TestCreateWithoutPolicyUsesTheStoredOne(t *testing.T) {
	w := newInstallation(t)
	_, err := w.create("web", certificate.CreateParams{})
	w.refused(err, fault.Invalid, "Property policy has invalid value\r\n")
	p := selfPolicy()
	p.X509.ValidityMonths = ptr(7)
	created := w.issued("web", p).Certificate.Policy.Created
	w.pass(time.Hour)
	if _, err := w.create("web", certificate.CreateParams{}); err != nil {
		t.Fatal(err)
	}
	w.must(w.work())
	if got := w.get("web").Certificate.Policy; got.X509.ValidityMonths != 7 || !got.Updated.Equal(beginning) {
		t.Errorf("policy %+v", got)
	}
	// With a policy, nothing of the stored one stays but the time of its making.
	w.begin("web", selfPolicy())
	if got := w.get("web").Certificate.Policy; got.X509.ValidityMonths != 12 || !got.Created.Equal(created) || !got.Updated.Equal(beginning.Add(time.Hour)) {
		t.Errorf("policy %+v", got)
	}
	w.must(w.work())
	w.check()
}

func TestReuseKey(t *testing.T) {
	w := newInstallation(t)
	p := selfPolicy()
	p.Key.Reuse = ptr(true)
	public := func() []byte {
		c, err := x509.ParseCertificate(w.get("web").Version.Leaf)
		w.must(err)
		return c.RawSubjectPublicKeyInfo
	}
	w.issued("web", p)
	first, version := public(), w.get("web").Version.Version
	w.issued("web", nil)
	if !bytes.Equal(first, public()) || w.get("web").Version.Version == version {
		t.Error("the key was not reused in a version of its own")
	}
	w.issued("web", selfPolicy()) // reuse_key is false again
	second := public()
	if bytes.Equal(first, second) {
		t.Error("the key was reused")
	}
	other := selfPolicy()
	other.Key = issuance.KeyPatch{Type: ptr("EC"), Curve: ptr("P-384"), Reuse: ptr(true)}
	w.issued("web", other)
	if c, err := x509.ParseCertificate(w.get("web").Version.Leaf); err != nil || c.SignatureAlgorithm != x509.ECDSAWithSHA384 {
		t.Errorf("a key of another curve was kept: %v", err)
	}
	w.check()
}

func TestCreateRefusals(t *testing.T) {
	w := newInstallation(t)
	w.begin("busy", policyOf("Unknown"))
	w.issued("gone", selfPolicy())
	w.remove("gone")
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.InsertKey(t.Context(), object.Head{Vault: w.home.ID, Name: object.MustName("Own-Key")}); err != nil {
			return err
		}
		d := &object.Deletion{At: beginning, PurgeAt: beginning}
		return tx.InsertSecret(t.Context(), object.Head{Vault: w.home.ID, Name: object.MustName("own-secret"), Deletion: d})
	}))
	many := object.Tags{}
	for _, c := range "abcdefghijklmnop" {
		many[string(c)] = ""
	}
	hsm := selfPolicy()
	hsm.Key.Type = ptr("RSA-HSM")
	for _, c := range []struct {
		name  string
		p     certificate.CreateParams
		kind  fault.Kind
		text  string
		begin string
	}{
		{"busy", certificate.CreateParams{Policy: selfPolicy()}, fault.Conflict, "while a pending key vault certificate's status is inProgress.", ""},
		{"busy", certificate.CreateParams{}, fault.Conflict, "while a pending key vault certificate's status is inProgress.", ""},
		{"gone", certificate.CreateParams{Policy: selfPolicy()}, fault.Conflict, "Certificate gone is currently in a deleted but recoverable state", ""},
		{"own-key", certificate.CreateParams{Policy: selfPolicy()}, fault.Conflict, "A key or secret named own-key already exists", ""},
		{"own-secret", certificate.CreateParams{Policy: selfPolicy()}, fault.Conflict, "A key or secret named own-secret already exists", ""},
		{"new", certificate.CreateParams{Policy: policyOf("corp")}, fault.NotFound, "Issuer not found", ""},
		{"new", certificate.CreateParams{Policy: policyOf("no such issuer!")}, fault.NotFound, "Issuer not found", ""},
		{"new", certificate.CreateParams{Policy: selfPolicy(), Tags: many}, fault.Invalid, "Property tags has invalid value", ""},
		{"new", certificate.CreateParams{Policy: hsm}, fault.Forbidden, "Hardware key operation not allowed on standard vault", ""},
		{"new", certificate.CreateParams{Policy: &issuance.Patch{}}, fault.Invalid, "Property policy.x509_props has invalid value", ""},
	} {
		before := w.dump(c.name)
		_, err := w.create(c.name, c.p)
		w.refused(err, c.kind, c.text)
		if w.dump(c.name) != before {
			t.Errorf("%s: the refusal (%s) left something", c.name, c.text)
		}
	}
	// The same names are taken for an import.
	root := newAuthority(t, "root", nil)
	in := certificate.ImportParams{Value: hidden(newPair(t, root).pem)}
	for name, text := range map[string]string{"busy": "inProgress", "gone": "deleted but recoverable", "own-key": "already exists", "own-secret": "already exists"} {
		_, err := w.importing(name, in)
		w.refused(err, fault.Conflict, text)
	}
	// The heads without versions were only there to take the names.
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PurgeKey(t.Context(), w.home.ID, object.MustName("own-key")); err != nil {
			return err
		}
		return tx.PurgeSecret(t.Context(), w.home.ID, object.MustName("own-secret"))
	}))
	w.check()
}

// TestALockedKeyIsNotReusedWhereItCouldBeExported: a policy that changes its mind
// about exportable gets a new key, never the one that was locked.
func TestALockedKeyIsNotReusedWhereItCouldBeExported(t *testing.T) {
	w := newInstallation(t)
	locked := selfPolicy()
	locked.Key.Exportable = ptr(false)
	w.issued("web", locked)
	old := w.publicKey("web")
	open := selfPolicy()
	open.Key.Exportable, open.Key.Reuse = ptr(true), ptr(true)
	w.issued("web", open)
	if bytes.Equal(w.publicKey("web"), old) {
		t.Error("the locked key is in an exportable version")
	}
	// Once it is exportable, the key is reused; and locking it again is no export.
	second := w.publicKey("web")
	shut := selfPolicy()
	shut.Key.Exportable, shut.Key.Reuse = ptr(false), ptr(true)
	w.issued("web", shut)
	if !bytes.Equal(w.publicKey("web"), second) {
		t.Error("the key was not reused")
	}
	w.check()
}

// publicKey is the subject public key of the current version, DER.
func (w *installation) publicKey(name string) []byte {
	w.Helper()
	leaf, err := pki.ParseCertificate(w.get(name).Version.Leaf)
	w.must(err)
	return leaf.RawSubjectPublicKeyInfo
}

// TestWhatIsChangedWhileAnOperationWaitsCounts: tags and the lifetime action are
// those of the moment at which the new version is built.
func TestWhatIsChangedWhileAnOperationWaitsCounts(t *testing.T) {
	w := newInstallation(t)
	root := newAuthority(t, "root", nil)
	w.issued("web", selfPolicy())
	op := w.begin("web", policyOf("Unknown"))
	_, err := w.service.Update(t.Context(), w.grant(access.CertificateUpdate, "web"), "", certificate.UpdateParams{Tags: object.Tags{"b": "2"}})
	w.must(err)
	_, err = w.service.UpdatePolicy(t.Context(), w.grant(access.CertificatePolicyUpdate, "web"), &issuance.Patch{
		Actions: []issuance.ActionPatch{{Days: ptr(5), ActionType: ptr("EmailContacts")}}})
	w.must(err)
	merged, err := w.merge("web", certificate.MergeParams{X5C: x5c(root.certify(t, op.CSR))})
	w.must(err)
	if got := merged.Version.Tags; len(got) != 1 || got["b"] != "2" {
		t.Errorf("tags %v", got)
	}
	v := w.get("web").Version
	if want := v.Attributes.Expires.AddDate(0, 0, -5); !v.NextAction.Equal(want) {
		t.Errorf("the next action is due %s, want %s", v.NextAction, want)
	}
	w.check()
}

// A create looks, makes a key, and looks again: what happened between counts.
func TestCreateSeesWhatHappenedWhileItsKeyWasMade(t *testing.T) {
	for _, c := range []struct {
		claim     string
		meanwhile func(w *installation)
		kind      fault.Kind
	}{
		{"another create", func(w *installation) { w.begin("web", policyOf("Unknown")) }, fault.Conflict},
		{"an import", func(w *installation) {
			_, err := w.importing("web", certificate.ImportParams{Value: hidden(newPair(t, newAuthority(t, "root", nil)).pem)})
			w.must(err)
		}, fault.Conflict},
		{"a deletion", func(w *installation) { w.remove("web") }, fault.Conflict},
		{"a purge", func(w *installation) { w.remove("web"); w.must(w.purge("web")) }, fault.Conflict},
	} {
		w := newInstallation(t)
		w.issued("web", selfPolicy())
		var after string
		w.meanwhile.Store(ptr(func() { c.meanwhile(w); after = w.dump("web") }))
		_, err := w.create("web", certificate.CreateParams{})
		w.refused(err, c.kind, "")
		if after != w.dump("web") {
			t.Errorf("%s: the create that lost changed something", c.claim)
		}
		w.check()
	}
}
