package conformance

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// Not in parallel: the list belongs to the whole vault.
func TestContacts(t *testing.T) {
	v := open(t)
	ctx := t.Context()
	if _, err := v.DeleteContacts(ctx, nil); err != nil && !is(err, 404) {
		t.Fatal(err)
	}
	_, err := v.GetContacts(ctx, nil)
	refused(t, err, 404, "ContactsNotFound")
	_, err = v.DeleteContacts(ctx, nil)
	refused(t, err, 404, "ContactsNotFound")

	want := []*azcertificates.Contact{
		{Email: to.Ptr("z@example.net"), Name: to.Ptr("Zoe"), Phone: to.Ptr("1111111111")},
		{Email: to.Ptr("a@example.net"), Name: to.Ptr("Ana"), Phone: to.Ptr("2222222222")},
		{Email: to.Ptr("only@example.net")},
	}
	set, err := v.SetContacts(ctx, azcertificates.Contacts{ContactList: want}, nil)
	check(t, err)
	equal(t, "set", set.ContactList, want)
	got, err := v.GetContacts(ctx, nil)
	check(t, err)
	equal(t, "get", got.Contacts, set.Contacts)
	deleted, err := v.DeleteContacts(ctx, nil)
	check(t, err)
	equal(t, "deleted", deleted.ContactList, want)
	_, err = v.GetContacts(ctx, nil)
	refused(t, err, 404, "ContactsNotFound")
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	admins := []*azcertificates.AdministratorContact{{
		FirstName: to.Ptr("First"), LastName: to.Ptr("Last"), Email: to.Ptr("foo@bar.com"), Phone: to.Ptr("42"),
	}}
	set, err := v.SetIssuer(ctx, name, azcertificates.SetIssuerParameters{
		Provider:            to.Ptr("Test"),
		Attributes:          &azcertificates.IssuerAttributes{Enabled: to.Ptr(true)},
		Credentials:         &azcertificates.IssuerCredentials{AccountID: to.Ptr("keyvaultuser"), Password: to.Ptr("of the account")},
		OrganizationDetails: &azcertificates.OrganizationDetails{AdminContacts: admins, ID: to.Ptr("org")},
	}, nil)
	check(t, err)
	equal(t, "provider", *set.Provider, "Test")
	equal(t, "credentials", set.Credentials, &azcertificates.IssuerCredentials{AccountID: to.Ptr("keyvaultuser")})
	equal(t, "admins", set.OrganizationDetails.AdminContacts, admins)
	equal(t, "org", *set.OrganizationDetails.ID, "org")
	got, err := v.GetIssuer(ctx, name, nil)
	check(t, err)
	equal(t, "get", got.Issuer, set.Issuer)

	found := false
	for _, page := range pages(t, v.NewListIssuerPropertiesPager(nil)) {
		for _, i := range page.Value {
			found = found || *i.ID == *set.ID && *i.Provider == "Test"
		}
	}
	if !found {
		t.Error("the issuer is not listed")
	}

	updated, err := v.UpdateIssuer(ctx, name, azcertificates.UpdateIssuerParameters{
		Attributes: &azcertificates.IssuerAttributes{Enabled: to.Ptr(false)},
	}, nil)
	check(t, err)
	equal(t, "enabled", *updated.Attributes.Enabled, false)
	equal(t, "provider", *updated.Provider, "Test")
	equal(t, "org_details", updated.OrganizationDetails, set.OrganizationDetails)
	deleted, err := v.DeleteIssuer(ctx, name, nil)
	check(t, err)
	equal(t, "deleted", deleted.Issuer, updated.Issuer)

	_, err = v.GetIssuer(ctx, name, nil)
	refused(t, err, 404, "CertificateIssuerNotFound")
	_, err = v.UpdateIssuer(ctx, name, azcertificates.UpdateIssuerParameters{}, nil)
	refused(t, err, 404, "CertificateIssuerNotFound")
	_, err = v.DeleteIssuer(ctx, name, nil)
	refused(t, err, 404, "CertificateIssuerNotFound")
}

func TestBuiltInIssuersCannotBeSet(t *testing.T) {
	t.Parallel()
	v := open(t)
	for _, name := range []string{"Self", "Unknown", "unknown"} {
		_, err := v.SetIssuer(t.Context(), name, azcertificates.SetIssuerParameters{Provider: to.Ptr("Test")}, nil)
		refused(t, err, 400, "BadParameter")
	}
}

func TestCreateWithAnIssuerThatCannotIssue(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name, issuer := t.Context(), v.name(), v.name()
	_, err := v.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: small(issuer)}, nil)
	refused(t, err, 404, "CertificateIssuerNotFound")
	_, err = v.GetCertificate(ctx, name, "", nil)
	refused(t, err, 404, "CertificateNotFound")

	_, err = v.SetIssuer(ctx, issuer, azcertificates.SetIssuerParameters{Provider: to.Ptr("NoSuchProvider")}, nil)
	check(t, err)
	v.begin(name, small(issuer))
	failed := v.wait(name)
	equal(t, "status", *failed.Status, "failed")
	if failed.Error == nil || failed.Error.Code != "Certificate issuer error" {
		t.Errorf("error %v", failed.Error)
	}
	if *v.get(name).Attributes.Enabled {
		t.Error("the placeholder is enabled")
	}
	_, err = v.DeleteIssuer(ctx, issuer, nil)
	check(t, err)
}
