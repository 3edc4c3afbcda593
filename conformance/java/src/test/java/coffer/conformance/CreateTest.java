package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.URL;
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
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coffer.conformance.Vault.Exchange;
import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateKeyUsage;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificatePolicyAction;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.CreateCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificate;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.certificates.models.LifetimeAction;
import com.azure.security.keyvault.certificates.models.SubjectAlternativeNames;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.security.interfaces.RSAPublicKey;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Creating certificates that the vault signs itself (contract certificates.md, 8.1, 10 and 16.2). */
class CreateTest {

    @Test
    void aCreateIsAcceptedAsAnOperationInProgress() {
        String name = newName("accepted");
        create(name, new CertificatePolicy("Self", "CN=www.example.net"));
        Exchange answer = answer("POST", "/certificates/" + name + "/create");
        assertEquals(202, answer.status());
        Map<String, Object> body = answer.body();
        assertEquals(URL + "/certificates/" + name + "/pending", body.get("id"));
        assertEquals(Map.of("name", "Self"), body.get("issuer"));
        assertEquals("inProgress", body.get("status"));
        assertFalse(((String) body.get("status_details")).isEmpty());
        assertEquals(false, body.get("cancellation_requested"));
        String requestId = (String) body.get("request_id");
        assertTrue(requestId.matches("[0-9a-f]{32}"));
        assertFalse(body.containsKey("error"));
        assertTrue(OpenSsl.verifyRequest(Base64.getDecoder().decode((String) body.get("csr"))).contains("CN = www.example.net"));
        assertTrue(answer.header("Location").startsWith(body.get("id") + "?api-version="));
        assertTrue(answer.header("Location").endsWith("&request_id=" + requestId));
        assertEquals("10", answer.header("Retry-After"));
    }

    @Test
    void aSelfSignedRsaCertificateIsWhatThePolicySays() throws Exception {
        String name = newName("self-rsa");
        KeyVaultCertificateWithPolicy made =
                create(name, new CertificatePolicy("Self", "CN=www.example.net"), Map.of("env", "prod"));
        X509Certificate x509 = OpenSsl.parse(made.getCer());
        assertEquals("CN=www.example.net", x509.getSubjectX500Principal().getName());
        assertEquals(x509.getSubjectX500Principal(), x509.getIssuerX500Principal());
        x509.verify(x509.getPublicKey());
        assertEquals(-1, x509.getBasicConstraints(), "no authority");
        assertEquals(2048, ((RSAPublicKey) x509.getPublicKey()).getModulus().bitLength());
        assertTrue(x509.getSerialNumber().signum() > 0 && x509.getSerialNumber().bitLength() <= 128);

        CertificateProperties properties = made.getProperties();
        assertArrayEquals(MessageDigest.getInstance("SHA-1").digest(made.getCer()), properties.getX509Thumbprint());
        assertEquals(x509.getNotBefore().toInstant(), properties.getNotBefore().toInstant());
        assertEquals(x509.getNotAfter().toInstant(), properties.getExpiresOn().toInstant());
        // The certificate starts ten minutes before it was issued, or a second more (contract 10.2).
        long lead = Duration.between(properties.getNotBefore(), properties.getCreatedOn()).toSeconds();
        assertTrue(lead == 600 || lead == 601, lead + " seconds");
        OffsetDateTime end = properties.getCreatedOn().plusMonths(12);
        long off = Duration.between(properties.getExpiresOn(), end).toSeconds();
        assertTrue(off == 0 || off == 1, off + " seconds off");
        assertEquals(properties.getCreatedOn(), properties.getUpdatedOn());

        assertEquals(name, made.getName());
        String version = properties.getVersion();
        assertTrue(version.matches("[0-9a-f]{32}"));
        assertEquals(URL + "/keys/" + name + "/" + version, made.getKeyId());
        assertEquals(URL + "/secrets/" + name + "/" + version, made.getSecretId());
        assertTrue(properties.isEnabled());
        assertEquals(Map.of("env", "prod"), properties.getTags());
        assertTrue(properties.getRecoverableDays() >= 7 && properties.getRecoverableDays() <= 90);

        CertificatePolicy policy = made.getPolicy();
        assertEquals("Self", policy.getIssuerName());
        assertTrue(policy.isExportable());
        assertFalse(policy.isKeyReusable());
        assertEquals(CertificateContentType.PKCS12, policy.getContentType());
        assertEquals(List.of("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"), policy.getEnhancedKeyUsage());
        assertEquals(
                List.of(CertificateKeyUsage.DIGITAL_SIGNATURE, CertificateKeyUsage.KEY_ENCIPHERMENT),
                policy.getKeyUsage());
        assertEquals(12, policy.getValidityInMonths());
        assertEquals(1, policy.getLifetimeActions().size());
        assertEquals(80, policy.getLifetimeActions().get(0).getLifetimePercentage());
        assertEquals(CertificatePolicyAction.AUTO_RENEW, policy.getLifetimeActions().get(0).getAction());
    }

    @ParameterizedTest
    @CsvSource({"P-256, 256, ecdsa-with-SHA256", "P-384, 384, ecdsa-with-SHA384", "P-521, 521, ecdsa-with-SHA512"})
    void aSelfSignedCertificateOnEachCurve(String curve, int size, String algorithm) throws Exception {
        KeyVaultCertificateWithPolicy made = create(
                newName("self-ec"), self().setKeyCurveName(CertificateKeyCurveName.fromString(curve)));
        X509Certificate x509 = OpenSsl.parse(made.getCer());
        x509.verify(x509.getPublicKey());
        String text = OpenSsl.text(x509);
        assertTrue(text.contains("NIST CURVE: " + curve), text);
        assertTrue(text.contains("Signature Algorithm: " + algorithm), text);
        assertEquals(size, made.getPolicy().getKeySize());
        assertEquals(curve, made.getPolicy().getKeyCurveName().toString());
    }

    @Test
    void everyNameAndUsageOfThePolicyReachesTheCertificate() throws Exception {
        SubjectAlternativeNames names = new SubjectAlternativeNames()
                .setEmails(List.of("a@example.net"))
                .setDnsNames(List.of("www.example.net", "*.example.org"))
                .setUserPrincipalNames(List.of("u@example.net"));
        KeyVaultCertificateWithPolicy made = create(newName("profile"),
                new CertificatePolicy("Self", "CN=Profile, O=Coffer, C=US", names)
                        .setKeyType(CertificateKeyType.EC)
                        .setKeyUsage(CertificateKeyUsage.DIGITAL_SIGNATURE, CertificateKeyUsage.KEY_AGREEMENT)
                        .setEnhancedKeyUsage(List.of("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"))
                        .setValidityInMonths(5));
        X509Certificate x509 = OpenSsl.parse(made.getCer());
        // RFC 2253 writes the last RDN first, as the policy does (contract 10.3).
        assertEquals("CN=Profile,O=Coffer,C=US", x509.getSubjectX500Principal().getName());
        assertEquals(List.of("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"), x509.getExtendedKeyUsage());
        boolean[] usage = x509.getKeyUsage();
        assertTrue(usage[0] && usage[4], "digitalSignature and keyAgreement");
        assertFalse(usage[1] || usage[2] || usage[3] || usage[5] || usage[6]);
        // rfc822Name is 1 and dNSName 2 in RFC 5280, 4.2.1.6; otherName is 0.
        Set<Object> found = x509.getSubjectAlternativeNames().stream()
                .filter(n -> !n.get(0).equals(0))
                .map(n -> n.get(0) + ":" + n.get(1))
                .collect(Collectors.toSet());
        assertEquals(Set.of("1:a@example.net", "2:www.example.net", "2:*.example.org"), found);
        assertTrue(OpenSsl.text(x509).contains("u@example.net"));
        SubjectAlternativeNames echoed = made.getPolicy().getSubjectAlternativeNames();
        assertEquals(names.getEmails(), echoed.getEmails());
        assertEquals(names.getDnsNames(), echoed.getDnsNames());
        assertEquals(names.getUserPrincipalNames(), echoed.getUserPrincipalNames());
    }

    @Test
    void aCertificateWithoutASubjectIsNamedByItsFirstName() throws Exception {
        SubjectAlternativeNames names = new SubjectAlternativeNames().setDnsNames(List.of("www.example.net", "example.net"));
        KeyVaultCertificateWithPolicy made =
                create(newName("nameless"), new CertificatePolicy("Self", names).setKeyType(CertificateKeyType.EC));
        // Java refuses a certificate whose issuer is empty (contract, question 44).
        X509Certificate x509 = OpenSsl.parse(made.getCer());
        assertEquals("CN=www.example.net", x509.getSubjectX500Principal().getName());
        assertEquals(x509.getSubjectX500Principal(), x509.getIssuerX500Principal());
        assertNull(made.getPolicy().getSubject());
    }

    @Test
    void aPolicyComesBackAsItWasSent() {
        String name = newName("echo");
        CertificatePolicy policy = new CertificatePolicy(
                        "Unknown", "cn=MyCert", new SubjectAlternativeNames().setDnsNames(List.of("sdk.azure-int.net")))
                .setCertificateType("OV-SSL")
                .setCertificateTransparent(false)
                .setContentType(CertificateContentType.PEM)
                .setKeyType(CertificateKeyType.RSA)
                .setKeySize(3072)
                .setExportable(true)
                .setKeyReusable(true)
                .setKeyUsage(
                        CertificateKeyUsage.CRL_SIGN,
                        CertificateKeyUsage.DATA_ENCIPHERMENT,
                        CertificateKeyUsage.DIGITAL_SIGNATURE,
                        CertificateKeyUsage.KEY_AGREEMENT,
                        CertificateKeyUsage.KEY_CERT_SIGN,
                        CertificateKeyUsage.KEY_ENCIPHERMENT)
                .setEnhancedKeyUsage(List.of("1.3.6.1.5.5.7.3.1"))
                .setValidityInMonths(24)
                .setLifetimeActions(new LifetimeAction(CertificatePolicyAction.EMAIL_CONTACTS).setDaysBeforeExpiry(30));
        begin(name, policy);
        CERTIFICATES.getCertificatePolicy(name);
        @SuppressWarnings("unchecked")
        Map<String, Object> sent =
                (Map<String, Object>) answer("POST", "/certificates/" + name + "/create").sent().get("policy");
        Exchange got = answer("GET", "/certificates/" + name + "/policy");
        got.object("x509_props").remove("basic_constraints");
        for (String part : List.of("key_props", "secret_props", "x509_props", "lifetime_actions", "issuer")) {
            assertEquals(sent.get(part), got.body().get(part), part);
        }
    }

    @Test
    void aFirstCreateLeavesADisabledPlaceholderUntilItIsCompleted() {
        String name = newName("placeholder");
        begin(name, outside());
        KeyVaultCertificateWithPolicy placeholder = CERTIFICATES.getCertificate(name);
        assertFalse(placeholder.getProperties().isEnabled());
        assertEquals("Unknown", placeholder.getPolicy().getIssuerName());
        Map<String, Object> body = answer("GET", "/certificates/" + name).body();
        for (String absent : List.of("kid", "sid", "x5t", "cer")) {
            assertFalse(body.containsKey(absent), absent);
        }
        assertEquals(Map.of("id", URL + "/certificates/" + name + "/pending"), body.get("pending"));
        String version = placeholder.getProperties().getVersion();
        assertEquals(name, CERTIFICATES.getCertificateVersion(name, version).getName());
        assertEquals(0, CERTIFICATES.listPropertiesOfCertificateVersions(name).stream().count());
    }

    @Test
    void threeCreatesOfOneNameAreThreeVersionsAndTheLastIsCurrent() {
        String name = newName("three");
        List<KeyVaultCertificateWithPolicy> made = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            made.add(create(name, self(), i == 0 ? Map.of("kept", "yes") : null));
        }
        List<String> expected = made.stream().map(m -> m.getProperties().getVersion()).toList();
        assertEquals(expected, CERTIFICATES.listPropertiesOfCertificateVersions(name).stream()
                .map(CertificateProperties::getVersion)
                .toList());
        KeyVaultCertificateWithPolicy current = CERTIFICATES.getCertificate(name);
        assertEquals(expected.get(2), current.getProperties().getVersion());
        assertEquals(Map.of("kept", "yes"), current.getProperties().getTags());
        KeyVaultCertificate first = CERTIFICATES.getCertificateVersion(name, expected.get(0));
        assertArrayEquals(made.get(0).getCer(), first.getCer());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void reuseKeyDecidesWhetherTheNextVersionHasTheSameKey(boolean reuse) {
        String name = newName("reuse");
        KeyVaultCertificateWithPolicy one = create(name, self().setKeyReusable(reuse));
        KeyVaultCertificateWithPolicy two = create(name, self().setKeyReusable(reuse));
        assertEquals(
                reuse,
                OpenSsl.parse(one.getCer()).getPublicKey().equals(OpenSsl.parse(two.getCer()).getPublicKey()));
        assertNotEquals(one.getKeyId(), two.getKeyId());
    }

    @Test
    void enabledAndTheOrderBelongToTheVersionThatTheCreateMakes() {
        String name = newName("options");
        CERTIFICATES
                .beginCreateCertificate(new CreateCertificateOptions(name, self())
                        .setEnabled(false)
                        .setCertificateOrderPreserved(true))
                .setPollInterval(Duration.ofMillis(100))
                .waitForCompletion(Duration.ofSeconds(30));
        KeyVaultCertificateWithPolicy made = CERTIFICATES.getCertificate(name);
        assertFalse(made.getProperties().isEnabled());
        assertEquals(true, made.isCertificateOrderPreserved());
        assertEquals(true, answer("GET", "/certificates/" + name + "/pending").body().get("preserveCertOrder"));
    }

    @Test
    void aPolicyThatTheRulesForbidIsRefusedAndNothingIsStored() {
        String name = newName("bad");
        assertEquals(
                "Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n",
                rejects(400, "BadParameter", () -> begin(name, self().setSubject("not a name"))));
        for (CertificatePolicy policy : List.of(
                self().setKeyCurveName(CertificateKeyCurveName.fromString("P-1")),
                self().setKeyType(CertificateKeyType.RSA).setKeySize(1024),
                self().setContentType(CertificateContentType.fromString("text/plain")),
                self().setValidityInMonths(0),
                self().setEnhancedKeyUsage(List.of("server")),
                self().setLifetimeActions(
                        new LifetimeAction(CertificatePolicyAction.AUTO_RENEW).setLifetimePercentage(100)))) {
            rejects(400, "BadParameter", () -> begin(name, policy));
        }
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificate(name));
    }

    @Test
    void anIssuerThatNobodyDefinedIsNotFound() {
        rejects(404, "CertificateIssuerNotFound",
                () -> begin(newName("noissuer"), new CertificatePolicy(newName("issuer"), "CN=x")));
    }

    @Test
    void aSecondCreateWaitsForTheFirst() {
        String name = newName("busy");
        begin(name, outside());
        rejects(409, "Conflict", () -> begin(name, outside()));
        assertNull(CERTIFICATES.getCertificate(name).getKeyId());
    }
}
