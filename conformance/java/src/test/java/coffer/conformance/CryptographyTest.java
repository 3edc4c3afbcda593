package coffer.conformance;

import static coffer.conformance.Vault.KEYS;
import static coffer.conformance.Vault.LIMITED;
import static coffer.conformance.Vault.answers;
import static coffer.conformance.Vault.cryptographyAs;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.rejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.CryptographyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.models.EncryptionAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.KeyWrapAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.SignatureAlgorithm;
import com.azure.security.keyvault.keys.models.CreateEcKeyOptions;
import com.azure.security.keyvault.keys.models.CreateRsaKeyOptions;
import com.azure.security.keyvault.keys.models.KeyCurveName;
import com.azure.security.keyvault.keys.models.KeyOperation;
import com.azure.security.keyvault.keys.models.KeyVaultKey;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the cryptography client does by itself and what it leaves to the vault (contract keys.md, 5.1, 8, 11). One that
 * may read the key encrypts and wraps RSA1_5 and RSA-OAEP and verifies by itself; one that may not sends everything to
 * the vault.
 */
class CryptographyTest {

    private static final byte[] MESSAGE = "to be signed".getBytes(StandardCharsets.UTF_8);
    private static final byte[] PLAIN = "attack at dawn".getBytes(StandardCharsets.UTF_8);

    private static byte[] digest(int bits) throws Exception {
        return MessageDigest.getInstance("SHA-" + bits).digest(MESSAGE);
    }

    private static KeyVaultKey rsa() {
        return KEYS.createRsaKey(new CreateRsaKeyOptions(newName("rsa")));
    }

    private static CryptographyClient reader(KeyVaultKey key) {
        return KEYS.getCryptographyClient(key.getName(), key.getProperties().getVersion());
    }

    private static CryptographyClient local(KeyVaultKey key) {
        return new CryptographyClientBuilder().jsonWebKey(key.getKey()).buildClient();
    }

    private static long sent(KeyVaultKey key, String operation) {
        String path = "/keys/" + key.getName() + "/" + key.getProperties().getVersion() + "/" + operation;
        return answers("POST", path).stream().filter(e -> e.status() == 200).count();
    }

    @ParameterizedTest
    @CsvSource({"RSA1_5, true", "RSA-OAEP, true", "RSA-OAEP-256, false"})
    void whatIsEncryptedOnEitherSideIsDecrypted(String algorithm, boolean here) {
        KeyVaultKey made = rsa();
        EncryptionAlgorithm encryption = EncryptionAlgorithm.fromString(algorithm);
        KeyWrapAlgorithm wrap = KeyWrapAlgorithm.fromString(algorithm);
        CryptographyClient remoteOnly = cryptographyAs(made, LIMITED);
        List<CryptographyClient> clients =
                here ? List.of(local(made), reader(made), remoteOnly) : List.of(reader(made), remoteOnly);
        for (CryptographyClient client : clients) {
            byte[] sealed = client.encrypt(encryption, PLAIN).getCipherText();
            byte[] wrapped = client.wrapKey(wrap, PLAIN).getEncryptedKey();
            assertArrayEquals(PLAIN, reader(made).decrypt(encryption, sealed).getPlainText());
            assertArrayEquals(PLAIN, remoteOnly.decrypt(encryption, sealed).getPlainText());
            assertArrayEquals(PLAIN, reader(made).unwrapKey(wrap, wrapped).getKey());
            assertArrayEquals(PLAIN, remoteOnly.unwrapKey(wrap, wrapped).getKey());
        }
        long remote = here ? 1 : 2;
        assertEquals(List.of(remote, remote), List.of(sent(made, "encrypt"), sent(made, "wrapkey")));
    }

    private static void assertSignaturesFit(KeyVaultKey made, String name, int bits) throws Exception {
        SignatureAlgorithm algorithm = SignatureAlgorithm.fromString(name);
        List<CryptographyClient> clients = List.of(reader(made), cryptographyAs(made, LIMITED));
        for (CryptographyClient signer : clients) {
            byte[] ofDigest = signer.sign(algorithm, digest(bits)).getSignature();
            byte[] ofData = signer.signData(algorithm, MESSAGE).getSignature();
            for (CryptographyClient client : clients) {
                assertTrue(client.verifyData(algorithm, MESSAGE, ofDigest).isValid(), name);
                assertTrue(client.verify(algorithm, digest(bits), ofData).isValid(), name);
            }
            ofData[7] ^= 1;
            for (CryptographyClient client : clients) {
                assertFalse(client.verify(algorithm, digest(bits), ofData).isValid(), name);
            }
        }
    }

    @Test
    void whatOneClientSignsWithRsaTheOtherVerifies() throws Exception {
        KeyVaultKey made = rsa();
        for (int bits : new int[] {256, 384, 512}) {
            assertSignaturesFit(made, "RS" + bits, bits);
            assertSignaturesFit(made, "PS" + bits, bits);
        }
    }

    @ParameterizedTest
    @CsvSource({"P-256, ES256, 256", "P-384, ES384, 384", "P-521, ES512, 512", "P-256K, ES256K, 256"})
    void whatOneClientSignsOnACurveTheOtherVerifies(String curve, String algorithm, int bits) throws Exception {
        assertSignaturesFit(
                KEYS.createEcKey(new CreateEcKeyOptions(newName("ec")).setCurveName(KeyCurveName.fromString(curve))),
                algorithm,
                bits);
    }

    @Test
    void anExpiredKeyOpensAndVerifiesWhatItClosedAndSigned() throws Exception {
        KeyVaultKey made = rsa();
        CryptographyClient client = cryptographyAs(made, LIMITED);
        byte[] sealed = client.encrypt(EncryptionAlgorithm.RSA_OAEP, PLAIN).getCipherText();
        byte[] wrapped = client.wrapKey(KeyWrapAlgorithm.RSA_OAEP, PLAIN).getEncryptedKey();
        byte[] signature = client.sign(SignatureAlgorithm.RS256, digest(256)).getSignature();
        OffsetDateTime now = OffsetDateTime.now(ZoneOffset.UTC);
        // A call that names no operations takes them all away.
        KEYS.updateKeyProperties(
                made.getProperties().setNotBefore(now.minusDays(2)).setExpiresOn(now.minusDays(1)),
                made.getKeyOperations().toArray(KeyOperation[]::new));
        assertArrayEquals(PLAIN, client.decrypt(EncryptionAlgorithm.RSA_OAEP, sealed).getPlainText());
        assertArrayEquals(PLAIN, client.unwrapKey(KeyWrapAlgorithm.RSA_OAEP, wrapped).getKey());
        assertTrue(client.verify(SignatureAlgorithm.RS256, digest(256), signature).isValid());
        rejects(403, "Forbidden", "KeyExpired", () -> client.encrypt(EncryptionAlgorithm.RSA_OAEP, PLAIN));
        rejects(403, "Forbidden", "KeyExpired", () -> client.wrapKey(KeyWrapAlgorithm.RSA_OAEP, PLAIN));
        rejects(403, "Forbidden", "KeyExpired", () -> client.sign(SignatureAlgorithm.RS256, digest(256)));
    }
}
