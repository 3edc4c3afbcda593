package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.KEYS;
import static coffer.conformance.Vault.SECRETS;
import static coffer.conformance.Vault.URL;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.begin;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.outside;
import static coffer.conformance.Vault.purge;
import static coffer.conformance.Vault.recover;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.remove;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.DeletedCertificate;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Deleting, recovering, purging, backing up and restoring (contract certificates.md, 8.8, 8.9, 8.12). */
class RecoverTest {

    @Test
    void aDeletedCertificateIsWhatItWasAndTakesItsKeyAndSecretAlong() {
        String name = newName("delete");
        create(name, self(), Map.of("env", "prod"));
        CERTIFICATES.getCertificate(name);
        Map<String, Object> before = answer("GET", "/certificates/" + name).body();
        remove(name);
        Map<String, Object> left = answer("DELETE", "/certificates/" + name).body();
        for (Map.Entry<String, Object> member : before.entrySet()) {
            assertEquals(member.getValue(), left.get(member.getKey()), member.getKey());
        }
        DeletedCertificate deleted = CERTIFICATES.getDeletedCertificate(name);
        assertEquals(left, answer("GET", "/deletedcertificates/" + name).body());
        assertEquals(URL + "/deletedcertificates/" + name, deleted.getRecoveryId());
        assertEquals(
                Duration.ofDays(deleted.getProperties().getRecoverableDays()),
                Duration.between(deleted.getDeletedOn(), deleted.getScheduledPurgeDate()));
        DeletedCertificate item = CERTIFICATES.listDeletedCertificates().stream()
                .filter(d -> d.getName().equals(name))
                .findFirst()
                .orElseThrow();
        assertEquals(deleted.getRecoveryId(), item.getRecoveryId());
        assertEquals(deleted.getScheduledPurgeDate(), item.getScheduledPurgeDate());

        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificate(name));
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.beginDeleteCertificate(name).poll());
        rejects(404, "SecretNotFound", () -> SECRETS.getSecret(name));
        rejects(404, "KeyNotFound", () -> KEYS.getKey(name));
        assertEquals(0, CERTIFICATES.listPropertiesOfCertificateVersions(name).stream().count());
        rejects(409, "Conflict", "ObjectIsDeletedButRecoverable", () -> begin(name, self()));
        byte[] pfx = OpenSsl.toPfx(OpenSsl.selfSigned(), "", false);
        rejects(409, "Conflict", "ObjectIsDeletedButRecoverable",
                () -> CERTIFICATES.importCertificate(new ImportCertificateOptions(name, pfx)));
    }

    @Test
    void aRecoveredCertificateIsTheDeletedOneWithAllVersionsItsKeyAndItsSecret() {
        String name = newName("recover");
        KeyVaultCertificateWithPolicy first = create(name, self());
        KeyVaultCertificateWithPolicy second = create(name, self());
        String value = SECRETS.getSecret(name).getValue();
        remove(name);
        recover(name);
        Map<String, Object> left = answer("DELETE", "/certificates/" + name).body();
        Map<String, Object> recovered = answer("POST", "/deletedcertificates/" + name + "/recover").body();
        for (String same : List.of("id", "attributes", "policy")) {
            assertEquals(left.get(same), recovered.get(same), same);
        }
        assertEquals(List.of(first.getId(), second.getId()),
                CERTIFICATES.listPropertiesOfCertificateVersions(name).stream()
                        .map(CertificateProperties::getId)
                        .toList());
        assertEquals(value, SECRETS.getSecret(name).getValue());
        assertEquals(second.getKeyId(), KEYS.getKey(name).getId());
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getDeletedCertificate(name));
    }

    @Test
    void aPurgedCertificateIsGoneAndItsNameIsFree() {
        String name = newName("purge");
        KeyVaultCertificateWithPolicy made = create(name, self());
        purge(name);
        assertEquals(204, answer("DELETE", "/deletedcertificates/" + name).status());
        assertNull(answer("DELETE", "/deletedcertificates/" + name).body());
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getDeletedCertificate(name));
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.purgeDeletedCertificate(name));
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.beginRecoverDeletedCertificate(name).poll());
        assertNotEquals(made.getId(), create(name, self()).getId());
    }

    @Test
    void aBackupRestoresEveryVersionAfterAPurgeAndNothingBefore() {
        String name = newName("backup");
        KeyVaultCertificateWithPolicy first = create(name, self(), Map.of("a", "1"));
        KeyVaultCertificateWithPolicy second = create(name, self().setContentType(CertificateContentType.PEM));
        String value = SECRETS.getSecret(name).getValue();
        byte[] backup = CERTIFICATES.backupCertificate(name);
        assertTrue(((String) answer("POST", "/certificates/" + name + "/backup").body().get("value"))
                .matches("[A-Za-z0-9_-]+"));
        rejects(409, "Conflict", () -> CERTIFICATES.restoreCertificateBackup(backup));
        remove(name);
        rejects(409, "Conflict", () -> CERTIFICATES.restoreCertificateBackup(backup));
        CERTIFICATES.purgeDeletedCertificate(name);

        KeyVaultCertificateWithPolicy restored = CERTIFICATES.restoreCertificateBackup(backup);
        assertEquals(second.getId(), restored.getId());
        assertArrayEquals(second.getCer(), restored.getCer());
        assertEquals(second.getProperties().getUpdatedOn(), restored.getProperties().getUpdatedOn());
        assertFalse(answer("POST", "/certificates/restore").body().containsKey("pending"));
        assertArrayEquals(
                first.getCer(),
                CERTIFICATES.getCertificateVersion(name, first.getProperties().getVersion()).getCer());
        assertEquals(value, SECRETS.getSecret(name).getValue());
        assertEquals(second.getKeyId(), KEYS.getKey(name).getId());
    }

    @Test
    void aBackupThatSomebodyChangedIsRefused() {
        String name = newName("altered");
        create(name, self());
        byte[] backup = CERTIFICATES.backupCertificate(name);
        purge(name);
        backup[backup.length / 2] ^= 1;
        rejects(400, "Malformed backup blob", () -> CERTIFICATES.restoreCertificateBackup(backup));
        rejects(400, "Malformed backup blob", () -> CERTIFICATES.restoreCertificateBackup(
                "no backup".getBytes(StandardCharsets.US_ASCII)));
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.backupCertificate(name));
    }

    @Test
    void aCertificateCanBeDeletedWhileItIsBeingMade() {
        String name = newName("early");
        begin(name, outside());
        purge(name);
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificate(name));
    }
}
