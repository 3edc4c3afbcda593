// Creating certificates that the vault signs itself (contract certificates.md, 8.1, 10 and 16.2).

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { certificateText, verifyRequest } from "../openssl.js";
import { answer, begin, certificates, collect, create, newName, rejects, testHeaders, vaultUrl } from "../vault.js";

// The settings under which the smallest policy and the vault's defaults are the same thing.
const self = { issuerName: "Self", subject: "CN=www.example.net", keyType: "EC" };

// monthsLater adds calendar months and keeps to the end of a shorter month (contract 10.2).
function monthsLater(date, months) {
  const later = new Date(date);
  later.setUTCDate(1);
  later.setUTCMonth(later.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(later.getUTCFullYear(), later.getUTCMonth() + 1, 0)).getUTCDate();
  later.setUTCDate(Math.min(date.getUTCDate(), lastDay));
  return later;
}

test("a create is accepted as an operation in progress", async () => {
  const name = newName("accepted");
  await create(name, { issuerName: "Self", subject: "CN=www.example.net" }, { tags: { env: "prod" } });
  const { status, headers, body, query } = answer("POST", `/certificates/${name}/create`);
  assert.equal(status, 202);
  assert.equal(body.id, `${vaultUrl}/certificates/${name}/pending`);
  assert.deepEqual(body.issuer, { name: "Self" });
  assert.equal(body.status, "inProgress");
  assert.equal(
    body.status_details,
    "Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later.",
  );
  assert.equal(body.cancellation_requested, false);
  assert.equal(body.preserveCertOrder, false);
  assert.match(body.request_id, /^[0-9a-f]{32}$/);
  assert.ok(!("error" in body) && !("target" in body));
  verifyRequest(Buffer.from(body.csr, "base64"));

  const location = new URL(headers.get("location"));
  assert.equal(`${location.origin}${location.pathname}`, body.id);
  assert.equal(location.searchParams.get("api-version"), query.get("api-version"));
  assert.equal(location.searchParams.get("request_id"), body.request_id);
  assert.equal(headers.get("retry-after"), "10");
});

test("a self-signed RSA certificate is what the policy says", async () => {
  const name = newName("self-rsa");
  const made = await create(name, { issuerName: "Self", subject: "CN=www.example.net" }, { tags: { env: "prod" } });
  const x509 = new X509Certificate(made.cer);
  assert.equal(x509.subject, "CN=www.example.net");
  assert.equal(x509.issuer, x509.subject);
  assert.ok(x509.verify(x509.publicKey));
  assert.equal(x509.ca, false);
  assert.equal(x509.publicKey.asymmetricKeyType, "rsa");
  assert.equal(x509.publicKey.asymmetricKeyDetails.modulusLength, 2048);
  assert.ok(x509.serialNumber.length <= 32, "a serial number of 16 bytes");

  const properties = made.properties;
  assert.equal(properties.x509ThumbprintString, createHash("sha1").update(made.cer).digest("hex"));
  assert.equal(+properties.notBefore, Date.parse(x509.validFrom));
  assert.equal(+properties.expiresOn, Date.parse(x509.validTo));
  // The certificate starts ten minutes before it was issued, or a second more (contract 10.2).
  const lead = (properties.createdOn - properties.notBefore) / 1000;
  assert.ok(lead === 600 || lead === 601, `${lead} seconds`);
  const end = (properties.expiresOn - monthsLater(properties.createdOn, 12)) / 1000;
  assert.ok(end === 0 || end === -1, `${end} seconds off`);
  assert.equal(+properties.updatedOn, +properties.createdOn);

  assert.equal(made.name, name);
  assert.match(properties.version, /^[0-9a-f]{32}$/);
  assert.equal(made.keyId, `${vaultUrl}/keys/${name}/${properties.version}`);
  assert.equal(made.secretId, `${vaultUrl}/secrets/${name}/${properties.version}`);
  assert.equal(properties.enabled, true);
  assert.deepEqual(properties.tags, { env: "prod" });
  assert.match(properties.recoveryLevel, /^(Customized)?Recoverable(\+Purgeable)?$/);
  assert.ok(properties.recoverableDays >= 7 && properties.recoverableDays <= 90);

  // The defaults of contract 6.2 to 6.5, as the wire has them.
  const { policy } = answer("GET", `/certificates/${name}`).body;
  assert.equal(policy.id, `${vaultUrl}/certificates/${name}/policy`);
  assert.deepEqual(policy.key_props, { exportable: true, kty: "RSA", key_size: 2048, reuse_key: false });
  assert.deepEqual(policy.secret_props, { contentType: "application/x-pkcs12" });
  assert.deepEqual(policy.x509_props.ekus, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.deepEqual(policy.x509_props.key_usage, ["digitalSignature", "keyEncipherment"]);
  assert.equal(policy.x509_props.validity_months, 12);
  assert.deepEqual(policy.x509_props.basic_constraints, { ca: false });
  assert.deepEqual(policy.lifetime_actions, [{ trigger: { lifetime_percentage: 80 }, action: { action_type: "AutoRenew" } }]);
  assert.deepEqual(policy.issuer, { name: "Self" });
});

for (const [curve, nodeCurve, size, algorithm] of [
  ["P-256", "prime256v1", 256, "ecdsa-with-SHA256"],
  ["P-384", "secp384r1", 384, "ecdsa-with-SHA384"],
  ["P-521", "secp521r1", 521, "ecdsa-with-SHA512"],
  ["P-256K", "secp256k1", 256, "ecdsa-with-SHA256"],
]) {
  test(`a self-signed certificate on ${curve}`, async () => {
    const name = newName("self-ec");
    const made = await create(name, { ...self, keyCurveName: curve });
    const x509 = new X509Certificate(made.cer);
    assert.equal(x509.publicKey.asymmetricKeyType, "ec");
    assert.equal(x509.publicKey.asymmetricKeyDetails.namedCurve, nodeCurve);
    assert.ok(x509.verify(x509.publicKey));
    assert.match(certificateText(x509), new RegExp(`Signature Algorithm: ${algorithm}`));
    assert.equal(made.policy.keyCurveName, curve);
    assert.equal(made.policy.keySize, size);
    assert.deepEqual(made.policy.keyUsage, ["digitalSignature"]);
  });
}

test("every name, usage and constraint of the policy reaches the request and the certificate", async () => {
  const name = newName("profile");
  const policy = {
    issuerName: "Self",
    subject: "CN=Profile, O=Coffer, C=US",
    keyType: "EC",
    keyUsage: ["digitalSignature", "keyAgreement"],
    enhancedKeyUsage: ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"],
    validityInMonths: 5,
    subjectAlternativeNames: {
      emails: ["a@example.net"],
      dnsNames: ["www.example.net", "*.example.org"],
      userPrincipalNames: ["u@example.net"],
      uniformResourceIdentifiers: ["https://example.com"],
      ipAddresses: ["192.0.2.1", "2001:0db8::1"],
    },
  };
  const made = await create(name, policy);
  const x509 = new X509Certificate(made.cer);
  // The text is written in the opposite order of the encoding (contract 10.3).
  assert.equal(x509.subject, "C=US\nO=Coffer\nCN=Profile");
  const text = certificateText(x509);
  const { text: request, publicKey } = verifyRequest(Buffer.from(answer("POST", `/certificates/${name}/create`).body.csr, "base64"));
  assert.ok(publicKey.equals(x509.publicKey));
  for (const printed of [text, request]) {
    assert.match(printed, /X509v3 Key Usage: critical\s+Digital Signature, Key Agreement\n/);
    assert.match(printed, /X509v3 Extended Key Usage: ?\s+TLS Web Client Authentication, E-mail Protection\n/);
    assert.match(printed, /email:a@example\.net, othername: ?UPN::?u@example\.net, DNS:www\.example\.net, DNS:\*\.example\.org, URI:https:\/\/example\.com\/, IP Address:192\.0\.2\.1, IP Address:2001:DB8:0:0:0:0:0:1/);
    assert.match(printed, /X509v3 Basic Constraints: ?\s+CA:FALSE/);
  }
  assert.match(text, /X509v3 Authority Key Identifier/);
  assert.match(text, /X509v3 Subject Key Identifier/);
  // Text is kept as it was sent, although the certificate holds a normal form (contract 6.4).
  assert.deepEqual(made.policy.subjectAlternativeNames, policy.subjectAlternativeNames);
});

test("a policy comes back as it was sent", async () => {
  const name = newName("echo");
  const policy = {
    issuerName: "Unknown",
    certificateType: "OV-SSL",
    certificateTransparency: false,
    subject: "cn=MyCert",
    subjectAlternativeNames: { dnsNames: ["sdk.azure-int.net"] },
    contentType: "application/x-pem-file",
    keyType: "RSA",
    keySize: 3072,
    exportable: true,
    reuseKey: true,
    keyUsage: ["cRLSign", "dataEncipherment", "digitalSignature", "keyAgreement", "keyCertSign", "keyEncipherment"],
    enhancedKeyUsage: ["1.3.6.1.5.5.7.3.1"],
    validityInMonths: 24,
    lifetimeActions: [{ action: "EmailContacts", daysBeforeExpiry: 30 }],
  };
  await begin(name, policy);
  const got = await certificates.getCertificatePolicy(name);
  for (const [property, value] of Object.entries(policy)) {
    const expected = property === "lifetimeActions" ? [{ ...value[0], lifetimePercentage: undefined }] : value;
    assert.deepEqual(got[property], expected, property);
  }
  assert.equal(got.enabled, true);

  const { sent } = answer("POST", `/certificates/${name}/create`);
  const { body } = answer("GET", `/certificates/${name}/policy`);
  delete body.x509_props.basic_constraints;
  for (const part of ["key_props", "secret_props", "x509_props", "lifetime_actions", "issuer"]) {
    assert.deepEqual(body[part], sent.policy[part], part);
  }
  assert.deepEqual(Object.keys(body.attributes).sort(), ["created", "enabled", "updated"]);
});

test("a first create leaves a disabled placeholder until it is completed", async () => {
  const name = newName("placeholder");
  await begin(name, {}, { tags: { env: "prod" } });
  const placeholder = await certificates.getCertificate(name);
  assert.equal(placeholder.properties.enabled, false);
  assert.match(placeholder.properties.version, /^[0-9a-f]{32}$/);
  assert.ok(placeholder.properties.notBefore < placeholder.properties.createdOn);
  assert.equal(placeholder.policy.issuerName, "Unknown");
  const { body } = answer("GET", `/certificates/${name}`);
  for (const absent of ["kid", "sid", "x5t", "cer"]) {
    assert.ok(!(absent in body), absent);
  }
  assert.deepEqual(body.pending, { id: `${vaultUrl}/certificates/${name}/pending` });
  assert.equal((await certificates.getCertificateVersion(name, placeholder.properties.version)).name, name);
  assert.deepEqual(await collect(certificates.listPropertiesOfCertificateVersions(name)), []);
});

test("a version has its own address, with the certificate's names and without the policy", async () => {
  const name = newName("version");
  const made = await create(name, self);
  const version = await certificates.getCertificateVersion(name, made.properties.version);
  assert.deepEqual(version.properties, made.properties);
  assert.deepEqual(version.cer, made.cer);
  const { body } = answer("GET", `/certificates/${name}/${made.properties.version}`);
  assert.ok(!("policy" in body) && !("pending" in body));
  assert.equal(body.subject, "CN=www.example.net");
  assert.equal(body.issuer, "CN=www.example.net");
  assert.equal(BigInt(`0x${body.serialnumber}`), BigInt(`0x${new X509Certificate(made.cer).serialNumber}`));
  assert.match(body.serialnumber, /^[0-9A-F]+$/);
});

test("three creates of one name are three versions, and the last is current", async () => {
  const name = newName("three");
  const made = [];
  for (let i = 0; i < 3; i++) {
    made.push(await create(name, self, i === 0 ? { tags: { kept: "yes" } } : {}));
  }
  const versions = await collect(certificates.listPropertiesOfCertificateVersions(name));
  assert.deepEqual(new Set(versions.map((v) => v.version)), new Set(made.map((m) => m.properties.version)));
  assert.equal(versions.length, 3);
  const current = await certificates.getCertificate(name);
  assert.equal(current.properties.version, made[2].properties.version);
  assert.deepEqual(current.properties.tags, { kept: "yes" });
  const first = await certificates.getCertificateVersion(name, made[0].properties.version);
  assert.deepEqual(first.cer, made[0].cer);
});

for (const reuseKey of [true, false]) {
  test(`reuse_key ${reuseKey} decides whether the next version has the same key`, async () => {
    const name = newName("reuse");
    const [one, two] = [await create(name, { ...self, reuseKey }), await create(name, { ...self, reuseKey })];
    const [a, b] = [one, two].map((c) => new X509Certificate(c.cer));
    assert.equal(a.publicKey.equals(b.publicKey), reuseKey);
    assert.notEqual(a.serialNumber, b.serialNumber);
    assert.notEqual(one.keyId, two.keyId);
  });
}

test("enabled and preserveCertOrder belong to the version that the create makes", async () => {
  const name = newName("options");
  const made = await create(name, self, { enabled: false, preserveCertificateOrder: true });
  assert.equal(made.properties.enabled, false);
  assert.equal(made.properties.preserveCertificateOrder, true);
  assert.equal(answer("POST", `/certificates/${name}/create`).body.preserveCertOrder, true);
  assert.equal(answer("GET", `/certificates/${name}/pending`).body.preserveCertOrder, true);
});

for (const [what, policy, message] of [
  ["a subject that is no name", { subject: "not a name" }, "Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n"],
  ["a curve that does not exist", { keyCurveName: "P-1" }],
  ["an RSA key of 1024 bits", { keyType: "RSA", keySize: 1024 }],
  ["a symmetric key", { keyType: "oct" }],
  ["an unknown content type", { contentType: "text/plain" }],
  ["an unknown key usage", { keyUsage: ["everything"] }],
  ["a usage that is no OID", { enhancedKeyUsage: ["server"] }],
  ["no validity", { validityInMonths: 0 }],
  ["two lifetime actions", { lifetimeActions: [{ action: "AutoRenew", daysBeforeExpiry: 30 }, { action: "EmailContacts", daysBeforeExpiry: 60 }] }, "At most one action is allowed"],
  ["a percentage of 100", { lifetimeActions: [{ action: "AutoRenew", lifetimePercentage: 100 }] }],
]) {
  test(`a policy with ${what} is refused`, async () => {
    const name = newName("bad");
    const got = await rejects(create(name, { ...self, ...policy }), 400, "BadParameter");
    if (message !== undefined) {
      assert.equal(got, message);
    }
    await rejects(certificates.getCertificate(name), 404, "CertificateNotFound");
  });
}

test("an issuer that nobody defined is not found, and nothing is stored", async () => {
  const name = newName("noissuer");
  await rejects(create(name, { ...self, issuerName: newName("issuer") }), 404, "CertificateIssuerNotFound");
  await rejects(certificates.getCertificate(name), 404, "CertificateNotFound");
});

test("a second create waits for the first", async () => {
  const name = newName("busy");
  await begin(name);
  await rejects(begin(name), 409, "Conflict");
});

testHeaders();
