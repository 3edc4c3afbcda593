// Changing what a certificate says of itself, and its policy (contract certificates.md, 6.9, 8.6 and 8.10).

import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, certificates, create, newName, rejects, testHeaders } from "../vault.js";

const self = { issuerName: "Self", subject: "CN=update", keyType: "EC" };

test("tags and enabled change on the current version and on a named one", async () => {
  const name = newName("properties");
  const first = await create(name, self, { tags: { a: "1", b: "2" } });
  const second = await create(name, self);

  const updated = await certificates.updateCertificateProperties(name, "", { enabled: false, tags: { c: "3" } });
  assert.equal(updated.properties.version, second.properties.version);
  assert.equal(updated.properties.enabled, false);
  assert.deepEqual(updated.properties.tags, { c: "3" });
  assert.ok(updated.properties.updatedOn >= second.properties.updatedOn);
  assert.ok("policy" in answer("PATCH", `/certificates/${name}`).body);

  const old = await certificates.updateCertificateProperties(name, first.properties.version, { tags: { d: "4" } });
  assert.equal(old.properties.enabled, true);
  assert.deepEqual(old.properties.tags, { d: "4" });
  assert.deepEqual((await certificates.getCertificate(name)).properties, updated.properties);
  assert.deepEqual((await certificates.getCertificateVersion(name, first.properties.version)).properties, old.properties);
});

test("tags stay when they are not sent, and go when they are sent empty", async () => {
  const name = newName("tags");
  await create(name, self, { tags: { a: "1" } });
  const kept = await certificates.updateCertificateProperties(name, "", { enabled: true });
  assert.deepEqual(kept.properties.tags, { a: "1" });
  const cleared = await certificates.updateCertificateProperties(name, "", { tags: {} });
  assert.equal(cleared.properties.tags, undefined);
});

test("dates of a certificate cannot be changed, and asking for it is no error", async () => {
  const name = newName("dates");
  const made = await create(name, self);
  const updated = await certificates.updateCertificateProperties(name, "", { expiresOn: new Date("2100-01-01T00:00:00Z") });
  assert.equal(+updated.properties.expiresOn, +made.properties.expiresOn);
});

test("a policy is changed member by member", async () => {
  const name = newName("policy");
  await create(name, { ...self, keyType: "RSA", keyUsage: ["dataEncipherment"], subjectAlternativeNames: { dnsNames: ["a.example.net"] } });
  const before = await certificates.getCertificatePolicy(name);
  await certificates.updateCertificatePolicy(name, { validityInMonths: 24 });
  const after = await certificates.getCertificatePolicy(name);
  assert.deepEqual({ ...after, updatedOn: 0 }, { ...before, updatedOn: 0, validityInMonths: 24 });
  assert.deepEqual((await certificates.getCertificate(name)).policy, after);
  const { body } = answer("PATCH", `/certificates/${name}/policy`);
  assert.deepEqual(body, answer("GET", `/certificates/${name}/policy`).body);
});

test("a policy for RSA becomes one for a curve without a look at the key usage", async () => {
  const name = newName("kty");
  await create(name, { ...self, keyType: "RSA", keyUsage: ["dataEncipherment"] });
  await certificates.updateCertificatePolicy(name, {
    keyType: "EC", keyCurveName: "P-256K", keySize: 256, exportable: true, reuseKey: false,
  });
  const { key_props, x509_props } = answer("PATCH", `/certificates/${name}/policy`).body;
  assert.deepEqual(key_props, { exportable: true, kty: "EC", key_size: 256, reuse_key: false, crv: "P-256K" });
  assert.deepEqual(x509_props.key_usage, ["dataEncipherment"]);
});

test("a policy that the rules forbid is refused and changes nothing", async () => {
  const name = newName("badpolicy");
  await create(name, self);
  const before = await certificates.getCertificatePolicy(name);
  await rejects(certificates.updateCertificatePolicy(name, { subject: "no name" }), 400, "BadParameter");
  assert.deepEqual(await certificates.getCertificatePolicy(name), before);
});

test("what does not exist cannot be changed", async () => {
  const name = newName("nobody");
  await rejects(certificates.updateCertificateProperties(name, "", {}), 404, "CertificateNotFound");
  await rejects(certificates.updateCertificatePolicy(name, {}), 404, "CertificateNotFound");
  await rejects(certificates.getCertificatePolicy(name), 404, "CertificateNotFound");
});

testHeaders();
