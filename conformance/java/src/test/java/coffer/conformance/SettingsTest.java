package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.URL;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.rejects;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.models.AdministratorContact;
import com.azure.security.keyvault.certificates.models.CertificateContact;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * What belongs to the vault and not to one certificate: contacts and issuers (contract certificates.md, 8.13 and
 * 8.14). The contacts are the vault's only ones, so every step about them is in one test.
 */
class SettingsTest {

    @Test
    void contactsComeBackAsTheyWereSetInTheirOrderUntilTheyAreDeleted() {
        CERTIFICATES
                .setContacts(List.of(
                        new CertificateContact().setEmail("one@example.net").setName("One").setPhone("1111111111"),
                        new CertificateContact().setEmail("two@example.net")))
                .stream()
                .toList();
        List<Object> expected = List.of(
                Map.of("email", "one@example.net", "name", "One", "phone", "1111111111"),
                Map.of("email", "two@example.net"));
        assertEquals(
                Map.of("id", URL + "/certificates/contacts", "contacts", expected),
                answer("PUT", "/certificates/contacts").body());
        assertEquals(
                List.of("one@example.net", "two@example.net"),
                CERTIFICATES.listContacts().stream().map(CertificateContact::getEmail).toList());
        assertEquals(2, CERTIFICATES.deleteContacts().stream().count());
        rejects(404, "ContactsNotFound", () -> CERTIFICATES.listContacts().stream().toList());
        rejects(404, "ContactsNotFound", () -> CERTIFICATES.deleteContacts().stream().toList());
    }

    @Test
    void anIssuerIsSetReadChangedListedAndDeleted() {
        String name = newName("issuer");
        CertificateIssuer set = CERTIFICATES.createIssuer(new CertificateIssuer(name, "Test")
                .setAccountId("keyvaultuser")
                .setPassword("s3cret")
                .setOrganizationId("5678")
                .setAdministratorContacts(List.of(new AdministratorContact()
                        .setFirstName("Ana")
                        .setLastName("Li")
                        .setEmail("ana@example.net")
                        .setPhone("4255550100"))));
        assertEquals(URL + "/certificates/issuers/" + name, set.getId());
        assertEquals("Test", set.getProvider());
        assertEquals("keyvaultuser", set.getAccountId());
        assertNull(set.getPassword());
        assertEquals("5678", set.getOrganizationId());
        assertEquals("ana@example.net", set.getAdministratorContacts().get(0).getEmail());
        assertTrue(set.isEnabled());
        Map<String, Object> body = answer("PUT", "/certificates/issuers/" + name).body();
        assertFalse(body.toString().contains("s3cret"));

        CERTIFICATES.getIssuer(name);
        assertEquals(body, answer("GET", "/certificates/issuers/" + name).body());
        CertificateIssuer updated = CERTIFICATES.updateIssuer(new CertificateIssuer(name).setEnabled(false));
        assertFalse(updated.isEnabled());
        assertEquals("Test", updated.getProvider());
        assertEquals("keyvaultuser", updated.getAccountId());
        assertTrue(CERTIFICATES.listPropertiesOfIssuers().stream()
                .anyMatch(i -> i.getId().equals(set.getId()) && i.getProvider().equals("Test")));
        CERTIFICATES.deleteIssuer(name);
        assertEquals(
                answer("PATCH", "/certificates/issuers/" + name).body(),
                answer("DELETE", "/certificates/issuers/" + name).body());
        assertEquals(
                "Issuer not found",
                rejects(404, "CertificateIssuerNotFound", () -> CERTIFICATES.getIssuer(name)));
        rejects(404, "CertificateIssuerNotFound", () -> CERTIFICATES.deleteIssuer(name));
    }
}
