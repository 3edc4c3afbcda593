package coffer.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.http.HttpHeaders;
import com.azure.core.http.HttpPipelineCallContext;
import com.azure.core.http.HttpPipelineNextPolicy;
import com.azure.core.http.HttpPipelineNextSyncPolicy;
import com.azure.core.http.HttpResponse;
import com.azure.core.http.policy.HttpPipelinePolicy;
import com.azure.core.util.BinaryData;
import com.azure.core.util.polling.SyncPoller;
import com.azure.identity.ClientSecretCredentialBuilder;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.json.JsonProviders;
import com.azure.json.JsonReader;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateOperation;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.keys.KeyClient;
import com.azure.security.keyvault.keys.KeyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.CryptographyClientBuilder;
import com.azure.security.keyvault.keys.models.KeyVaultKey;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.function.Executable;
import reactor.core.publisher.Mono;

/** The vault under test: Microsoft's clients for it, and a record of what went over the wire. */
final class Vault {
    static final String URL = System.getenv("VAULT_URL").replaceAll("/$", "");

    /** How long a poller waits. The SDK's own interval is longer than a self-signed certificate takes. */
    private static final Duration INTERVAL = Duration.ofMillis(100);

    private static final TokenCredential CREDENTIAL = new DefaultAzureCredentialBuilder().build();
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final List<Exchange> EXCHANGES = new CopyOnWriteArrayList<>();

    /** An application that may list certificates and use keys, which it may not read, and nothing else. */
    static final TokenCredential LIMITED =
            application(System.getenv("LIMITED_CLIENT_ID"), System.getenv("LIMITED_CLIENT_SECRET"));

    static final CertificateClient CERTIFICATES = certificatesAs(CREDENTIAL);
    static final SecretClient SECRETS = secretsAs(CREDENTIAL);
    static final KeyClient KEYS =
            new KeyClientBuilder().vaultUrl(URL).credential(CREDENTIAL).addPolicy(new Recorder()).buildClient();

    private Vault() {}

    /**
     * One request and its answer. The SDK's models hide what the contract fixes: status codes, headers, members
     * absent or null. A body that was not there is null.
     */
    record Exchange(
            String method,
            String path,
            Map<String, Object> sent,
            int status,
            HttpHeaders headers,
            Map<String, Object> body) {

        String header(String name) {
            return headers.getValue(HttpHeaderName.fromString(name));
        }

        /** The object under this member of the answer. */
        @SuppressWarnings("unchecked")
        Map<String, Object> object(String member) {
            return (Map<String, Object>) assertInstanceOf(Map.class, body.get(member), member);
        }
    }

    /** Stands nearest to the wire, after retries and authentication, so that it sees the challenge as well. */
    private static final class Recorder implements HttpPipelinePolicy {
        @Override
        public Mono<HttpResponse> process(HttpPipelineCallContext context, HttpPipelineNextPolicy next) {
            return next.process().map(HttpResponse::buffer).map(this::record);
        }

        @Override
        public HttpResponse processSync(HttpPipelineCallContext context, HttpPipelineNextSyncPolicy next) {
            return record(next.processSync().buffer());
        }

        private HttpResponse record(HttpResponse response) {
            URL url = response.getRequest().getUrl();
            BinaryData sent = response.getRequest().getBodyAsBinaryData();
            EXCHANGES.add(new Exchange(
                    response.getRequest().getHttpMethod().toString(),
                    url.getPath().replaceAll("/$", ""),
                    parse(sent == null ? null : sent.toString()),
                    response.getStatusCode(),
                    response.getHeaders(),
                    parse(response.getBodyAsString().block())));
            return response;
        }

        @SuppressWarnings("unchecked")
        private static Map<String, Object> parse(String json) {
            if (json == null || json.isEmpty()) {
                return null;
            }
            try (JsonReader reader = JsonProviders.createReader(json)) {
                return (Map<String, Object>) reader.readUntyped();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    static TokenCredential application(String clientId, String secret) {
        return new ClientSecretCredentialBuilder()
                .tenantId(System.getenv("AZURE_TENANT_ID"))
                .clientId(clientId)
                .clientSecret(secret)
                .build();
    }

    static CertificateClient certificatesAs(TokenCredential caller) {
        return new CertificateClientBuilder().vaultUrl(URL).credential(caller).addPolicy(new Recorder()).buildClient();
    }

    static SecretClient secretsAs(TokenCredential caller) {
        return new SecretClientBuilder().vaultUrl(URL).credential(caller).addPolicy(new Recorder()).buildClient();
    }

    /** A client that uses one version of a key. */
    static CryptographyClient cryptographyAs(KeyVaultKey key, TokenCredential caller) {
        return new CryptographyClientBuilder()
                .keyIdentifier(key.getId())
                .credential(caller)
                .addPolicy(new Recorder())
                .buildClient();
    }

    /** All exchanges of this method and path, oldest first. */
    static List<Exchange> answers(String method, String path) {
        return EXCHANGES.stream()
                .filter(e -> e.method().equals(method) && e.path().equals(path))
                .toList();
    }

    /** The last exchange of this method and path, challenges left out. */
    static Exchange answer(String method, String path) {
        return answers(method, path).stream()
                .filter(e -> e.status() != 401)
                .reduce((before, after) -> after)
                .orElseThrow(() -> new AssertionError(method + " " + path + " was never answered"));
    }

    /** A name that no earlier run against the same vault has used. */
    static String newName(String purpose) {
        byte[] random = new byte[4];
        RANDOM.nextBytes(random);
        return "java-" + purpose + "-" + HexFormat.of().formatHex(random);
    }

    /** A policy for a self-signed certificate with an EC key, which costs the least to make. */
    static CertificatePolicy self() {
        return new CertificatePolicy("Self", "CN=www.example.net").setKeyType(CertificateKeyType.EC);
    }

    /** A policy whose certificates an authority outside the vault signs. */
    static CertificatePolicy outside() {
        return new CertificatePolicy("Unknown", "CN=www.example.net").setKeyType(CertificateKeyType.EC);
    }

    static SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> begin(
            String name, CertificatePolicy policy) {
        return begin(name, policy, null);
    }

    static SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> begin(
            String name, CertificatePolicy policy, Map<String, String> tags) {
        return CERTIFICATES.beginCreateCertificate(name, policy, true, tags).setPollInterval(INTERVAL);
    }

    static KeyVaultCertificateWithPolicy create(String name, CertificatePolicy policy) {
        return create(name, policy, null);
    }

    /** Creates a certificate and waits for it as applications do. */
    static KeyVaultCertificateWithPolicy create(String name, CertificatePolicy policy, Map<String, String> tags) {
        SyncPoller<CertificateOperation, KeyVaultCertificateWithPolicy> poller = begin(name, policy, tags);
        poller.waitForCompletion(Duration.ofSeconds(30));
        return poller.getFinalResult();
    }

    static void remove(String name) {
        CERTIFICATES.beginDeleteCertificate(name).setPollInterval(INTERVAL).waitForCompletion(Duration.ofSeconds(30));
    }

    static void recover(String name) {
        CERTIFICATES
                .beginRecoverDeletedCertificate(name)
                .setPollInterval(INTERVAL)
                .waitForCompletion(Duration.ofSeconds(30));
    }

    static void purge(String name) {
        remove(name);
        CERTIFICATES.purgeDeletedCertificate(name);
    }

    /** Expects an error answer without an inner code; see the other form. */
    static String rejects(int status, String code, Executable attempt) {
        return rejects(status, code, null, attempt);
    }

    /** Expects an error answer: the SDK's exception, with the body that it carries. Returns the message. */
    static String rejects(int status, String code, String inner, Executable attempt) {
        HttpResponseException e = assertThrows(HttpResponseException.class, attempt);
        assertEquals(status, e.getResponse().getStatusCode(), e.getMessage());
        Map<String, Object> body = Recorder.parse(e.getResponse().getBodyAsString().block());
        Map<?, ?> error = assertInstanceOf(Map.class, body.get("error"));
        assertEquals(code, error.get("code"));
        Map<?, ?> innerError = (Map<?, ?>) error.get("innererror");
        assertEquals(inner, innerError == null ? null : innerError.get("code"));
        return assertInstanceOf(String.class, error.get("message"));
    }
}
