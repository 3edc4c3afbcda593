package coffer.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/**
 * What the vault must not make for itself: authorities, keys, certificates and requests, by the openssl command. Keys
 * are EC where the kind does not matter, because they cost nothing.
 */
final class OpenSsl {
    private static final Path DIR = newDir();

    /** The command adds extensions of its own from the machine's configuration; with this it does not. */
    private static final String BARE = file("[req]\ndistinguished_name = dn\n[dn]\n");

    private OpenSsl() {}

    /** A PKCS#8 PEM private key with its certificate. */
    record Pair(String key, X509Certificate certificate) {}

    static byte[] run(byte[] input, String... arguments) {
        List<String> command = new ArrayList<>(List.of("openssl"));
        command.addAll(Arrays.asList(arguments));
        try {
            Path errors = newFile();
            Process process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
            // Everything passed here is a few kilobytes, less than a pipe holds (65,536 bytes).
            process.getOutputStream().write(input);
            process.getOutputStream().close();
            byte[] output = process.getInputStream().readAllBytes();
            assertEquals(0, process.waitFor(), () -> command + ": " + text(errors));
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    static byte[] run(String... arguments) {
        return run(new byte[0], arguments);
    }

    /** A file with this content, for the options that take only files. */
    private static String file(String content) {
        try {
            return Files.writeString(newFile(), content).toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String file(byte[] content) {
        try {
            return Files.write(newFile(), content).toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path newFile() throws IOException {
        Path path = Files.createTempFile(DIR, "", "");
        path.toFile().deleteOnExit();
        return path;
    }

    private static String text(Path path) {
        try {
            return Files.readString(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path newDir() {
        try {
            Path dir = Files.createTempDirectory("coffer-conformance");
            dir.toFile().deleteOnExit();
            return dir;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Checks a signature by a key on P-256K, a curve that Java has forgotten. It is r and s, side by side. */
    static void verifyOnP256K(byte[] x, byte[] y, byte[] digest, byte[] signature) {
        HexFormat hex = HexFormat.of();
        // SubjectPublicKeyInfo of an uncompressed point on secp256k1 (RFC 5480, section 2; SEC 2, section A.2.1).
        String key = "3056301006072a8648ce3d020106052b8104000a034200" + "04" + hex.formatHex(x) + hex.formatHex(y);
        byte[] r = new BigInteger(1, Arrays.copyOfRange(signature, 0, 32)).toByteArray();
        byte[] s = new BigInteger(1, Arrays.copyOfRange(signature, 32, 64)).toByteArray();
        String der = "30%02x02%02x%s02%02x%s".formatted(
                r.length + s.length + 4, r.length, hex.formatHex(r), s.length, hex.formatHex(s));
        run(digest, "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", file(hex.parseHex(key)),
                "-sigfile", file(hex.parseHex(der)));
    }

    static X509Certificate parse(byte[] certificate) {
        try {
            return (X509Certificate) CertificateFactory.getInstance("X.509")
                    .generateCertificate(new ByteArrayInputStream(certificate));
        } catch (CertificateException e) {
            throw new IllegalArgumentException(e);
        }
    }

    static byte[] der(X509Certificate certificate) {
        try {
            return certificate.getEncoded();
        } catch (CertificateException e) {
            throw new IllegalArgumentException(e);
        }
    }

    static String pem(X509Certificate... certificates) {
        StringBuilder text = new StringBuilder();
        for (X509Certificate certificate : certificates) {
            text.append("-----BEGIN CERTIFICATE-----\n")
                    .append(Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der(certificate)))
                    .append("\n-----END CERTIFICATE-----\n");
        }
        return text.toString();
    }

    static String newKey(boolean rsa) {
        return new String(
                rsa
                        ? run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
                        : run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
                StandardCharsets.US_ASCII);
    }

    /** A key with its certificate, which has the named extensions and no others. */
    static Pair selfSigned(boolean rsa, String subject, int days, String... extensions) {
        String key = newKey(rsa);
        List<String> arguments = new ArrayList<>(List.of("req", "-config", BARE, "-x509", "-key", file(key)));
        arguments.addAll(List.of("-subj", subject, "-days", Integer.toString(days)));
        for (String extension : extensions) {
            arguments.addAll(List.of("-addext", extension));
        }
        return new Pair(key, parse(run(arguments.toArray(String[]::new))));
    }

    static Pair selfSigned() {
        return selfSigned(false, "/CN=outside", 365);
    }

    /** A PFX protected with AES and SHA-256, or with RC2, 3DES and SHA-1 if legacy. */
    static byte[] toPfx(Pair pair, String password, boolean legacy, X509Certificate... chain) {
        List<String> arguments = new ArrayList<>(List.of("pkcs12", "-export", "-passout", "pass:" + password));
        arguments.addAll(List.of("-inkey", file(pair.key()), "-in", file(pem(pair.certificate()))));
        if (chain.length > 0) {
            arguments.addAll(List.of("-certfile", file(pem(chain))));
        }
        if (legacy) {
            arguments.add("-legacy");
        }
        return run(arguments.toArray(String[]::new));
    }

    static byte[] toPem(Pair pair, X509Certificate... chain) {
        return (pair.key() + pem(pair.certificate()) + pem(chain)).getBytes(StandardCharsets.US_ASCII);
    }

    /** Checks a DER request's signature under its own key and returns its text. */
    static String verifyRequest(byte[] csr) {
        return new String(
                run(csr, "req", "-inform", "DER", "-noout", "-verify", "-text"), StandardCharsets.US_ASCII);
    }

    /** What openssl prints of a certificate: signature algorithm, extensions and all. */
    static String text(X509Certificate certificate) {
        return new String(run(der(certificate), "x509", "-inform", "DER", "-noout", "-text"), StandardCharsets.US_ASCII);
    }

    /** The PEM certificates in a PFX with an empty password, for one that has no key: Java shows none of those. */
    static String certificatesIn(byte[] pfx) {
        return new String(run(pfx, "pkcs12", "-passin", "pass:", "-nodes"), StandardCharsets.US_ASCII);
    }

    /** A root and an intermediate outside the vault. */
    static final class Authority {
        final X509Certificate root;
        final X509Certificate intermediate;
        private final String file;
        private final String key;

        Authority() {
            Pair self = selfSigned(false, "/CN=outside root", 365, "basicConstraints=critical,CA:true");
            root = self.certificate();
            key = file(newKey(false));
            byte[] request = run("req", "-config", BARE, "-new", "-key", key, "-subj", "/CN=outside intermediate");
            String extensions = file("basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n");
            intermediate = parse(run(request, "x509", "-req", "-days", "365", "-extfile", extensions,
                    "-CA", file(pem(root)), "-CAkey", file(self.key())));
            file = file(pem(intermediate));
        }

        /** Turns a DER request into a certificate with the request's own extensions. */
        X509Certificate sign(byte[] csr) {
            return parse(run(csr, "x509", "-req", "-inform", "DER", "-days", "90", "-copy_extensions", "copyall",
                    "-CA", file, "-CAkey", key));
        }

        /** A key with a certificate of this authority. */
        Pair issue(String subject) {
            String leafKey = newKey(false);
            return new Pair(leafKey, sign(run(
                    "req", "-config", BARE, "-new", "-key", OpenSsl.file(leafKey), "-subj", subject, "-outform", "DER")));
        }
    }
}
