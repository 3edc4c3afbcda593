package conformance

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// bundle is what a certificate and a deleted one have in common, as the client writes it.
func bundle(t *testing.T, certificate any) map[string]any {
	t.Helper()
	text, err := json.Marshal(certificate)
	check(t, err)
	var fields map[string]any
	check(t, json.Unmarshal(text, &fields))
	for _, own := range []string{"recoveryId", "deletedDate", "scheduledPurgeDate"} {
		delete(fields, own)
	}
	return fields
}

func TestDeleteAndRecover(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	v.create(name, azcertificates.CreateCertificateParameters{})
	made := v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("a", "1")})

	deleted, err := v.DeleteCertificate(ctx, name, nil)
	check(t, err)
	equal(t, "deleted", bundle(t, deleted.DeletedCertificate), bundle(t, made))
	if deleted.RecoveryID == nil || *deleted.RecoveryID == "" {
		t.Error("no recoveryId")
	}
	retention := time.Duration(*made.Attributes.RecoverableDays) * day
	equal(t, "retention", deleted.ScheduledPurgeDate.Sub(*deleted.DeletedDate), retention)
	later, err := v.GetDeletedCertificate(ctx, name, nil)
	check(t, err)
	equal(t, "deleted, later", later.DeletedCertificate, deleted.DeletedCertificate)

	_, err = v.GetCertificate(ctx, name, "", nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.GetCertificate(ctx, name, made.ID.Version(), nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.secrets.GetSecret(ctx, name, "", nil)
	refused(t, err, 404, "SecretNotFound")
	_, err = v.keys.GetKey(ctx, name, "", nil)
	refused(t, err, 404, "KeyNotFound")
	_, err = v.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self")}, nil)
	refused(t, err, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	_, err = v.secrets.SetSecret(ctx, name, plain("x"), nil)
	refused(t, err, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	_, err = v.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeEC)}, nil)
	refused(t, err, 409, "Conflict", "ObjectIsDeletedButRecoverable")

	recovered, err := v.RecoverDeletedCertificate(ctx, name, nil)
	check(t, err)
	equal(t, "recovered", bundle(t, recovered.Certificate), bundle(t, deleted.DeletedCertificate))
	equal(t, "again", v.get(name), made)
	equal(t, "versions", len(v.versions(name)), 2)
	v.secret(name, "").holds(t, made.CER)
	_, err = v.GetDeletedCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound")
}

func TestPurgeFreesTheName(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	first := v.create(name, azcertificates.CreateCertificateParameters{})
	v.remove(name)
	_, err := v.GetDeletedCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.RecoverDeletedCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.PurgeDeletedCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound")
	second := v.create(name, azcertificates.CreateCertificateParameters{})
	if second.ID.Version() == first.ID.Version() {
		t.Error("the version is the purged one's")
	}
	equal(t, "versions", v.versions(name), []string{second.ID.Version()})
}

func TestDeleteDirectlyAfterCreate(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.begin(name, small("Self"))
	deleted, err := v.DeleteCertificate(t.Context(), name, nil)
	check(t, err)
	later, err := v.GetDeletedCertificate(t.Context(), name, nil)
	check(t, err)
	equal(t, "deleted, later", later.DeletedCertificate, deleted.DeletedCertificate)
}

func TestPlaceholderIsDeletedAndRecovered(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.begin(name, small("Unknown"))
	placeholder := v.get(name)
	deleted, err := v.DeleteCertificate(t.Context(), name, nil)
	check(t, err)
	equal(t, "deleted", bundle(t, deleted.DeletedCertificate), bundle(t, placeholder))
	recovered, err := v.RecoverDeletedCertificate(t.Context(), name, nil)
	check(t, err)
	equal(t, "recovered", recovered.Certificate, placeholder)
}

func TestBackupAndRestoreAfterPurge(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("v", "1")})
	made := v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("v", "2")})
	versions := v.versions(name)
	before := v.secret(name, "")

	backup, err := v.BackupCertificate(ctx, name, nil)
	check(t, err)
	if bytes.Contains(backup.Value, made.CER) {
		t.Error("the backup is not sealed")
	}
	restore := azcertificates.RestoreCertificateParameters{CertificateBackup: backup.Value}
	_, err = v.RestoreCertificate(ctx, restore, nil)
	refused(t, err, 409, "Conflict")
	_, err = v.DeleteCertificate(ctx, name, nil)
	check(t, err)
	_, err = v.RestoreCertificate(ctx, restore, nil)
	refused(t, err, 409, "Conflict")
	_, err = v.PurgeDeletedCertificate(ctx, name, nil)
	check(t, err)

	restored, err := v.RestoreCertificate(ctx, restore, nil)
	check(t, err)
	equal(t, "restored", restored.Certificate, made)
	equal(t, "versions", v.versions(name), versions)
	after := v.secret(name, "")
	after.holds(t, made.CER)
	equal(t, "key", after.key, before.key)
	_, err = v.GetCertificateOperation(ctx, name, nil)
	refused(t, err, 404, "PendingCertificateNotFound")
}

func TestAlteredBackupIsRefused(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.create(name, azcertificates.CreateCertificateParameters{})
	backup, err := v.BackupCertificate(t.Context(), name, nil)
	check(t, err)
	v.remove(name)
	half := len(backup.Value) / 2
	flipped := slices.Clone(backup.Value)
	flipped[half] ^= 1
	for what, altered := range map[string][]byte{
		"one bit": flipped, "half": backup.Value[:half], "more": append(slices.Clone(backup.Value), 0), "nothing": {}, "text": []byte("no backup"),
	} {
		_, err := v.RestoreCertificate(t.Context(), azcertificates.RestoreCertificateParameters{CertificateBackup: altered}, nil)
		if !is(err, 400) {
			t.Errorf("%s: got %v, want 400", what, err)
		}
	}
}

func TestBackupOfAPlaceholder(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.begin(name, small("Unknown"))
	placeholder := v.get(name)
	backup, err := v.BackupCertificate(t.Context(), name, nil)
	check(t, err)
	v.remove(name)
	restored, err := v.RestoreCertificate(t.Context(), azcertificates.RestoreCertificateParameters{CertificateBackup: backup.Value}, nil)
	check(t, err)
	equal(t, "restored", restored.Certificate, placeholder)
}

func TestWhatIsNotThereIs404(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	_, err := v.GetCertificate(ctx, name, "", nil)
	refused(t, err, 404, "CertificateNotFound", "was not found in this key vault")
	_, err = v.DeleteCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.BackupCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.GetDeletedCertificate(ctx, name, nil)
	refused(t, err, 404, "CertificateNotFound", "Deleted Certificate not found")
}
