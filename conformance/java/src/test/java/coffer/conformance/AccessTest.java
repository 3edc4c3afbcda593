package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.LIMITED;
import static coffer.conformance.Vault.answers;
import static coffer.conformance.Vault.application;
import static coffer.conformance.Vault.certificatesAs;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.outside;
import static coffer.conformance.Vault.purge;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.secretsAs;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coffer.conformance.Vault.Exchange;
import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.identity.EnvironmentCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.models.CertificateContact;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.MergeCertificateOptions;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import reactor.core.publisher.Mono;

/** Who may ask, and what unauthenticated callers are told (identity contract 3 to 6; certificates.md, 2.5, 2.9 and 15). */
class AccessTest {

    @Test
    void environmentCredentialNeedsNothingButTheEnvironment() {
        certificatesAs(new EnvironmentCredentialBuilder().build()).listPropertiesOfCertificates().stream().findFirst();
    }

    @Test
    void managedIdentityCredentialNeedsNothingButTheEnvironment() {
        certificatesAs(new ManagedIdentityCredentialBuilder().build())
                .listPropertiesOfCertificates().stream().findFirst();
    }

    @Test
    void aTokenThatIsNoneIsUnauthorized() {
        CertificateClient client = certificatesAs(
                context -> Mono.just(new AccessToken("garbage", OffsetDateTime.now().plusHours(1))));
        String message = rejects(401, "Unauthorized", () -> client.getCertificate(newName("nobody")));
        assertTrue(message.matches("(?s)AKV100\\d\\d: .*"), message);
        assertFalse(message.contains("garbage"), "the token is not repeated");
    }

    @Test
    void aWrongSecretGetsNoToken() {
        CertificateClient client = certificatesAs(application(System.getenv("AZURE_CLIENT_ID"), "wrong-secret"));
        // Not every version of the library wraps this as a ClientAuthenticationException.
        RuntimeException e = assertThrows(RuntimeException.class, () -> client.getCertificate(newName("nobody")));
        assertTrue(e.getMessage().contains("AADSTS7000215"), e.getMessage());
        assertFalse(e.getMessage().contains("wrong-secret"), "the secret is not repeated");
    }

    @Test
    void anApplicationThatMayOnlyListIsRefusedEverythingElseWhetherTheNameExistsOrNot() {
        String name = newName("refused");
        create(name, self());
        CertificateClient client = certificatesAs(LIMITED);
        assertTrue(client.listPropertiesOfCertificates().stream().anyMatch(p -> p.getName().equals(name)));
        assertEquals(1, client.listPropertiesOfCertificateVersions(name).stream().count());

        List<Executable> attempts = new ArrayList<>();
        for (String target : List.of(name, newName("nobody"))) {
            attempts.addAll(List.of(
                    () -> client.getCertificate(target),
                    () -> client.getCertificatePolicy(target),
                    () -> client.getDeletedCertificate(target),
                    () -> client.beginCreateCertificate(target, outside()).poll(),
                    () -> client.importCertificate(new ImportCertificateOptions(target, new byte[] {1})),
                    () -> client.updateCertificatePolicy(target, outside()),
                    () -> client.mergeCertificate(new MergeCertificateOptions(target, List.of(new byte[] {1}))),
                    () -> client.cancelCertificateOperation(target),
                    () -> client.deleteCertificateOperation(target),
                    () -> client.backupCertificate(target),
                    () -> client.beginDeleteCertificate(target).poll(),
                    () -> client.purgeDeletedCertificate(target),
                    () -> client.getIssuer(target),
                    () -> client.createIssuer(new CertificateIssuer(target, "Test")),
                    () -> secretsAs(LIMITED).getSecret(target)));
        }
        attempts.add(() -> client.restoreCertificateBackup(new byte[] {1}));
        attempts.add(() -> client.setContacts(List.of(new CertificateContact().setEmail("a@example.net"))).stream()
                .toList());
        for (Executable attempt : attempts) {
            HttpResponseException e = assertThrows(HttpResponseException.class, attempt);
            assertEquals(403, e.getResponse().getStatusCode(), e.getMessage());
        }
        assertTrue(CERTIFICATES.getCertificate(name).getProperties().isEnabled());
    }

    @Test
    void whatDoesNotExistIsNotFoundAndTheMessageNamesIt() {
        String name = newName("nobody");
        String message = rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificate(name));
        assertTrue(message.startsWith("A certificate with (name/id) " + name + " was not found in this key vault."));
        assertEquals(
                "Deleted Certificate not found: " + name,
                rejects(404, "CertificateNotFound", () -> CERTIFICATES.getDeletedCertificate(name)));
        rejects(404, "CertificateNotFound",
                () -> CERTIFICATES.getCertificateVersion(name, "0123456789abcdef0123456789abcdef"));
    }

    @Test
    void aNameWithALetterThatNamesCannotHaveIsABadParameter() {
        String message = rejects(400, "BadParameter", () -> CERTIFICATES.getCertificate("not_a_name"));
        assertTrue(message.startsWith("The request URI contains an invalid name: not_a_name"), message);
    }

    @Test
    void everyAnswerCarriesTheHeadersOfTheService() {
        String name = newName("headers");
        create(name, self());
        purge(name);
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificate(name));
        List<Exchange> exchanges = new ArrayList<>();
        exchanges.addAll(answers("POST", "/certificates/" + name + "/create"));
        exchanges.addAll(answers("GET", "/certificates/" + name));
        exchanges.addAll(answers("DELETE", "/certificates/" + name));
        exchanges.addAll(answers("DELETE", "/deletedcertificates/" + name));
        assertTrue(exchanges.size() >= 4);
        for (Exchange exchange : exchanges) {
            String where = exchange.method() + " " + exchange.path() + " " + exchange.status();
            for (Map.Entry<String, String> header : Map.of(
                            "Cache-Control", "no-cache",
                            "Pragma", "no-cache",
                            "Expires", "-1",
                            "Strict-Transport-Security", "max-age=31536000;includeSubDomains",
                            "X-Content-Type-Options", "nosniff")
                    .entrySet()) {
                assertEquals(header.getValue(), exchange.header(header.getKey()), where + " " + header.getKey());
            }
            assertNotNull(exchange.header("x-ms-request-id"), where);
            assertNotNull(exchange.header("x-ms-keyvault-region"), where);
            assertNotNull(exchange.header("x-ms-keyvault-service-version"), where);
            assertNotNull(exchange.header("x-ms-keyvault-network-info"), where);
            if (exchange.status() == 204) {
                assertNull(exchange.header("Content-Type"), where);
            } else {
                assertEquals("application/json; charset=utf-8", exchange.header("Content-Type"), where);
            }
        }
    }
}
