package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.KEYS;
import static coffer.conformance.Vault.SECRETS;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.keys.models.JsonWebKey;
import com.azure.security.keyvault.keys.models.KeyOperation;
import com.azure.security.keyvault.keys.models.KeyVaultKey;
import com.azure.security.keyvault.secrets.models.KeyVaultSecret;
import com.azure.security.keyvault.secrets.models.SecretProperties;
import java.security.PublicKey;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The secret and the key of a certificate (contract certificates.md, 7 and 13.1; secrets.md, 6). */
class SecretTest {

    @ParameterizedTest
    @ValueSource(strings = {"RSA", "EC"})
    void thePfxHoldsTheCertificateAndItsKey(String type) throws Exception {
        String name = newName("pfx");
        KeyVaultCertificateWithPolicy made = create(name, self().setKeyType(CertificateKeyType.fromString(type)));
        KeyVaultSecret secret = SECRETS.getSecret(name);
        SecretProperties properties = secret.getProperties();
        CertificateProperties mirrored = made.getProperties();
        assertEquals(made.getSecretId(), secret.getId());
        assertEquals("application/x-pkcs12", properties.getContentType());
        assertTrue(properties.isManaged());
        assertEquals(made.getKeyId(), properties.getKeyId());
        assertEquals(mirrored.isEnabled(), properties.isEnabled());
        assertEquals(mirrored.getNotBefore(), properties.getNotBefore());
        assertEquals(mirrored.getExpiresOn(), properties.getExpiresOn());
        assertEquals(mirrored.getCreatedOn(), properties.getCreatedOn());
        assertEquals(mirrored.getUpdatedOn(), properties.getUpdatedOn());
        Opened opened = Opened.pfx(secret.getValue());
        assertEquals(1, opened.certificates().size());
        assertArrayEquals(made.getCer(), opened.certificates().get(0).getEncoded());
        opened.assertKeyIsOfLeaf();
        assertEquals(secret.getValue(), SECRETS.getSecret(name, mirrored.getVersion()).getValue());
    }

    @ParameterizedTest
    @ValueSource(strings = {"RSA", "EC"})
    void thePemHoldsTheCertificateAndItsKey(String type) throws Exception {
        String name = newName("pem");
        KeyVaultCertificateWithPolicy made = create(name,
                self().setKeyType(CertificateKeyType.fromString(type)).setContentType(CertificateContentType.PEM));
        KeyVaultSecret secret = SECRETS.getSecret(name);
        assertEquals("application/x-pem-file", secret.getProperties().getContentType());
        Opened opened = Opened.pem(secret.getValue());
        assertArrayEquals(made.getCer(), opened.certificates().get(0).getEncoded());
        opened.assertKeyIsOfLeaf();
    }

    @Test
    void aKeyThatIsNotExportableStaysInTheVault() throws Exception {
        String pem = newName("locked-pem");
        KeyVaultCertificateWithPolicy made =
                create(pem, self().setContentType(CertificateContentType.PEM).setExportable(false));
        Opened opened = Opened.pem(SECRETS.getSecret(pem).getValue());
        assertEquals(null, opened.key());
        assertArrayEquals(made.getCer(), opened.certificates().get(0).getEncoded());

        String pfx = newName("locked-pfx");
        made = create(pfx, self().setExportable(false));
        String held = OpenSsl.certificatesIn(Base64.getDecoder().decode(SECRETS.getSecret(pfx).getValue()));
        assertFalse(held.contains("PRIVATE KEY"));
        assertTrue(held.contains(OpenSsl.pem(OpenSsl.parse(made.getCer()))));
    }

    @Test
    void theRsaKeyOfACertificateIsItsPublicHalf() throws Exception {
        KeyVaultKey key = keyIsPublicHalf(CertificateKeyType.RSA, k -> k.toRsa().getPublic());
        assertEquals(
                List.of(KeyOperation.SIGN, KeyOperation.VERIFY, KeyOperation.WRAP_KEY, KeyOperation.UNWRAP_KEY),
                key.getKeyOperations());
    }

    @Test
    void theEcKeyOfACertificateIsItsPublicHalf() throws Exception {
        KeyVaultKey key = keyIsPublicHalf(CertificateKeyType.EC, k -> k.toEc().getPublic());
        assertEquals(List.of(KeyOperation.SIGN, KeyOperation.VERIFY), key.getKeyOperations());
    }

    private static KeyVaultKey keyIsPublicHalf(CertificateKeyType type, Function<JsonWebKey, PublicKey> publicHalf)
            throws Exception {
        String name = newName("key");
        KeyVaultCertificateWithPolicy made = create(name, self().setKeyType(type).setExportable(false));
        KeyVaultKey key = KEYS.getKey(name);
        assertEquals(made.getKeyId(), key.getId());
        assertTrue(key.getProperties().isManaged());
        // The private members of RFC 7518, sections 6.2.2, 6.3.2 and 6.4.
        for (String secret : List.of("d", "p", "q", "dp", "dq", "qi", "oth", "k")) {
            assertFalse(answer("GET", "/keys/" + name).object("key").containsKey(secret), secret);
        }
        assertArrayEquals(
                OpenSsl.parse(made.getCer()).getPublicKey().getEncoded(),
                publicHalf.apply(key.getKey()).getEncoded());
        return key;
    }

    @Test
    void aDisabledCertificateKeepsItsSecretToItselfUntilItIsEnabledAgain() {
        String name = newName("disabled");
        CertificateProperties properties = create(name, self()).getProperties();
        CERTIFICATES.updateCertificateProperties(properties.setEnabled(false));
        assertEquals(
                "Operation get is not allowed on a disabled secret.",
                rejects(403, "Forbidden", "SecretDisabled", () -> SECRETS.getSecret(name)));
        assertFalse(KEYS.getKey(name).getProperties().isEnabled());
        CERTIFICATES.updateCertificateProperties(properties.setEnabled(true));
        assertNotNull(SECRETS.getSecret(name).getValue());
    }

    @Test
    void theKeyAndTheSecretAreChangedThroughTheirCertificateOnly() {
        String name = newName("managed");
        create(name, self());
        SecretProperties properties = SECRETS.getSecret(name).getProperties();
        rejects(403, "Forbidden", "SecretManagedByKeyVault", () -> SECRETS.setSecret(name, "x"));
        rejects(403, "Forbidden", "SecretManagedByKeyVault",
                () -> SECRETS.updateSecretProperties(properties.setEnabled(false)));
        rejects(403, "Forbidden", "SecretManagedByKeyVault", () -> SECRETS.beginDeleteSecret(name).poll());
        rejects(403, "Forbidden", "KeyManagedByKeyVault", () -> KEYS.beginDeleteKey(name).poll());
        assertNotNull(SECRETS.getSecret(name).getValue());
    }

    @Test
    void theKeyAndTheSecretAreListedAsManagedWithEveryVersion() {
        String name = newName("listed");
        Set<String> made = Set.of(
                create(name, self()).getProperties().getVersion(), create(name, self()).getProperties().getVersion());
        SecretProperties secret = SECRETS.listPropertiesOfSecrets().stream()
                .filter(s -> s.getName().equals(name))
                .findFirst()
                .orElseThrow();
        assertTrue(secret.isManaged());
        assertEquals("application/x-pkcs12", secret.getContentType());
        assertTrue(KEYS.listPropertiesOfKeys().stream()
                .anyMatch(k -> k.getName().equals(name) && k.isManaged()));
        assertEquals(made, SECRETS.listPropertiesOfSecretVersions(name).stream()
                .map(SecretProperties::getVersion)
                .collect(Collectors.toSet()));
        assertEquals(made, KEYS.listPropertiesOfKeyVersions(name).stream()
                .map(k -> k.getVersion())
                .collect(Collectors.toSet()));
    }
}
