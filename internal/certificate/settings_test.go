package certificate_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/store"
)

func TestContacts(t *testing.T) {
	w := newInstallation(t)
	set := func(list []certificate.Contact) error {
		return w.service.SetContacts(t.Context(), w.grant(access.CertificateContactsSet, ""), list)
	}
	get := func() ([]certificate.Contact, error) {
		return w.service.Contacts(t.Context(), w.grant(access.CertificateContactsGet, ""))
	}
	remove := func() ([]certificate.Contact, error) {
		return w.service.DeleteContacts(t.Context(), w.grant(access.CertificateContactsDelete, ""))
	}
	_, err := get()
	w.refused(err, fault.NotFound, "Contacts not found")
	_, err = remove()
	w.refused(err, fault.NotFound, "Contacts not found")
	list := []certificate.Contact{{Email: "b@x.y", Name: ptr("B"), Phone: ptr("")}, {Email: "a@x.y"}}
	w.must(set([]certificate.Contact{{Email: "old@x.y"}}))
	w.must(set(list))
	if got, err := get(); err != nil || !cmp.Equal(got, list) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.service.Contacts(t.Context(), w.grantIn(w.near, access.CertificateContactsGet, "")); err == nil {
		t.Error("another vault shows them")
	}
	w.refused(set([]certificate.Contact{{Name: ptr("nobody")}}), fault.Invalid, "contacts.email")
	w.refused(set([]certificate.Contact{{Email: strings.Repeat("x", 321)}}), fault.Invalid, "contacts")
	w.refused(set(make([]certificate.Contact, 101)), fault.Invalid, "contacts")
	if got, err := remove(); err != nil || !cmp.Equal(got, list) {
		t.Errorf("%+v, %v", got, err)
	}
	w.must(set(list))
	w.must(set(nil))
	_, err = get()
	w.refused(err, fault.NotFound, "Contacts not found")
}

func TestIssuers(t *testing.T) {
	w := newInstallation(t)
	corp := object.MustName("Corp")
	set := func(n object.Name, p certificate.IssuerParams) (*certificate.Issuer, error) {
		return w.service.SetIssuer(t.Context(), w.grant(access.CertificateIssuerSet, ""), n, p)
	}
	update := func(n object.Name, p certificate.IssuerParams) (*certificate.Issuer, error) {
		return w.service.UpdateIssuer(t.Context(), w.grant(access.CertificateIssuerUpdate, ""), n, p)
	}
	get := func(n object.Name) (*certificate.Issuer, error) {
		return w.service.Issuer(t.Context(), w.grant(access.CertificateIssuerGet, ""), n)
	}
	same := func(claim string, got *certificate.Issuer, err error) {
		t.Helper()
		stored, err2 := get(corp)
		if err != nil || err2 != nil || !cmp.Equal(stored, got, byName) {
			t.Errorf("%s: answered %+v (%v), stored %+v (%v)", claim, got, err, stored, err2)
		}
	}
	_, err := update(corp, certificate.IssuerParams{})
	w.refused(err, fault.NotFound, "Issuer not found")
	first, err := set(corp, certificate.IssuerParams{Provider: ptr("DigiCert"), AccountID: ptr("1"), Password: ptr(hidden("s3cret")), Admins: []issuance.Admin{}})
	same("set", first, err)
	if !first.Enabled || first.Admins == nil || first.OrganizationID != nil {
		t.Errorf("%+v", first)
	}
	w.pass(time.Hour)
	changed, err := update(object.MustName("CORP"), certificate.IssuerParams{AccountID: ptr("2"), Enabled: ptr(false), Admins: []issuance.Admin{{Email: ptr("a@b")}}})
	same("update", changed, err)
	if changed.Provider != "DigiCert" || *changed.AccountID != "2" || changed.Enabled || !changed.Created.Equal(beginning) || !changed.Updated.Equal(w.now()) ||
		!bytes.Equal(changed.Password, first.Password) || changed.Name != corp {
		t.Errorf("%+v", changed)
	}
	whole, err := set(object.MustName("corp"), certificate.IssuerParams{Provider: ptr("Test")})
	same("set anew", whole, err)
	if whole.AccountID != nil || whole.Password != nil || whole.Admins != nil || !whole.Enabled || !whole.Created.Equal(beginning) || whole.Name != corp {
		t.Errorf("%+v", whole)
	}
	for i := range 3 {
		_, err := set(object.MustName(fmt.Sprint("x", i)), certificate.IssuerParams{Provider: ptr("Test")})
		w.must(err)
	}
	list, more, err := w.service.Issuers(t.Context(), w.grant(access.CertificateIssuersList, ""), object.Page{Limit: 2, After: "corp"})
	if err != nil || len(list) != 2 || !more || list[0].Name.String() != "x0" {
		t.Errorf("%v %v %v", list, more, err)
	}
	gone, err := w.service.DeleteIssuer(t.Context(), w.grant(access.CertificateIssuerDelete, ""), corp)
	if err != nil || !cmp.Equal(gone, whole, byName) {
		t.Errorf("%+v, %v", gone, err)
	}
	_, err = w.service.DeleteIssuer(t.Context(), w.grant(access.CertificateIssuerDelete, ""), corp)
	w.refused(err, fault.NotFound, "Issuer not found")

	long := ptr(strings.Repeat("x", 1025))
	for field, p := range map[string]certificate.IssuerParams{
		"provider":                  {Provider: long},
		"Property 'provider'":       {},
		"credentials.account_id":    {Provider: ptr("x"), AccountID: long},
		"credentials.pwd":           {Provider: ptr("x"), Password: new(hidden(*long))},
		"org_details.id":            {Provider: ptr("x"), OrganizationID: long},
		"org_details.admin_details": {Provider: ptr("x"), Admins: []issuance.Admin{{Phone: long}}},
		"administrators":            {Provider: ptr("x"), Admins: make([]issuance.Admin, 101)},
	} {
		_, err := set(corp, p)
		w.refused(err, fault.Invalid, field)
		if err != nil && contains(err.Error(), *long) {
			t.Errorf("%s: the error repeats the value", field)
		}
	}
	for _, name := range []string{"Self", "unknown"} {
		_, err := set(object.MustName(name), certificate.IssuerParams{Provider: ptr("x")})
		w.refused(err, fault.Invalid, "issuer-name")
	}
}

// Lemur GHSA-6c8m-q6g9-vrw3: the password of an issuer goes in and never comes
// out, in any form that an answer or a log could show.
func TestIssuerPasswordNeverComesBack(t *testing.T) {
	w := newInstallation(t)
	const password = "correct horse battery"
	i, err := w.service.SetIssuer(t.Context(), w.grant(access.CertificateIssuerSet, ""), object.MustName("corp"),
		certificate.IssuerParams{Provider: ptr("Test"), Password: ptr(hidden(password))})
	w.must(err)
	stored, err := w.service.Issuer(t.Context(), w.grant(access.CertificateIssuerGet, ""), object.MustName("corp"))
	w.must(err)
	for _, v := range []*certificate.Issuer{i, stored} {
		if len(v.Password) == 0 || bytes.Contains(v.Password, []byte(password)) || strings.Contains(fmt.Sprintf("%+v %s", v, v.Password), password) {
			t.Errorf("%+v shows the password", v)
		}
	}
	w.must(w.db.View(t.Context(), func(tx *store.Tx) error {
		i, err := tx.Issuer(t.Context(), w.home.ID, object.MustName("corp"))
		if err == nil && bytes.Contains(i.Password, []byte(password)) {
			t.Error("it is stored in clear")
		}
		return err
	}))
}
