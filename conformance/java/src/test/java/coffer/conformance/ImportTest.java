package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.SECRETS;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.begin;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.outside;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coffer.conformance.OpenSsl.Authority;
import coffer.conformance.OpenSsl.Pair;
import coffer.conformance.Vault.Exchange;
import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificatePolicyAction;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Importing keys with certificates that were made elsewhere (contract certificates.md, 8.2). */
class ImportTest {
    private static final Authority CA = new Authority();

    private static KeyVaultCertificateWithPolicy importPfx(String name, Pair pair) {
        return CERTIFICATES.importCertificate(new ImportCertificateOptions(name, OpenSsl.toPfx(pair, "", false)));
    }

    private static ImportCertificateOptions pem(String name, byte[] material) {
        return new ImportCertificateOptions(name, material)
                .setPolicy(new CertificatePolicy(null, (String) null).setContentType(CertificateContentType.PEM));
    }

    @ParameterizedTest
    @CsvSource({"true, s3cret, false", "true, s3cret, true", "false, s3cret, false", "false, '', false"})
    void aPfxIsImportedAndItsPolicyDerived(boolean rsa, String password, boolean legacy) throws Exception {
        String name = newName("pfx");
        Pair pair = OpenSsl.selfSigned(
                rsa,
                "/CN=outside",
                265,
                "subjectAltName=DNS:www.example.net,email:a@example.net",
                "keyUsage=critical,digitalSignature,keyEncipherment",
                "extendedKeyUsage=serverAuth");
        KeyVaultCertificateWithPolicy got = CERTIFICATES.importCertificate(
                new ImportCertificateOptions(name, OpenSsl.toPfx(pair, password, legacy))
                        .setPassword(password)
                        .setTags(Map.of("from", "outside")));
        assertArrayEquals(OpenSsl.der(pair.certificate()), got.getCer());
        assertEquals(Map.of("from", "outside"), got.getProperties().getTags());
        assertTrue(got.getProperties().isEnabled());
        assertEquals(
                pair.certificate().getNotAfter().toInstant(),
                got.getProperties().getExpiresOn().toInstant());

        Exchange answer = answer("POST", "/certificates/" + name + "/import");
        assertEquals(200, answer.status());
        assertFalse(answer.body().containsKey("pending"));
        Map<String, Object> policy = answer.object("policy");
        assertEquals(
                rsa
                        ? Map.of("exportable", true, "reuse_key", false, "kty", "RSA", "key_size", 2048)
                        : Map.of("exportable", true, "reuse_key", false, "kty", "EC", "key_size", 256, "crv", "P-256"),
                policy.get("key_props"));
        assertEquals(
                Map.of(
                        "subject", "CN=outside",
                        "sans", Map.of(
                                "emails", List.of("a@example.net"),
                                "dns_names", List.of("www.example.net"),
                                "upns", List.of()),
                        "ekus", List.of("1.3.6.1.5.5.7.3.1"),
                        "key_usage", List.of("digitalSignature", "keyEncipherment"),
                        "validity_months", 9,
                        "basic_constraints", Map.of("ca", false)),
                policy.get("x509_props"));
        assertEquals("Unknown", got.getPolicy().getIssuerName());
        assertEquals(CertificatePolicyAction.EMAIL_CONTACTS, got.getPolicy().getLifetimeActions().get(0).getAction());

        Opened opened = Opened.pfx(SECRETS.getSecret(name).getValue());
        opened.assertHolds(pair.certificate());
        opened.assertKeyIsOfLeaf();
    }

    @Test
    void aPemIsImportedWithItsChain() throws Exception {
        String name = newName("pem");
        Pair pair = CA.issue("/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd");
        KeyVaultCertificateWithPolicy got =
                CERTIFICATES.importCertificate(pem(name, OpenSsl.toPem(pair, CA.intermediate, CA.root)));
        assertArrayEquals(OpenSsl.der(pair.certificate()), got.getCer());
        assertEquals("O=Internet Widgits Pty Ltd, S=Some-State, C=AU", got.getPolicy().getSubject());
        assertEquals(CertificateContentType.PEM, got.getPolicy().getContentType());
        Opened opened = Opened.pem(SECRETS.getSecret(name).getValue());
        opened.assertHolds(pair.certificate(), CA.intermediate, CA.root);
        opened.assertKeyIsOfLeaf();
    }

    @Test
    void theSecretOfACertificateCanBeImportedAgain() {
        String source = newName("source");
        KeyVaultCertificateWithPolicy made = create(source, self());
        byte[] pfx = Base64.getDecoder().decode(SECRETS.getSecret(source).getValue());
        assertArrayEquals(made.getCer(),
                CERTIFICATES.importCertificate(new ImportCertificateOptions(newName("again"), pfx)).getCer());

        String asPem = newName("source-pem");
        KeyVaultCertificateWithPolicy madePem = create(asPem, self().setContentType(CertificateContentType.PEM));
        byte[] text = SECRETS.getSecret(asPem).getValue().getBytes(StandardCharsets.US_ASCII);
        assertArrayEquals(
                madePem.getCer(), CERTIFICATES.importCertificate(pem(newName("again-pem"), text)).getCer());
    }

    @Test
    void anImportCanBeDisabledFromTheStart() {
        String name = newName("disabled");
        KeyVaultCertificateWithPolicy got = CERTIFICATES.importCertificate(
                new ImportCertificateOptions(name, OpenSsl.toPfx(OpenSsl.selfSigned(), "", false)).setEnabled(false));
        assertFalse(got.getProperties().isEnabled());
        assertNotNull(got.getKeyId());
        assertNotNull(got.getSecretId());
        rejects(403, "Forbidden", "SecretDisabled", () -> SECRETS.getSecret(name));
    }

    @Test
    void aPolicySentAlongIsMergedWithWhatTheMaterialSays() {
        String name = newName("policy");
        byte[] pfx = OpenSsl.toPfx(OpenSsl.selfSigned(), "", false);
        KeyVaultCertificateWithPolicy got = CERTIFICATES.importCertificate(new ImportCertificateOptions(name, pfx)
                .setPolicy(new CertificatePolicy("Self", (String) null).setExportable(false)));
        assertEquals("Self", got.getPolicy().getIssuerName());
        assertFalse(got.getPolicy().isExportable());
        assertEquals(CertificateKeyCurveName.P_256, got.getPolicy().getKeyCurveName());
        assertEquals(CertificatePolicyAction.AUTO_RENEW, got.getPolicy().getLifetimeActions().get(0).getAction());
        String held = OpenSsl.certificatesIn(Base64.getDecoder().decode(SECRETS.getSecret(name).getValue()));
        assertFalse(held.contains("PRIVATE KEY"));
        assertEquals(
                "Property policy has invalid value\r\npolicy.key_props.kty contradicts the certificate.\r\n",
                rejects(400, "BadParameter", () -> CERTIFICATES.importCertificate(
                        new ImportCertificateOptions(newName("wrong"), pfx)
                                .setPolicy(new CertificatePolicy(null, (String) null)
                                        .setKeyType(CertificateKeyType.RSA)))));
    }

    @Test
    void anImportOnAnExistingNameIsItsNextVersion() {
        String name = newName("next");
        create(name, self());
        KeyVaultCertificateWithPolicy got = importPfx(name, OpenSsl.selfSigned());
        assertEquals(got.getId(), CERTIFICATES.getCertificate(name).getId());
        assertEquals(2, CERTIFICATES.listPropertiesOfCertificateVersions(name).stream().count());
    }

    @Test
    void anImportWaitsForAnOperationInProgress() {
        String name = newName("busy");
        begin(name, outside());
        rejects(409, "Conflict", () -> importPfx(name, OpenSsl.selfSigned()));
    }

    @Test
    void whatCannotBeReadIsRefused() {
        String name = newName("refused");
        String unreadable = "The specified PKCS#12 X.509 certificate content can not be read. Please check if"
                + " certificate is in valid PKCS#12 format.";
        byte[] locked = OpenSsl.toPfx(OpenSsl.selfSigned(), "right", false);
        assertEquals(unreadable + " The password does not open it, or it is damaged.", rejects(400, "BadParameter", () -> CERTIFICATES.importCertificate(
                new ImportCertificateOptions(name, locked).setPassword("wrong"))));
        assertEquals(unreadable + " It is not PKCS#12: truncated.", rejects(400, "BadParameter", () -> CERTIFICATES.importCertificate(
                new ImportCertificateOptions(name, "no certificate".getBytes(StandardCharsets.US_ASCII)))));
        byte[] keyless = OpenSsl.pem(OpenSsl.selfSigned().certificate()).getBytes(StandardCharsets.US_ASCII);
        assertEquals(
                "Private key is not specified in the specified X.509 PEM certificate content. Please specify private"
                        + " key in the X.509 PEM certificate content.",
                rejects(400, "BadParameter", () -> CERTIFICATES.importCertificate(pem(name, keyless))));
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificate(name));
    }
}
