package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.URL;
import static coffer.conformance.Vault.answers;
import static coffer.conformance.Vault.begin;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.outside;
import static coffer.conformance.Vault.remove;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coffer.conformance.Vault.Exchange;
import com.azure.core.util.Context;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.DeletedCertificate;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Lists and their pages (contract certificates.md, 2.6, 5.3, 8.4 and 8.5). */
class ListTest {
    /** One more than a page holds: the certificates library offers no way to ask for smaller pages. */
    private static final int MANY = 26;

    @Test
    void everyCertificateIsOnExactlyOnePageInTheOrderOfNames() {
        String prefix = newName("list");
        byte[] pfx = OpenSsl.toPfx(OpenSsl.selfSigned(), "", false);
        for (int i = 0; i < MANY; i++) {
            CERTIFICATES.importCertificate(new ImportCertificateOptions(prefix + "-" + (char) ('a' + i), pfx)
                    .setTags(Map.of("at", Integer.toString(i))));
        }
        int before = answers("GET", "/certificates").size();
        List<CertificateProperties> seen = CERTIFICATES.listPropertiesOfCertificates().stream().toList();
        List<String> names = seen.stream().map(CertificateProperties::getName).toList();
        assertEquals(names.size(), new HashSet<>(names).size());
        assertEquals(names.stream().sorted(String.CASE_INSENSITIVE_ORDER).toList(), names);
        List<CertificateProperties> ours =
                seen.stream().filter(p -> p.getName().startsWith(prefix)).toList();
        assertEquals(MANY, ours.size());
        CertificateProperties first = ours.get(0);
        assertEquals(URL + "/certificates/" + first.getName(), first.getId());
        assertNull(first.getVersion());
        assertEquals(Map.of("at", "0"), first.getTags());
        CertificateProperties single = CERTIFICATES.getCertificate(first.getName()).getProperties();
        assertEquals(single.getX509ThumbprintAsString(), first.getX509ThumbprintAsString());
        assertEquals(single.getExpiresOn(), first.getExpiresOn());
        assertEquals(single.getUpdatedOn(), first.getUpdatedOn());

        List<Exchange> pages = answers("GET", "/certificates").stream().skip(before).toList();
        assertTrue(pages.size() > 1);
        for (Exchange page : pages) {
            assertTrue(((List<?>) page.body().get("value")).size() <= 25);
        }
        for (Exchange page : pages.subList(0, pages.size() - 1)) {
            String next = (String) page.body().get("nextLink");
            assertTrue(next.startsWith("https://") && next.contains("/certificates?"), next);
            assertTrue(next.contains("$skiptoken="), next);
        }
        Exchange last = pages.get(pages.size() - 1);
        assertTrue(last.body().containsKey("nextLink"));
        assertNull(last.body().get("nextLink"));
    }

    @Test
    void whatIsNotYetIssuedIsListedOnlyWhenAskedFor() {
        String name = newName("pending");
        begin(name, outside(), Map.of("env", "prod"));
        assertTrue(CERTIFICATES.listPropertiesOfCertificates().stream()
                .noneMatch(p -> p.getName().equals(name)));
        CertificateProperties item = CERTIFICATES.listPropertiesOfCertificates(true, Context.NONE).stream()
                .filter(p -> p.getName().equals(name))
                .findFirst()
                .orElseThrow();
        assertFalse(item.isEnabled());
        assertNull(item.getX509Thumbprint());
        assertEquals(Map.of("env", "prod"), item.getTags());

        remove(name);
        assertTrue(CERTIFICATES.listDeletedCertificates().stream().noneMatch(d -> d.getName().equals(name)));
        assertTrue(CERTIFICATES.listDeletedCertificates(true, Context.NONE).stream()
                .map(DeletedCertificate::getName)
                .anyMatch(name::equals));
    }

    @Test
    void versionsAreListedInTheOrderOfTheirCreation() {
        String name = newName("versions");
        List<String> made = List.of(
                create(name, self()).getId(), create(name, self()).getId(), create(name, self()).getId());
        assertEquals(made, CERTIFICATES.listPropertiesOfCertificateVersions(name).stream()
                .map(CertificateProperties::getId)
                .toList());
    }

    @Test
    void versionsOfANameThatNobodyHasUsedAreAnEmptyList() {
        assertEquals(0, CERTIFICATES.listPropertiesOfCertificateVersions(newName("nobody")).stream().count());
    }
}
