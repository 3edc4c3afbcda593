package coffer.conformance;

import static coffer.conformance.Vault.CERTIFICATES;
import static coffer.conformance.Vault.answer;
import static coffer.conformance.Vault.create;
import static coffer.conformance.Vault.newName;
import static coffer.conformance.Vault.rejects;
import static coffer.conformance.Vault.self;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateKeyUsage;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificateProperties;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Changing what a certificate says of itself, and its policy (contract certificates.md, 6.9, 8.6 and 8.10). */
class UpdateTest {

    @Test
    void tagsAndEnabledChangeOnTheNamedVersionOnly() {
        String name = newName("properties");
        KeyVaultCertificateWithPolicy first = create(name, self(), Map.of("a", "1", "b", "2"));
        KeyVaultCertificateWithPolicy second = create(name, self());
        CertificateProperties updated = CERTIFICATES
                .updateCertificateProperties(first.getProperties().setEnabled(false).setTags(Map.of("c", "3")))
                .getProperties();
        assertEquals(first.getProperties().getVersion(), updated.getVersion());
        assertFalse(updated.isEnabled());
        assertEquals(Map.of("c", "3"), updated.getTags());
        assertFalse(updated.getUpdatedOn().isBefore(first.getProperties().getUpdatedOn()));
        assertEquals(first.getProperties().getExpiresOn(), updated.getExpiresOn());

        CertificateProperties current = CERTIFICATES.getCertificate(name).getProperties();
        assertEquals(second.getProperties().getVersion(), current.getVersion());
        assertTrue(current.isEnabled());
        assertEquals(Map.of("a", "1", "b", "2"), current.getTags());
        CertificateProperties read =
                CERTIFICATES.getCertificateVersion(name, updated.getVersion()).getProperties();
        assertEquals(updated.getUpdatedOn(), read.getUpdatedOn());
        assertFalse(read.isEnabled());
    }

    @Test
    void tagsGoWhenTheyAreSentEmpty() {
        String name = newName("tags");
        KeyVaultCertificateWithPolicy made = create(name, self(), Map.of("a", "1"));
        assertNull(CERTIFICATES
                .updateCertificateProperties(made.getProperties().setTags(Map.of()))
                .getProperties()
                .getTags());
    }

    @Test
    void aPolicyIsChangedMemberByMember() {
        String name = newName("policy");
        create(name, self().setKeyUsage(CertificateKeyUsage.DIGITAL_SIGNATURE));
        CertificatePolicy before = CERTIFICATES.getCertificatePolicy(name);
        CertificatePolicy after = CERTIFICATES.updateCertificatePolicy(
                name, new CertificatePolicy("Self", (String) null).setValidityInMonths(24));
        assertEquals(24, after.getValidityInMonths());
        assertEquals(before.getSubject(), after.getSubject());
        assertEquals(before.getKeyType(), after.getKeyType());
        assertEquals(before.getKeyUsage(), after.getKeyUsage());
        assertEquals(before.getCreatedOn(), after.getCreatedOn());
        CERTIFICATES.getCertificatePolicy(name);
        assertEquals(
                answer("PATCH", "/certificates/" + name + "/policy").body(),
                answer("GET", "/certificates/" + name + "/policy").body());
        assertEquals(24, CERTIFICATES.getCertificate(name).getPolicy().getValidityInMonths());
    }

    @Test
    void aPolicyForRsaBecomesOneForACurveWithoutALookAtTheKeyUsage() {
        String name = newName("kty");
        create(name, self().setKeyType(CertificateKeyType.RSA).setKeyUsage(CertificateKeyUsage.DATA_ENCIPHERMENT));
        CertificatePolicy after = CERTIFICATES.updateCertificatePolicy(
                name,
                new CertificatePolicy("Self", (String) null)
                        .setKeyType(CertificateKeyType.EC)
                        .setKeyCurveName(CertificateKeyCurveName.P_256K)
                        .setKeySize(256)
                        .setExportable(true)
                        .setKeyReusable(false));
        assertEquals(
                Map.of("exportable", true, "kty", "EC", "key_size", 256, "reuse_key", false, "crv", "P-256K"),
                answer("PATCH", "/certificates/" + name + "/policy").object("key_props"));
        assertEquals(List.of(CertificateKeyUsage.DATA_ENCIPHERMENT), after.getKeyUsage());
    }

    @Test
    void aPolicyThatTheRulesForbidIsRefusedAndChangesNothing() {
        String name = newName("badpolicy");
        create(name, self());
        rejects(400, "BadParameter",
                () -> CERTIFICATES.updateCertificatePolicy(name, new CertificatePolicy("Self", "no name")));
        assertEquals("CN=www.example.net", CERTIFICATES.getCertificatePolicy(name).getSubject());
    }

    @Test
    void whatDoesNotExistCannotBeChanged() {
        String name = newName("nobody");
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.updateCertificatePolicy(name, self()));
        rejects(404, "CertificateNotFound", () -> CERTIFICATES.getCertificatePolicy(name));
    }
}
