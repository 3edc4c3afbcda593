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
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.models.CertificateOperation;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The pending operation: reading, cancelling and deleting it (contract certificates.md, 8.11 and 9). */
class OperationTest {

    @Test
    void aFinishedOperationSaysWhatItMade() {
        String name = newName("completed");
        create(name, self());
        CertificateOperation operation = CERTIFICATES.getCertificateOperation(name).poll().getValue();
        assertEquals("completed", operation.getStatus());
        assertEquals(URL + "/certificates/" + name, operation.getTarget());
        assertEquals("Self", operation.getIssuerName());
        assertFalse(operation.getCancellationRequested());
        Map<String, Object> body = answer("GET", "/certificates/" + name + "/pending").body();
        assertEquals(
                answer("POST", "/certificates/" + name + "/create").body().get("request_id"), body.get("request_id"));
        assertFalse(body.containsKey("status_details") || body.containsKey("error"));
    }

    @Test
    void cancellingARequestToAnOutsideAuthorityIsNoted() {
        String name = newName("cancel");
        begin(name, outside());
        CertificateOperation cancelled = CERTIFICATES.cancelCertificateOperation(name);
        assertTrue(cancelled.getCancellationRequested());
        assertEquals("inProgress", cancelled.getStatus());
        CertificateOperation read = CERTIFICATES.getCertificateOperation(name).poll().getValue();
        assertTrue(read.getCancellationRequested());
        assertEquals("inProgress", read.getStatus());
        assertEquals("10", answer("GET", "/certificates/" + name + "/pending").header("Retry-After"));
        assertEquals(cancelled.getRequestId(), CERTIFICATES.deleteCertificateOperation(name).getRequestId());
    }

    @Test
    void aFinishedOperationCannotBeCancelled() {
        String name = newName("toolate");
        create(name, self());
        assertEquals(
                "Pending status must be in progress to allow update.",
                rejects(403, "Forbidden", () -> CERTIFICATES.cancelCertificateOperation(name)));
    }

    @Test
    void aDeletedOperationIsGoneAndItsPlaceholderStays() {
        String name = newName("abandoned");
        begin(name, outside());
        CERTIFICATES.deleteCertificateOperation(name);
        rejects(404, "PendingCertificateNotFound", () -> CERTIFICATES.deleteCertificateOperation(name));
        rejects(404, "PendingCertificateNotFound", () -> CERTIFICATES.cancelCertificateOperation(name));
        KeyVaultCertificateWithPolicy left = CERTIFICATES.getCertificate(name);
        assertFalse(left.getProperties().isEnabled());
        assertFalse(answer("GET", "/certificates/" + name).body().containsKey("pending"));
        assertNotEquals(left.getId(), create(name, self()).getId());
    }

    @Test
    void theOperationOfAFinishedCertificateCanBeDeletedAndTheCertificateStays() {
        String name = newName("tidied");
        KeyVaultCertificateWithPolicy made = create(name, self());
        assertEquals("completed", CERTIFICATES.deleteCertificateOperation(name).getStatus());
        assertEquals(made.getId(), CERTIFICATES.getCertificate(name).getId());
        assertFalse(answer("GET", "/certificates/" + name).body().containsKey("pending"));
    }
}
