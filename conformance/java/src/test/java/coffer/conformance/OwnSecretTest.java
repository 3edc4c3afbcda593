package coffer.conformance;

import static coffer.conformance.Vault.SECRETS;
import static coffer.conformance.Vault.URL;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.util.polling.SyncPoller;
import com.azure.security.keyvault.secrets.models.DeletedSecret;
import com.azure.security.keyvault.secrets.models.KeyVaultSecret;
import com.azure.security.keyvault.secrets.models.SecretProperties;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Secrets of their own (contract secrets.md, to the end). */
class OwnSecretTest {

    private static final Duration INTERVAL = Duration.ofMillis(100);

    private static void remove(String name) {
        finish(SECRETS.beginDeleteSecret(name));
    }

    private static void finish(SyncPoller<?, ?> poller) {
        poller.setPollInterval(INTERVAL).waitForCompletion(Duration.ofSeconds(30));
    }

    private static KeyVaultSecret set(String name, String value, String contentType, Map<String, String> tags) {
        return SECRETS.setSecret(new KeyVaultSecret(name, value)
                .setProperties(new SecretProperties().setContentType(contentType).setTags(tags)));
    }

    @Test
    void aSecretIsReadBackAsItWasSetThoughItIsNotValidYet() {
        String name = newName("set");
        String value = "line\r\n<&> ä\t";
        OffsetDateTime now = OffsetDateTime.now(ZoneOffset.UTC).truncatedTo(ChronoUnit.SECONDS);
        KeyVaultSecret made = SECRETS.setSecret(new KeyVaultSecret(name, value).setProperties(new SecretProperties()
                .setContentType("text/plain").setTags(Map.of("team", "a"))
                .setNotBefore(now.plusHours(1)).setExpiresOn(now.plusHours(2))));
        Map<String, Object> body = answer("PUT", "/secrets/" + name).body();
        assertEquals(Set.of("value", "contentType", "id", "attributes", "tags"), body.keySet());
        assertEquals(value, made.getValue());
        assertEquals(now.plusHours(1), made.getProperties().getNotBefore());
        assertEquals(now.plusHours(2), made.getProperties().getExpiresOn());
        assertEquals(value, SECRETS.getSecret(name).getValue());
        assertEquals(body, answer("GET", "/secrets/" + name).body());
        String version = made.getProperties().getVersion();
        assertEquals(value, SECRETS.getSecret(name, version).getValue());
        assertEquals(body, answer("GET", "/secrets/" + name + "/" + version).body());
    }

    @Test
    void everySetIsAVersionWithNothingOfTheOneBefore() {
        String name = newName("versions");
        KeyVaultSecret first = set(name, "one", "a", Map.of("a", "b"));
        KeyVaultSecret second = SECRETS.setSecret(name, "");
        assertEquals(Set.of("value", "id", "attributes"), answer("PUT", "/secrets/" + name).body().keySet());
        assertEquals("", SECRETS.getSecret(name).getValue());
        assertEquals("one", SECRETS.getSecret(name, first.getProperties().getVersion()).getValue());
        assertEquals(List.of(first.getId(), second.getId()),
                SECRETS.listPropertiesOfSecretVersions(name).stream().map(SecretProperties::getId).toList());
        assertEquals(List.of(URL + "/secrets/" + name),
                SECRETS.listPropertiesOfSecrets().stream()
                        .filter(s -> s.getName().equals(name))
                        .map(SecretProperties::getId)
                        .toList());
    }

    @Test
    void anUpdateChangesAllButTheValueOfDisabledAndExpiredVersionsToo() {
        String name = newName("update");
        SecretProperties properties = SECRETS.setSecret(name, "one").getProperties();
        SECRETS.setSecret(name, "two");
        OffsetDateTime past = OffsetDateTime.now(ZoneOffset.UTC).truncatedTo(ChronoUnit.SECONDS).minusHours(1);
        SecretProperties updated = SECRETS.updateSecretProperties(
                properties.setContentType("b").setTags(Map.of("a", "b")).setExpiresOn(past));
        assertEquals("b", updated.getContentType());
        assertEquals(Map.of("a", "b"), updated.getTags());
        assertEquals(past, updated.getExpiresOn());
        assertFalse(answer("PATCH", "/secrets/" + name + "/" + properties.getVersion()).body().containsKey("value"));
        assertEquals("one", SECRETS.getSecret(name, properties.getVersion()).getValue());

        SecretProperties current = SECRETS.getSecret(name).getProperties();
        assertNull(current.getContentType());
        SECRETS.updateSecretProperties(current.setEnabled(false));
        assertEquals("Operation get is not allowed on a disabled secret.",
                rejects(403, "Forbidden", "SecretDisabled", () -> SECRETS.getSecret(name)));
        SECRETS.updateSecretProperties(current.setEnabled(true));
        assertEquals("two", SECRETS.getSecret(name).getValue());
    }

    @Test
    void aDeletedSecretIsRecoveredWithAllVersionsOrPurgedForEver() {
        String name = newName("delete");
        KeyVaultSecret first = SECRETS.setSecret(name, "one");
        KeyVaultSecret made = set(name, "two", "t", Map.of("a", "b"));
        SECRETS.getSecret(name);
        Map<String, Object> before = answer("GET", "/secrets/" + name).body();
        remove(name);
        Map<String, Object> left = answer("DELETE", "/secrets/" + name).body();
        assertFalse(left.containsKey("value"));
        for (String same : List.of("id", "attributes", "contentType", "tags")) {
            assertEquals(before.get(same), left.get(same), same);
        }
        DeletedSecret deleted = SECRETS.getDeletedSecret(name);
        assertEquals(left, answer("GET", "/deletedsecrets/" + name).body());
        assertEquals(URL + "/deletedsecrets/" + name, deleted.getRecoveryId());
        assertEquals(
                Duration.ofDays(made.getProperties().getRecoverableDays()),
                Duration.between(deleted.getDeletedOn(), deleted.getScheduledPurgeDate()));
        assertTrue(SECRETS.listDeletedSecrets().stream().anyMatch(d -> d.getName().equals(name)));
        rejects(404, "SecretNotFound", () -> SECRETS.getSecret(name));
        rejects(409, "Conflict", "ObjectIsDeletedButRecoverable", () -> SECRETS.setSecret(name, "x"));
        rejects(409, "Conflict", () -> create(name, self()));

        finish(SECRETS.beginRecoverDeletedSecret(name));
        assertEquals("two", SECRETS.getSecret(name).getValue());
        assertEquals(before, answer("GET", "/secrets/" + name).body());
        assertEquals("one", SECRETS.getSecret(name, first.getProperties().getVersion()).getValue());
        rejects(404, "SecretNotFound", () -> SECRETS.getDeletedSecret(name));

        remove(name);
        SECRETS.purgeDeletedSecret(name);
        assertEquals(204, answer("DELETE", "/deletedsecrets/" + name).status());
        rejects(404, "SecretNotFound", () -> SECRETS.getDeletedSecret(name));
        assertNotEquals(made.getId(), SECRETS.setSecret(name, "anew").getId());
    }

    @Test
    void aBackupRestoresEveryVersionWhereTheNameIsFree() {
        String name = newName("backup");
        KeyVaultSecret first = SECRETS.setSecret(name, "one");
        KeyVaultSecret made = set(name, "two", "t", Map.of("a", "b"));
        byte[] backup = SECRETS.backupSecret(name);
        assertTrue(((String) answer("POST", "/secrets/" + name + "/backup").body().get("value"))
                .matches("[A-Za-z0-9_-]+"));
        assertTrue(rejects(409, "Conflict", () -> SECRETS.restoreSecretBackup(backup))
                .startsWith("There was a conflict restoring the secret '" + name + "/" + made.getProperties().getVersion() + "'."));
        remove(name);
        rejects(409, "Conflict", () -> SECRETS.restoreSecretBackup(backup));
        SECRETS.purgeDeletedSecret(name);
        SECRETS.restoreSecretBackup(backup);
        Map<String, Object> restored = answer("POST", "/secrets/restore").body();
        assertFalse(restored.containsKey("value"));
        assertEquals(made.getId(), restored.get("id"));
        assertEquals("two", SECRETS.getSecret(name).getValue());
        assertEquals("one", SECRETS.getSecret(name, first.getProperties().getVersion()).getValue());

        backup[backup.length / 2] ^= 1;
        rejects(400, "Malformed backup blob", () -> SECRETS.restoreSecretBackup(backup));
    }

    @Test
    void whatCannotBeIsRefused() {
        String name = newName("refused");
        assertTrue(rejects(404, "SecretNotFound", () -> SECRETS.getSecret(name))
                .startsWith("A secret with (name/id) " + name + " was not found in this key vault."));
        assertEquals("Secret is beyond the maximum permitted length of 25600 characters.",
                rejects(400, "BadParameter", "SecretTooLarge", () -> SECRETS.setSecret(name, "a".repeat(25_601))));
        rejects(400, "BadParameter", () -> SECRETS.setSecret("under_score", "x"));
        rejects(404, "SecretNotFound", () -> SECRETS.beginDeleteSecret(name).poll());
        assertEquals(25_600, SECRETS.setSecret(name, "a".repeat(25_600)).getValue().length());
        rejects(409, "Conflict", () -> create(name, self()));
    }
}
