package certificate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
)

func (w *installation) update(name string, ver object.Version, p certificate.UpdateParams) (*certificate.Bundle, error) {
	return w.service.Update(w.Context(), w.grant(access.CertificateUpdate, name), ver, p)
}

func TestUpdate(t *testing.T) {
	w := newInstallation(t)
	first := w.issued("web", selfPolicy()).Version
	w.pass(time.Hour)
	second := w.issued("web", nil).Version
	for _, c := range []struct {
		claim   string
		version object.Version
		p       certificate.UpdateParams
		enabled bool
		tags    object.Tags
	}{
		{"nothing", "", certificate.UpdateParams{}, true, nil},
		{"tags", "", certificate.UpdateParams{Tags: object.Tags{"a": "1", "b": "2"}}, true, object.Tags{"a": "1", "b": "2"}},
		{"other tags", "", certificate.UpdateParams{Tags: object.Tags{"c": "3"}}, true, object.Tags{"c": "3"}},
		{"disabled", "", certificate.UpdateParams{Enabled: ptr(false)}, false, object.Tags{"c": "3"}},
		{"no tags", second.Version, certificate.UpdateParams{Tags: object.Tags{}}, false, object.Tags{}},
		{"an older version", first.Version, certificate.UpdateParams{Enabled: ptr(false), Tags: object.Tags{"old": ""}}, false, object.Tags{"old": ""}},
	} {
		w.pass(time.Minute)
		b, err := w.update("web", c.version, c.p)
		if err != nil {
			t.Fatalf("%s: %v", c.claim, err)
		}
		v := b.Version
		if v.Attributes.Enabled != c.enabled || !cmp.Equal(v.Tags, c.tags) || !v.Attributes.Updated.Equal(w.now()) {
			t.Errorf("%s: %+v", c.claim, v)
		}
		if c.version != "" && v.Version != c.version {
			t.Errorf("%s: another version", c.claim)
		}
		stored, err := w.service.Get(t.Context(), w.grant(access.CertificateGet, "web"), v.Version)
		if err != nil || !cmp.Equal(stored.Version, v, byName) {
			t.Errorf("%s: stored %+v: %v", c.claim, stored, err)
		}
		kv, _, err := w.key("web", v.Version)
		if err != nil || !cmp.Equal(kv.Attributes, v.Attributes) || kv.Tags != nil {
			t.Errorf("%s: key %+v: %v", c.claim, kv, err)
		}
		secrets, _, _, err := w.secrets.ListVersions(t.Context(), w.grant(access.SecretListVersions, "web"), object.Page{Limit: 9})
		w.must(err)
		for _, s := range secrets {
			if s.Version == v.Version && !cmp.Equal(s.Attributes, v.Attributes) {
				t.Errorf("%s: secret %+v", c.claim, s)
			}
		}
		w.check()
	}
	if now := w.get("web").Version; now.Version != second.Version {
		t.Error("disabling made another version current")
	}
	_, err := w.update("web", object.NewVersion(), certificate.UpdateParams{})
	w.refused(err, fault.NotFound, "web/")
	_, err = w.update("nobody", "", certificate.UpdateParams{})
	w.refused(err, fault.NotFound, "nobody")
	_, err = w.update("web", "", certificate.UpdateParams{Tags: object.Tags{"a": strings.Repeat("x", 257)}})
	w.refused(err, fault.Invalid, "tags")
}

func TestPolicyUpdateHoldsAtOnce(t *testing.T) {
	w := newInstallation(t)
	b := w.issued("web", selfPolicy())
	if b.Version.NextAction.IsZero() {
		t.Error("the default policy has no action")
	}
	w.pass(time.Hour)
	days := []issuance.ActionPatch{{ActionType: ptr("emailContacts"), Days: ptr(30)}}
	c, err := w.service.UpdatePolicy(t.Context(), w.grant(access.CertificatePolicyUpdate, "WEB"), &issuance.Patch{Actions: days})
	w.must(err)
	if !c.Policy.Created.Equal(beginning) || !c.Policy.Updated.Equal(w.now()) || c.Policy.X509.Subject != "CN=www.example.net" {
		t.Errorf("policy %+v", c.Policy)
	}
	now := w.get("web")
	if want := now.Version.Attributes.Expires.Add(-30 * 24 * time.Hour); !now.Version.NextAction.Equal(want) {
		t.Errorf("next action %v, want %v", now.Version.NextAction, want)
	}
	if !now.Version.Attributes.Updated.Equal(beginning) || now.Certificate.Policy.Actions[0].Action != issuance.EmailContacts {
		t.Errorf("%+v", now.Version)
	}
	// The same through the certificate; by version the policy is ignored.
	none := &issuance.Patch{Actions: []issuance.ActionPatch{}}
	if _, err = w.update("web", now.Version.Version, certificate.UpdateParams{Policy: none}); err != nil {
		t.Fatal(err)
	}
	if w.get("web").Version.NextAction.IsZero() {
		t.Error("a policy was taken by version")
	}
	if _, err = w.update("web", "", certificate.UpdateParams{Policy: none}); err != nil {
		t.Fatal(err)
	}
	if got := w.get("web"); !got.Version.NextAction.IsZero() || len(got.Certificate.Policy.Actions) != 0 {
		t.Errorf("%v", got.Version.NextAction)
	}
	// What does not pass leaves everything as it was.
	before := w.dump("web")
	bad := &issuance.Patch{X509: issuance.X509Patch{ValidityMonths: ptr(0)}}
	_, err = w.update("web", "", certificate.UpdateParams{Policy: bad, Tags: object.Tags{"x": "y"}})
	w.refused(err, fault.Invalid, "policy.x509_props")
	_, err = w.service.UpdatePolicy(t.Context(), w.grant(access.CertificatePolicyUpdate, "web"), bad)
	w.refused(err, fault.Invalid, "policy.x509_props")
	_, err = w.service.UpdatePolicy(t.Context(), w.grant(access.CertificatePolicyUpdate, "nobody"), none)
	w.refused(err, fault.NotFound, "nobody")
	if w.dump("web") != before {
		t.Error("a refusal changed something")
	}
	w.check()
}

// A policy may name any issuer; a create with it looks.
func TestPolicyMayNameAnIssuerThatIsNotThere(t *testing.T) {
	w := newInstallation(t)
	w.begin("web", policyOf("Unknown"))
	_, err := w.service.UpdatePolicy(t.Context(), w.grant(access.CertificatePolicyUpdate, "web"),
		&issuance.Patch{Issuer: issuance.IssuerPatch{Name: ptr("later")}})
	w.must(err)
	_, err = w.deleteOperation("web")
	w.must(err)
	_, err = w.create("web", certificate.CreateParams{})
	w.refused(err, fault.NotFound, "Issuer not found")
	c, err := w.service.Policy(t.Context(), w.grant(access.CertificatePolicyGet, "web"))
	if err != nil || c.Policy.Issuer.Name != "later" {
		t.Errorf("%+v, %v", c, err)
	}
	w.check()
}
