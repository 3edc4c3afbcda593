package coffer.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import coffer.conformance.OpenSsl.Authority;
import coffer.conformance.OpenSsl.Pair;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The suite's own readers, over material that the openssl command made. It needs no vault. */
class OpenedTest {
    private static final Authority CA = new Authority();
    private static final Pair LEAF = CA.issue("/CN=leaf");

    @Test
    void aPfxIsReadWithItsKeyAndChain() throws Exception {
        for (boolean legacy : new boolean[] {false, true}) {
            byte[] pfx = OpenSsl.toPfx(LEAF, "", legacy, CA.intermediate, CA.root);
            Opened opened = Opened.pfx(Base64.getEncoder().encodeToString(pfx));
            opened.assertHolds(LEAF.certificate(), CA.intermediate, CA.root);
            opened.assertKeyIsOfLeaf();
        }
    }

    @Test
    void aPemIsReadWithItsKeyAndChainAndWithoutAKey() throws Exception {
        String pem = new String(OpenSsl.toPem(LEAF, CA.intermediate), StandardCharsets.US_ASCII);
        Opened opened = Opened.pem(pem);
        opened.assertHolds(LEAF.certificate(), CA.intermediate);
        opened.assertKeyIsOfLeaf();
        assertNull(Opened.pem(OpenSsl.pem(CA.root)).key());
    }

    @Test
    void aPemInAnyOtherFormIsNoneOfTheVaults() {
        String pem = new String(OpenSsl.toPem(LEAF), StandardCharsets.US_ASCII);
        for (String other : List.of(
                pem.replace("\n", "\r\n"), pem.stripTrailing(), "\n" + pem, pem + LEAF.key(), "Bag Attributes\n" + pem)) {
            assertThrows(AssertionError.class, () -> Opened.pem(other));
        }
    }

    @Test
    void aKeyOfAnotherCertificateIsNoticed() throws Exception {
        String key = OpenSsl.newKey(false);
        Opened mixed = Opened.pem(key + OpenSsl.pem(LEAF.certificate()));
        assertThrows(AssertionError.class, mixed::assertKeyIsOfLeaf);
    }
}
