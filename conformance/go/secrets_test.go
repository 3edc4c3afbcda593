package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// secretName hands out an unused name, of which nothing is left after the test.
func (v *vault) secretName() string {
	random := make([]byte, 10)
	rand.Read(random)
	name := "go-secret-" + hex.EncodeToString(random)
	v.t.Cleanup(func() {
		// Not there, or not deleted, is what the test may have seen to.
		if _, err := v.secrets.DeleteSecret(context.Background(), name, nil); err != nil && !is(err, 404) {
			v.t.Errorf("tidying up: %v", err)
		}
		if _, err := v.secrets.PurgeDeletedSecret(context.Background(), name, nil); err != nil && !is(err, 404) {
			v.t.Errorf("tidying up: %v", err)
		}
	})
	return name
}

func (v *vault) set(name string, p azsecrets.SetSecretParameters) azsecrets.Secret {
	v.t.Helper()
	made, err := v.secrets.SetSecret(v.t.Context(), name, p, nil)
	check(v.t, err)
	return made.Secret
}

func plain(value string) azsecrets.SetSecretParameters {
	return azsecrets.SetSecretParameters{Value: &value}
}

func (v *vault) plainSecret(name, version string) azsecrets.Secret {
	v.t.Helper()
	got, err := v.secrets.GetSecret(v.t.Context(), name, version, nil)
	check(v.t, err)
	return got.Secret
}

// valueless is a secret as answers without a value show it.
func valueless(s azsecrets.Secret) azsecrets.Secret {
	s.Value = nil
	return s
}

func TestSetSecretIsReadBack(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.secretName()
	from, until := time.Now().Add(time.Hour).UTC().Truncate(time.Second), time.Now().Add(2*time.Hour).UTC().Truncate(time.Second)
	made := v.set(name, azsecrets.SetSecretParameters{
		Value: to.Ptr("line\r\n<&> ä\t"), ContentType: to.Ptr("text/plain"), Tags: tags("team", "a"),
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(true), NotBefore: &from, Expires: &until},
	})
	equal(t, "value", *made.Value, "line\r\n<&> ä\t")
	equal(t, "name", made.ID.Name(), name)
	equal(t, "dates", []time.Time{made.Attributes.NotBefore.UTC(), made.Attributes.Expires.UTC()}, []time.Time{from, until})
	equal(t, "managed, kid", []any{made.Managed, made.KID, made.PreviousVersion}, []any{(*bool)(nil), (*azsecrets.ID)(nil), (*string)(nil)})
	equal(t, "get", v.plainSecret(name, ""), made) // though it is not valid yet
	equal(t, "get by version", v.plainSecret(strings.ToUpper(name), made.ID.Version()), made)

	second := v.set(name, plain(""))
	if second.ID.Version() == made.ID.Version() || second.ContentType != nil || second.Tags != nil || second.Attributes.Expires != nil {
		t.Errorf("the second version is %+v", second)
	}
	equal(t, "an empty value", *v.plainSecret(name, "").Value, "")
	equal(t, "the first version", v.plainSecret(name, made.ID.Version()), made)
}

func TestUpdateSecretChangesAllButTheValue(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.secretName()
	first := v.set(name, azsecrets.SetSecretParameters{Value: to.Ptr("one"), ContentType: to.Ptr("a")})
	v.set(name, plain("two"))
	past := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	updated, err := v.secrets.UpdateSecretProperties(ctx, name, first.ID.Version(), azsecrets.UpdateSecretPropertiesParameters{
		ContentType: to.Ptr("b"), Tags: tags("a", "b"), SecretAttributes: &azsecrets.SecretAttributes{Expires: &past}}, nil)
	check(t, err)
	want := first
	want.Value, want.ContentType, want.Tags = nil, to.Ptr("b"), tags("a", "b")
	attributes := *first.Attributes
	attributes.Expires, attributes.Updated, want.Attributes = updated.Attributes.Expires, updated.Attributes.Updated, &attributes
	equal(t, "updated", updated.Secret, want)
	equal(t, "expires", updated.Attributes.Expires.UTC(), past)
	equal(t, "an expired secret", *v.plainSecret(name, first.ID.Version()).Value, "one")

	disable := azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)}}
	_, err = v.secrets.UpdateSecretProperties(ctx, name, "", disable, nil)
	check(t, err)
	_, err = v.secrets.GetSecret(ctx, name, "", nil)
	refused(t, err, 403, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret.")
	_, err = v.secrets.UpdateSecretProperties(ctx, name, "", azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(true)}}, nil)
	check(t, err)
	equal(t, "enabled again", *v.plainSecret(name, "").Value, "two")
}

func TestSecretsAreListedWithoutValues(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.secretName()
	var want []string
	for range 3 {
		want = append(want, string(*v.set(name, azsecrets.SetSecretParameters{Value: to.Ptr("x"), ContentType: to.Ptr("t"), Tags: tags("a", "b")}).ID))
	}
	var versions []string
	pages := v.secrets.NewListSecretPropertiesVersionsPager(name, nil)
	for pages.More() {
		page, err := pages.NextPage(t.Context())
		check(t, err)
		for _, item := range page.Value {
			versions = append(versions, string(*item.ID))
			equal(t, "item", []any{*item.ContentType, item.Managed, *item.Attributes.Enabled, item.Tags}, []any{"t", (*bool)(nil), true, tags("a", "b")})
		}
	}
	equal(t, "versions", versions, want)
	found := 0
	list := v.secrets.NewListSecretPropertiesPager(nil)
	for list.More() {
		page, err := list.NextPage(t.Context())
		check(t, err)
		for _, item := range page.Value {
			if item.ID.Name() == name {
				found++
				equal(t, "base id", item.ID.Version(), "")
			}
		}
	}
	equal(t, "times listed", found, 1)
}

func TestDeletedSecretIsRecoveredOrPurged(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.secretName()
	first := v.set(name, plain("one"))
	made := v.set(name, azsecrets.SetSecretParameters{Value: to.Ptr("two"), ContentType: to.Ptr("t"), Tags: tags("a", "b")})

	deleted, err := v.secrets.DeleteSecret(ctx, name, nil)
	check(t, err)
	equal(t, "deleted", bundle(t, deleted.DeletedSecret), bundle(t, valueless(made)))
	equal(t, "retention", deleted.ScheduledPurgeDate.Sub(*deleted.DeletedDate), time.Duration(*made.Attributes.RecoverableDays)*day)
	later, err := v.secrets.GetDeletedSecret(ctx, name, nil)
	check(t, err)
	equal(t, "deleted, later", later.DeletedSecret, deleted.DeletedSecret)
	var listed []string
	pages := v.secrets.NewListDeletedSecretPropertiesPager(nil)
	for pages.More() {
		page, err := pages.NextPage(ctx)
		check(t, err)
		for _, item := range page.Value {
			listed = append(listed, *item.RecoveryID)
		}
	}
	if !slices.Contains(listed, *deleted.RecoveryID) {
		t.Errorf("%s is not in the list of deleted secrets", *deleted.RecoveryID)
	}
	_, err = v.secrets.GetSecret(ctx, name, first.ID.Version(), nil)
	refused(t, err, 404, "SecretNotFound")
	_, err = v.secrets.SetSecret(ctx, name, plain("x"), nil)
	refused(t, err, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	_, err = v.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self")}, nil)
	refused(t, err, 409, "Conflict")

	recovered, err := v.secrets.RecoverDeletedSecret(ctx, name, nil)
	check(t, err)
	equal(t, "recovered", recovered.Secret, valueless(made))
	equal(t, "again", v.plainSecret(name, ""), made)
	equal(t, "the first version", v.plainSecret(name, first.ID.Version()), first)
	_, err = v.secrets.GetDeletedSecret(ctx, name, nil)
	refused(t, err, 404, "SecretNotFound")

	_, err = v.secrets.DeleteSecret(ctx, name, nil)
	check(t, err)
	_, err = v.secrets.PurgeDeletedSecret(ctx, name, nil)
	check(t, err)
	_, err = v.secrets.GetDeletedSecret(ctx, name, nil)
	refused(t, err, 404, "SecretNotFound")
	v.set(name, plain("anew"))
	_, err = v.secrets.GetSecret(ctx, name, made.ID.Version(), nil)
	refused(t, err, 404, "SecretNotFound", name+"/"+made.ID.Version())
}

func TestSecretBackupRestoresEveryVersion(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.secretName()
	first := v.set(name, plain("one"))
	made := v.set(name, azsecrets.SetSecretParameters{Value: to.Ptr("two"), ContentType: to.Ptr("t"), Tags: tags("a", "b")})
	backup, err := v.secrets.BackupSecret(ctx, name, nil)
	check(t, err)
	restore := func(blob []byte) (azsecrets.RestoreSecretResponse, error) {
		return v.secrets.RestoreSecret(ctx, azsecrets.RestoreSecretParameters{SecretBackup: blob}, nil)
	}
	_, err = restore(backup.Value)
	refused(t, err, 409, "Conflict", "There was a conflict restoring the secret '"+name)
	_, err = v.secrets.DeleteSecret(ctx, name, nil)
	check(t, err)
	_, err = restore(backup.Value)
	refused(t, err, 409, "Conflict")
	_, err = v.secrets.PurgeDeletedSecret(ctx, name, nil)
	check(t, err)
	restored, err := restore(backup.Value)
	check(t, err)
	equal(t, "restored", restored.Secret, valueless(made))
	equal(t, "again", v.plainSecret(name, ""), made)
	equal(t, "the first version", v.plainSecret(name, first.ID.Version()), first)

	altered := slices.Clone(backup.Value)
	altered[len(altered)/2] ^= 1
	_, err = restore(altered)
	refused(t, err, 400, "Malformed backup blob", "Backup blob is corrupt.")
}

func TestSecretRefusals(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.secretName()
	_, err := v.secrets.GetSecret(ctx, name, "", nil)
	refused(t, err, 404, "SecretNotFound", "A secret with (name/id) "+name+" was not found in this key vault.")
	_, err = v.secrets.SetSecret(ctx, name, plain(strings.Repeat("a", 25_601)), nil)
	refused(t, err, 400, "BadParameter", "SecretTooLarge", "Secret is beyond the maximum permitted length of 25600 characters.")
	_, err = v.secrets.SetSecret(ctx, name, azsecrets.SetSecretParameters{}, nil)
	refused(t, err, 400, "BadParameter", "Property 'value' is required.")
	_, err = v.secrets.SetSecret(ctx, "under_score", plain("x"), nil)
	refused(t, err, 400, "BadParameter", "The request URI contains an invalid name: under_score")
	_, err = v.secrets.DeleteSecret(ctx, name, nil)
	refused(t, err, 404, "SecretNotFound")
	v.set(name, plain(strings.Repeat("a", 25_600)))
	_, err = v.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self")}, nil)
	refused(t, err, 409, "Conflict")
}
