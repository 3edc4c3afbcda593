package coffer.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A certificate's secret as an application opens it: the key, or null where there is none, and the certificates in
 * their order.
 */
record Opened(PrivateKey key, List<X509Certificate> certificates) {

    /** Key, leaf, chain, LF line ends, and nothing else (contract certificates.md, 7.5). */
    private static final Pattern PEM = Pattern.compile("(?:" + block("PRIVATE KEY") + ")?((?:" + block("CERTIFICATE") + ")+)");

    private static final Pattern CERTIFICATE = Pattern.compile(block("CERTIFICATE"));

    private static String block(String type) {
        return "-----BEGIN " + type + "-----\n((?:[A-Za-z0-9+/=]{1,64}\n)+)-----END " + type + "-----\n";
    }

    /** Opens a base64 PFX that has an empty password, with the JDK's own key store, which checks the MAC. */
    static Opened pfx(String base64) throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        char[] password = new char[0];
        store.load(new ByteArrayInputStream(Base64.getDecoder().decode(base64)), password);
        List<String> aliases = Collections.list(store.aliases());
        assertEquals(1, aliases.size(), "a PFX of the vault holds one key");
        List<X509Certificate> chain = new ArrayList<>();
        for (Certificate certificate : store.getCertificateChain(aliases.get(0))) {
            chain.add((X509Certificate) certificate);
        }
        return new Opened((PrivateKey) store.getKey(aliases.get(0), password), chain);
    }

    static Opened pem(String text) throws GeneralSecurityException {
        Matcher whole = PEM.matcher(text);
        assertTrue(whole.matches(), "the PEM is an optional PKCS#8 key followed by certificates, with LF line ends");
        List<X509Certificate> chain = new ArrayList<>();
        Matcher block = CERTIFICATE.matcher(whole.group(2));
        while (block.find()) {
            chain.add(OpenSsl.parse(Base64.getMimeDecoder().decode(block.group(1))));
        }
        PrivateKey key = null;
        if (whole.group(1) != null) {
            key = KeyFactory.getInstance(chain.get(0).getPublicKey().getAlgorithm())
                    .generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(whole.group(1))));
        }
        return new Opened(key, chain);
    }

    /** Expects exactly these certificates in this order; the subjects come first because they are short to read. */
    void assertHolds(X509Certificate... expected) {
        assertEquals(subjects(List.of(expected)), subjects(certificates));
        assertEquals(List.of(expected), certificates);
    }

    private static List<String> subjects(List<X509Certificate> certificates) {
        return certificates.stream()
                .map(c -> c.getSubjectX500Principal().getName())
                .toList();
    }

    /** Signs with the key and verifies with the first certificate. */
    void assertKeyIsOfLeaf() throws GeneralSecurityException {
        PublicKey publicKey = certificates.get(0).getPublicKey();
        Signature signature = Signature.getInstance("SHA256with" + (key.getAlgorithm().equals("EC") ? "ECDSA" : "RSA"));
        signature.initSign(key);
        signature.update(new byte[] {1, 2, 3});
        byte[] signed = signature.sign();
        signature.initVerify(publicKey);
        signature.update(new byte[] {1, 2, 3});
        assertTrue(signature.verify(signed), "the key is the certificate's");
    }
}
