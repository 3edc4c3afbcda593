package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.SECRETS;
import static coffer.conformance.Vault.URL;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.begin;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.outside;
import static coffer.conformance.Vault.rejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coffer.conformance.OpenSsl.Authority;
import coffer.conformance.Vault.Exchange;
import com.azure.security.keyvault.certificates.models.CertificateContentType;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.certificates.models.MergeCertificateOptions;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Certificates that an authority outside the vault signs (contract certificates.md, 8.7 and 11). */
class MergeTest {
    private static final Authority CA = new Authority();

    /** Begins a certificate of this name and returns the DER request. */
    private static byte[] request(String name, CertificatePolicy policy) {
        begin(name, policy);
        return Base64.getDecoder()
                .decode((String) answer("POST", "/certificates/" + name + "/create").body().get("csr"));
    }

    /** Merges, and says that the version is enabled: the options of this SDK send false when nothing is said. */
    private static KeyVaultCertificateWithPolicy merge(String name, X509Certificate... certificates) {
        List<byte[]> elements = Arrays.stream(certificates).map(OpenSsl::der).toList();
        return CERTIFICATES.mergeCertificate(new MergeCertificateOptions(name, elements).setEnabled(true));
    }

    @Test
    void theRequestOfAnUnknownIssuerWaitsVerifiesAndIsMergedWithItsChain() throws Exception {
        String name = newName("merge");
        byte[] csr = request(name, outside());
        assertEquals(
                "Pending certificate created. Please Perform Merge to complete the request.",
                answer("POST", "/certificates/" + name + "/create").body().get("status_details"));
        OpenSsl.verifyRequest(csr);
        String placeholder = CERTIFICATES.getCertificate(name).getProperties().getVersion();

        X509Certificate leaf = CA.sign(csr);
        KeyVaultCertificateWithPolicy merged = merge(name, leaf, CA.intermediate, CA.root);
        assertArrayEquals(OpenSsl.der(leaf), merged.getCer());
        assertEquals(leaf.getNotAfter().toInstant(), merged.getProperties().getExpiresOn().toInstant());
        assertEquals(leaf.getNotBefore().toInstant(), merged.getProperties().getNotBefore().toInstant());
        assertTrue(merged.getProperties().isEnabled());
        assertEquals(12, merged.getPolicy().getValidityInMonths());
        assertNotEquals(placeholder, merged.getProperties().getVersion());

        Exchange answer = answer("POST", "/certificates/" + name + "/pending/merge");
        assertEquals(201, answer.status());
        assertTrue(answer.header("Location").startsWith(URL + "/certificates/" + name + "?api-version="));
        assertEquals(merged.getId(), CERTIFICATES.getCertificate(name).getId());
        CERTIFICATES.getCertificateOperation(name).poll();
        Map<String, Object> operation = answer("GET", "/certificates/" + name + "/pending").body();
        assertEquals("completed", operation.get("status"));
        assertEquals(URL + "/certificates/" + name, operation.get("target"));
        assertFalse(operation.containsKey("status_details"));

        Opened opened = Opened.pfx(SECRETS.getSecret(name).getValue());
        opened.assertHolds(leaf, CA.intermediate, CA.root);
        opened.assertKeyIsOfLeaf();
    }

    @Test
    void theLeafIsFoundWhereverItStandsAndTheChainIsPutInOrder() throws Exception {
        String name = newName("shuffled");
        X509Certificate leaf = CA.sign(request(name, outside().setContentType(CertificateContentType.PEM)));
        assertArrayEquals(OpenSsl.der(leaf), merge(name, CA.root, leaf, CA.intermediate).getCer());
        Opened opened = Opened.pem(SECRETS.getSecret(name).getValue());
        opened.assertHolds(leaf, CA.intermediate, CA.root);
        opened.assertKeyIsOfLeaf();
    }

    @Test
    void aCertificateOfAnotherKeyIsRefusedAndTheRightOneIsStillWelcome() {
        String name = newName("mismatch");
        byte[] csr = request(name, outside());
        assertEquals(
                "The public key of the end-entity certificate in the specified X.509 certificate content does not"
                        + " match the public part of the specified private key. Please check if certificate is valid.",
                rejects(400, "BadParameter", () -> merge(name, CA.issue("/CN=other").certificate())));
        assertEquals(name, merge(name, CA.sign(csr)).getName());
    }

    @Test
    void whatIsNoCertificateIsRefused() {
        String name = newName("garbage");
        request(name, outside());
        byte[] garbage = "no certificate".getBytes(StandardCharsets.US_ASCII);
        rejects(400, "BadParameter",
                () -> CERTIFICATES.mergeCertificate(new MergeCertificateOptions(name, List.of(garbage))));
    }

    @Test
    void aMergeNeedsAnOperationAndOneThatIsNotFinished() {
        String nobody = newName("nothing");
        rejects(404, "PendingCertificateNotFound", () -> merge(nobody, CA.issue("/CN=other").certificate()));
        String name = newName("finished");
        X509Certificate leaf = CA.sign(request(name, outside()));
        merge(name, leaf);
        rejects(403, "Forbidden", () -> merge(name, leaf));
    }

    @Test
    void theCurrentVersionStaysAsItIsUntilTheNextOneIsMerged() {
        String name = newName("renewed");
        KeyVaultCertificateWithPolicy first = merge(name, CA.sign(request(name, outside())));
        byte[] csr = request(name, outside());
        assertArrayEquals(first.getCer(), CERTIFICATES.getCertificate(name).getCer());
        KeyVaultCertificateWithPolicy second = merge(name, CA.sign(csr));
        assertEquals(
                List.of(first.getProperties().getVersion(), second.getProperties().getVersion()),
                CERTIFICATES.listPropertiesOfCertificateVersions(name).stream()
                        .map(CertificateProperties::getVersion)
                        .toList());
    }
}
