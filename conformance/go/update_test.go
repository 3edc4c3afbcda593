package conformance

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

func (v *vault) update(name, version string, parameters azcertificates.UpdateCertificateParameters) azcertificates.Certificate {
	v.t.Helper()
	updated, err := v.UpdateCertificate(v.t.Context(), name, version, parameters, nil)
	check(v.t, err)
	return updated.Certificate
}

func TestTagsAreReplacedKeptAndCleared(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("a", "1", "b", "2")})
	updated := v.update(name, "", azcertificates.UpdateCertificateParameters{Tags: tags("c", "3")})
	equal(t, "replaced", updated.Tags, tags("c", "3"))
	updated = v.update(name, "", azcertificates.UpdateCertificateParameters{CertificateAttributes: enabled(true)})
	equal(t, "kept", updated.Tags, tags("c", "3"))
	updated = v.update(name, "", azcertificates.UpdateCertificateParameters{Tags: tags()})
	equal(t, "cleared", len(updated.Tags), 0)
	equal(t, "cleared", len(v.get(name).Tags), 0)
}

func TestEnabledIsMirroredToKeyAndSecret(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	disabled := v.update(name, "", azcertificates.UpdateCertificateParameters{CertificateAttributes: enabled(false)})
	equal(t, "id", disabled.ID, made.ID)
	equal(t, "enabled", *disabled.Attributes.Enabled, false)
	if disabled.Policy == nil {
		t.Error("the answer has no policy")
	}
	_, err := v.secrets.GetSecret(t.Context(), name, "", nil)
	refused(t, err, 403, "Forbidden", "SecretDisabled")
	key, err := v.keys.GetKey(t.Context(), name, "", nil)
	check(t, err)
	equal(t, "key", *key.Attributes.Enabled, false)

	v.update(name, "", azcertificates.UpdateCertificateParameters{CertificateAttributes: enabled(true)})
	v.secret(name, "").holds(t, made.CER)
}

func TestOneVersionIsUpdated(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	old := v.create(name, azcertificates.CreateCertificateParameters{})
	current := v.create(name, azcertificates.CreateCertificateParameters{})
	updated := v.update(name, old.ID.Version(), azcertificates.UpdateCertificateParameters{
		CertificateAttributes: enabled(false), Tags: tags("old", "1"),
	})
	equal(t, "id", updated.ID, old.ID)
	equal(t, "tags", updated.Tags, tags("old", "1"))
	after := v.get(name)
	equal(t, "current", after.ID, current.ID)
	equal(t, "enabled", *after.Attributes.Enabled, true)
	equal(t, "tags", len(after.Tags), 0)
}

// Published tests send exp and expect success (certificates.md, 16.2, row 7).
func TestDatesInAnUpdateAreIgnored(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	updated := v.update(name, "", azcertificates.UpdateCertificateParameters{CertificateAttributes: &azcertificates.CertificateAttributes{
		Expires: to.Ptr(time.Date(2121, 7, 13, 0, 0, 0, 0, time.UTC)),
	}})
	equal(t, "exp", updated.Attributes.Expires, made.Attributes.Expires)
	equal(t, "enabled", *updated.Attributes.Enabled, true)
	equal(t, "created", updated.Attributes.Created, made.Attributes.Created)
	if updated.Attributes.Updated.Before(*made.Attributes.Updated) {
		t.Error("updated has gone back")
	}
}

func TestUpdateWithAPolicyMergesIt(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	updated := v.update(name, "", azcertificates.UpdateCertificateParameters{CertificatePolicy: &azcertificates.CertificatePolicy{
		X509CertificateProperties: &azcertificates.X509CertificateProperties{ValidityInMonths: to.Ptr[int32](5)},
	}})
	want := *made.Policy
	want.X509CertificateProperties.ValidityInMonths = to.Ptr[int32](5)
	sameFields(t, *updated.Policy, want)
}

func TestUpdateOfWhatIsNotThereIs404(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	_, err := v.UpdateCertificate(t.Context(), name, "", azcertificates.UpdateCertificateParameters{}, nil)
	refused(t, err, 404, "CertificateNotFound")
	v.create(name, azcertificates.CreateCertificateParameters{})
	_, err = v.UpdateCertificate(t.Context(), name, "00000000000000000000000000000000", azcertificates.UpdateCertificateParameters{}, nil)
	refused(t, err, 404, "CertificateNotFound")
}
