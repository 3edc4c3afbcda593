package coffer.conformance;

import static coffer.conformance.Vault.KEYS;
import static coffer.conformance.Vault.URL;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.util.polling.SyncPoller;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.models.EncryptionAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.KeyWrapAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.SignatureAlgorithm;
import com.azure.security.keyvault.keys.models.CreateEcKeyOptions;
import com.azure.security.keyvault.keys.models.CreateOctKeyOptions;
import com.azure.security.keyvault.keys.models.CreateRsaKeyOptions;
import com.azure.security.keyvault.keys.models.DeletedKey;
import com.azure.security.keyvault.keys.models.JsonWebKey;
import com.azure.security.keyvault.keys.models.KeyCurveName;
import com.azure.security.keyvault.keys.models.KeyOperation;
import com.azure.security.keyvault.keys.models.KeyProperties;
import com.azure.security.keyvault.keys.models.KeyRotationLifetimeAction;
import com.azure.security.keyvault.keys.models.KeyRotationPolicy;
import com.azure.security.keyvault.keys.models.KeyRotationPolicyAction;
import com.azure.security.keyvault.keys.models.KeyType;
import com.azure.security.keyvault.keys.models.KeyVaultKey;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys of their own (contract keys.md, to the end), judged by Java's own cryptography. */
class OwnKeyTest {

    private static final byte[] MESSAGE = "to be signed".getBytes(StandardCharsets.UTF_8);
    private static final byte[] PLAIN = "attack at dawn".getBytes(StandardCharsets.UTF_8);

    private static void finish(SyncPoller<?, ?> poller) {
        poller.setPollInterval(Duration.ofMillis(100)).waitForCompletion(Duration.ofSeconds(30));
    }

    private static byte[] digest(int bits) throws Exception {
        return MessageDigest.getInstance("SHA-" + bits).digest(MESSAGE);
    }

    private static boolean verifies(String algorithm, PSSParameterSpec pss, PublicKey key, byte[] signature)
            throws Exception {
        Signature judge = Signature.getInstance(algorithm);
        if (pss != null) {
            judge.setParameter(pss);
        }
        judge.initVerify(key);
        judge.update(MESSAGE);
        return judge.verify(signature);
    }

    @Test
    void aKeyIsReadBackAndUpdated() {
        String name = newName("made");
        OffsetDateTime until = OffsetDateTime.now(ZoneOffset.UTC).truncatedTo(ChronoUnit.SECONDS).plusDays(400);
        KeyVaultKey made = KEYS.createEcKey(new CreateEcKeyOptions(name).setCurveName(KeyCurveName.P_384)
                .setKeyOperations(KeyOperation.VERIFY, KeyOperation.SIGN).setExpiresOn(until).setTags(Map.of("a", "b")));
        assertEquals(List.of(KeyOperation.VERIFY, KeyOperation.SIGN), made.getKeyOperations());
        assertEquals(until, made.getProperties().getExpiresOn());
        assertEquals(Set.of("key", "attributes", "tags"), answer("POST", "/keys/" + name + "/create").body().keySet());
        assertEquals(made.getId(), KEYS.getKey(name, made.getProperties().getVersion()).getId());

        KeyVaultKey second = KEYS.createRsaKey(new CreateRsaKeyOptions(name).setKeySize(3072));
        assertEquals(3072, new BigInteger(1, second.getKey().getN()).bitLength());
        KeyVaultKey changed = KEYS.updateKeyProperties(
                made.getProperties().setEnabled(false).setTags(Map.of()), KeyOperation.VERIFY);
        assertEquals(List.of(KeyOperation.VERIFY), changed.getKeyOperations());
        assertFalse(changed.getProperties().isEnabled());
        assertEquals(until, changed.getProperties().getExpiresOn());
        assertEquals(second.getId(), KEYS.getKey(name).getId());
        assertEquals(List.of(made.getId(), second.getId()),
                KEYS.listPropertiesOfKeyVersions(name).stream().map(KeyProperties::getId).toList());
        assertEquals(1, KEYS.listPropertiesOfKeys().stream().filter(k -> k.getName().equals(name)).count());
    }

    @ParameterizedTest
    @CsvSource({"P-256, ES256, 256, 32", "P-384, ES384, 384, 48", "P-521, ES512, 512, 66"})
    void aKeyOnACurveSigns(String curve, String algorithm, int bits, int octets) throws Exception {
        String name = newName("ec");
        KeyVaultKey made = KEYS.createEcKey(new CreateEcKeyOptions(name).setCurveName(KeyCurveName.fromString(curve)));
        CryptographyClient client = KEYS.getCryptographyClient(name);
        SignatureAlgorithm es = SignatureAlgorithm.fromString(algorithm);
        byte[] signature = client.sign(es, digest(bits)).getSignature();
        assertEquals(2 * octets, signature.length);
        PublicKey key = made.getKey().toEc().getPublic();
        assertTrue(verifies("SHA" + bits + "withECDSAinP1363Format", null, key, signature));
        assertTrue(client.verify(es, digest(bits), signature).isValid());
        signature[7] ^= 1;
        assertFalse(client.verify(es, digest(bits), signature).isValid());
    }

    @Test
    void aKeyOnP256KSigns() throws Exception {
        String name = newName("k"); // a curve that Java has forgotten
        KeyVaultKey made = KEYS.createEcKey(new CreateEcKeyOptions(name).setCurveName(KeyCurveName.P_256K));
        assertEquals(List.of(32, 32), List.of(made.getKey().getX().length, made.getKey().getY().length));
        byte[] signature = KEYS.getCryptographyClient(name).sign(SignatureAlgorithm.ES256K, digest(256)).getSignature();
        OpenSsl.verifyOnP256K(made.getKey().getX(), made.getKey().getY(), digest(256), signature);
        assertTrue(KEYS.getCryptographyClient(name).verify(SignatureAlgorithm.ES256K, digest(256), signature).isValid());
    }

    @ParameterizedTest
    @ValueSource(ints = {256, 384, 512})
    void anRsaKeySigns(int bits) throws Exception {
        String name = newName("rsa");
        KeyVaultKey made = KEYS.createRsaKey(new CreateRsaKeyOptions(name));
        PublicKey key = made.getKey().toRsa().getPublic();
        CryptographyClient client = KEYS.getCryptographyClient(name);
        SignatureAlgorithm rs = SignatureAlgorithm.fromString("RS" + bits);
        byte[] signature = client.sign(rs, digest(bits)).getSignature();
        assertTrue(verifies("SHA" + bits + "withRSA", null, key, signature));
        assertTrue(client.verify(rs, digest(bits), signature).isValid());
        SignatureAlgorithm ps = SignatureAlgorithm.fromString("PS" + bits);
        byte[] salted = client.sign(ps, digest(bits)).getSignature();
        assertTrue(verifies("RSASSA-PSS",
                new PSSParameterSpec("SHA-" + bits, "MGF1", new MGF1ParameterSpec("SHA-" + bits), bits / 8, 1), key, salted));
        assertTrue(client.verify(ps, digest(bits), salted).isValid());
    }

    @ParameterizedTest
    @CsvSource({"RSA1_5, PKCS1Padding, ", "RSA-OAEP, OAEPPadding, SHA-1", "RSA-OAEP-256, OAEPPadding, SHA-256"})
    void anImportedKeyDecryptsWhatWasEncryptedElsewhere(String algorithm, String padding, String hash) throws Exception {
        String name = newName("import");
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        KeyPair pair = generator.generateKeyPair();
        KeyVaultKey made = KEYS.importKey(name, JsonWebKey.fromRsa(pair));
        assertEquals(Set.of("kid", "kty", "key_ops", "n", "e"),
                answer("PUT", "/keys/" + name).object("key").keySet());
        assertEquals(pair.getPublic(), made.getKey().toRsa().getPublic());

        Cipher there = Cipher.getInstance("RSA/ECB/" + padding);
        OAEPParameterSpec oaep = hash == null
                ? null
                : new OAEPParameterSpec(hash, "MGF1", new MGF1ParameterSpec(hash), PSource.PSpecified.DEFAULT);
        there.init(Cipher.ENCRYPT_MODE, pair.getPublic(), oaep);
        byte[] sealed = there.doFinal(PLAIN);
        CryptographyClient client = KEYS.getCryptographyClient(name);
        EncryptionAlgorithm encryption = EncryptionAlgorithm.fromString(algorithm);
        KeyWrapAlgorithm wrap = KeyWrapAlgorithm.fromString(algorithm);
        assertArrayEquals(PLAIN, client.decrypt(encryption, sealed).getPlainText());
        assertArrayEquals(PLAIN, client.unwrapKey(wrap, sealed).getKey());
        there.init(Cipher.DECRYPT_MODE, pair.getPrivate(), oaep);
        assertArrayEquals(PLAIN, there.doFinal(client.encrypt(encryption, PLAIN).getCipherText()));
        assertArrayEquals(PLAIN, there.doFinal(client.wrapKey(wrap, PLAIN).getEncryptedKey()));
        sealed[9] ^= 1;
        rejects(400, "BadParameter", () -> client.decrypt(encryption, sealed));
    }

    @ParameterizedTest
    @CsvSource({"secp256r1, ES256, 256", "secp384r1, ES384, 384", "secp521r1, ES512, 512"})
    void anImportedKeyOnACurveSigns(String curve, String algorithm, int bits) throws Exception {
        String name = newName("import");
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec(curve));
        KeyPair pair = generator.generateKeyPair();
        KeyVaultKey made = KEYS.importKey(name, JsonWebKey.fromEc(pair, generator.getProvider()));
        assertEquals(Set.of("kid", "kty", "key_ops", "crv", "x", "y"),
                answer("PUT", "/keys/" + name).object("key").keySet());
        assertEquals(pair.getPublic(), made.getKey().toEc().getPublic());
        byte[] signature = KEYS.getCryptographyClient(name)
                .sign(SignatureAlgorithm.fromString(algorithm), digest(bits))
                .getSignature();
        assertTrue(verifies("SHA" + bits + "withECDSAinP1363Format", null, pair.getPublic(), signature));
    }

    @Test
    void aDeletedKeyComesBackOrIsPurgedAndRestored() {
        String name = newName("deleted");
        KeyVaultKey made = KEYS.createKey(name, KeyType.EC);
        byte[] blob = KEYS.backupKey(name);
        SyncPoller<DeletedKey, Void> poller = KEYS.beginDeleteKey(name);
        assertEquals(URL + "/deletedkeys/" + name, poller.poll().getValue().getRecoveryId());
        finish(poller);
        assertTrue(KEYS.listDeletedKeys().stream().anyMatch(k -> k.getName().equals(name)));
        rejects(404, "KeyNotFound", () -> KEYS.getKey(name));
        rejects(409, "Conflict", "ObjectIsDeletedButRecoverable", () -> KEYS.createKey(name, KeyType.EC));
        finish(KEYS.beginRecoverDeletedKey(name));
        assertEquals(made.getId(), KEYS.getKey(name).getId());
        rejects(409, "Conflict", () -> KEYS.restoreKeyBackup(blob));
        finish(KEYS.beginDeleteKey(name));
        KEYS.purgeDeletedKey(name);
        rejects(404, "KeyNotFound", () -> KEYS.getDeletedKey(name));
        KeyVaultKey restored = KEYS.restoreKeyBackup(blob);
        assertEquals(made.getId(), restored.getId());
        assertArrayEquals(made.getKey().getX(), restored.getKey().getX());
        blob[blob.length - 1] ^= 1;
        rejects(400, "Malformed backup blob", () -> KEYS.restoreKeyBackup(blob));
        finish(KEYS.beginDeleteKey(name));
        KEYS.purgeDeletedKey(name);
    }

    @Test
    void aKeyRotatesAndHasAPolicy() {
        String name = newName("rotate");
        KeyVaultKey made = KEYS.createEcKey(new CreateEcKeyOptions(name).setTags(Map.of("a", "b")));
        assertEquals("P30D", KEYS.getKeyRotationPolicy(name).getLifetimeActions().get(0).getTimeBeforeExpiry());
        KeyRotationPolicy policy = KEYS.updateKeyRotationPolicy(name, new KeyRotationPolicy().setExpiresIn("P90D")
                .setLifetimeActions(List.of(
                        new KeyRotationLifetimeAction(KeyRotationPolicyAction.ROTATE).setTimeAfterCreate("P60D"))));
        assertEquals(List.of(KeyRotationPolicyAction.ROTATE, KeyRotationPolicyAction.NOTIFY),
                policy.getLifetimeActions().stream().map(KeyRotationLifetimeAction::getAction).toList());
        assertEquals("P90D", KEYS.getKeyRotationPolicy(name).getExpiresIn());
        KeyVaultKey rotated = KEYS.rotateKey(name);
        assertNotEquals(made.getId(), rotated.getId());
        assertEquals(Map.of("a", "b"), rotated.getProperties().getTags());
        assertEquals(Duration.ofDays(90), Duration.between(
                rotated.getProperties().getCreatedOn(), rotated.getProperties().getExpiresOn()));
        rejects(400, "BadParameter",
                () -> KEYS.updateKeyRotationPolicy(name, new KeyRotationPolicy().setExpiresIn("P1D")));
    }

    @Test
    void whatAKeyMayNotDoIsRefused() throws Exception {
        String name = newName("ops");
        KeyVaultKey made = KEYS.createRsaKey(new CreateRsaKeyOptions(name));
        CryptographyClient client = KEYS.getCryptographyClient(name);
        byte[] digest = digest(256);
        client.sign(SignatureAlgorithm.RS256, digest); // from now on the client knows the key as it was
        KEYS.updateKeyProperties(made.getProperties(), KeyOperation.VERIFY);
        rejects(403, "Forbidden", "KeyOperationForbidden", () -> client.sign(SignatureAlgorithm.RS256, digest));
        OffsetDateTime now = OffsetDateTime.now(ZoneOffset.UTC);
        KEYS.updateKeyProperties(made.getProperties().setNotBefore(now.plusHours(1)));
        rejects(403, "Forbidden", "KeyNotYetValid", () -> client.sign(SignatureAlgorithm.RS256, digest));
        KEYS.updateKeyProperties(made.getProperties().setNotBefore(now.minusDays(2)).setExpiresOn(now.minusDays(1)));
        rejects(403, "Forbidden", "KeyExpired", () -> client.sign(SignatureAlgorithm.RS256, digest));
        KEYS.updateKeyProperties(made.getProperties().setEnabled(false));
        rejects(403, "Forbidden", "KeyDisabled", () -> client.sign(SignatureAlgorithm.RS256, digest));
        rejects(403, "Forbidden", () -> KEYS.createRsaKey(new CreateRsaKeyOptions(name).setHardwareProtected(true)));
        rejects(403, "Forbidden", () -> KEYS.createEcKey(new CreateEcKeyOptions(name).setHardwareProtected(true)));
        rejects(403, "Forbidden", () -> KEYS.createOctKey(new CreateOctKeyOptions(name).setHardwareProtected(true)));
        rejects(400, "BadParameter", "KeyTypeNotSupported", () -> KEYS.createKey(name, KeyType.OCT));
    }

    @Test
    void theKeyOfACertificateSignsAndNamesDoNotMeet() throws Exception {
        String name = newName("cert");
        byte[] cer = create(name, self()).getCer();
        byte[] signature = KEYS.getCryptographyClient(name).sign(SignatureAlgorithm.ES256, digest(256)).getSignature();
        assertTrue(verifies("SHA256withECDSAinP1363Format", null, OpenSsl.parse(cer).getPublicKey(), signature));
        rejects(403, "Forbidden", "KeyManagedByKeyVault", () -> KEYS.createKey(name, KeyType.EC));
        String own = newName("own");
        KEYS.createKey(own, KeyType.EC);
        rejects(409, "Conflict", () -> create(own, self()));
    }

    @Test
    void randomBytesAreGiven() {
        assertEquals(128, KEYS.getRandomBytes(128).length);
        rejects(400, "BadParameter", () -> KEYS.getRandomBytes(129));
    }
}
