// Deleting, recovering, purging, backing up and restoring (contract certificates.md, 8.8, 8.9, 8.12).

import assert from "node:assert/strict";
import { test } from "node:test";
import { selfSigned, toPfx } from "../openssl.js";
import { answer, begin, certificates, collect, create, keys, newName, purge, rejects, remove, secrets, testHeaders, vaultUrl } from "../vault.js";

const self = { issuerName: "Self", subject: "CN=recover", keyType: "EC" };

async function recover(name) {
  const poller = await certificates.beginRecoverDeletedCertificate(name, { intervalInMs: 100 });
  return poller.pollUntilDone();
}

test("a deleted certificate is what it was, and takes its key and secret along", async () => {
  const name = newName("delete");
  await create(name, self, { tags: { env: "prod" } });
  const before = await certificates.getCertificate(name);
  const deleted = await remove(name);
  assert.deepEqual(deleted.cer, before.cer);
  assert.deepEqual(deleted.properties, before.properties);
  assert.deepEqual(deleted.policy, before.policy);
  assert.equal(deleted.keyId, before.keyId);
  assert.equal(deleted.secretId, before.secretId);
  assert.equal(deleted.recoveryId, `${vaultUrl}/deletedcertificates/${name}`);
  const retention = (deleted.scheduledPurgeDate - deleted.deletedOn) / 1000;
  assert.equal(retention, before.properties.recoverableDays * 86400);

  assert.deepEqual(await certificates.getDeletedCertificate(name), deleted);
  assert.deepEqual(answer("GET", `/deletedcertificates/${name}`).body, answer("DELETE", `/certificates/${name}`).body);
  const item = (await collect(certificates.listDeletedCertificates())).find((d) => d.name === name);
  assert.equal(+item.deletedOn, +deleted.deletedOn);
  assert.equal(+item.scheduledPurgeDate, +deleted.scheduledPurgeDate);
  assert.equal(item.recoveryId, deleted.recoveryId);
  assert.equal(item.properties.id, `${vaultUrl}/certificates/${name}`);
  assert.equal(item.properties.recoveryLevel, before.properties.recoveryLevel);
  assert.equal(item.properties.recoverableDays, before.properties.recoverableDays);
  assert.deepEqual(item.properties.tags, { env: "prod" });

  await rejects(certificates.getCertificate(name), 404, "CertificateNotFound");
  await rejects(certificates.getCertificatePolicy(name), 404, "CertificateNotFound");
  await rejects(certificates.updateCertificateProperties(name, "", {}), 404, "CertificateNotFound");
  await rejects(remove(name), 404, "CertificateNotFound");
  assert.deepEqual(await collect(certificates.listPropertiesOfCertificateVersions(name)), []);
  await rejects(secrets.getSecret(name), 404, "SecretNotFound");
  await rejects(keys.getKey(name), 404, "KeyNotFound");

  await rejects(create(name, self), 409, "Conflict", "ObjectIsDeletedButRecoverable");
  await rejects(certificates.importCertificate(name, toPfx(selfSigned())), 409, "Conflict", "ObjectIsDeletedButRecoverable");
});

test("a recovered certificate is the deleted one, with all versions, its key and its secret", async () => {
  const name = newName("recover");
  const first = await create(name, self);
  const second = await create(name, self);
  const value = (await secrets.getSecret(name)).value;
  const deleted = await remove(name);
  const recovered = await recover(name);
  const { body } = answer("POST", `/deletedcertificates/${name}/recover`);
  const { body: left } = answer("DELETE", `/certificates/${name}`);
  for (const same of ["id", "attributes", "policy"]) {
    assert.deepEqual(body[same], left[same], same);
  }
  assert.deepEqual(recovered.properties, deleted.properties);
  const versions = await collect(certificates.listPropertiesOfCertificateVersions(name));
  assert.deepEqual(versions.map((v) => v.version), [first, second].map((c) => c.properties.version));
  assert.equal((await secrets.getSecret(name)).value, value);
  assert.equal((await keys.getKey(name)).id, second.keyId);
  await rejects(certificates.getDeletedCertificate(name), 404, "CertificateNotFound");
});

test("a purged certificate is gone and its name is free", async () => {
  const name = newName("purge");
  const made = await create(name, self);
  await purge(name);
  const { status, body } = answer("DELETE", `/deletedcertificates/${name}`);
  assert.equal(status, 204);
  assert.equal(body, undefined);
  await rejects(certificates.getDeletedCertificate(name), 404, "CertificateNotFound");
  await rejects(certificates.purgeDeletedCertificate(name), 404, "CertificateNotFound");
  await rejects(recover(name), 404, "CertificateNotFound");
  const again = await create(name, self);
  assert.notEqual(again.properties.version, made.properties.version);
});

test("a backup restores every version after a purge, and nothing before", async () => {
  const name = newName("backup");
  const first = await create(name, self, { tags: { a: "1" } });
  const second = await create(name, { ...self, contentType: "application/x-pem-file" });
  const value = (await secrets.getSecret(name)).value;
  const backup = await certificates.backupCertificate(name);
  assert.match(answer("POST", `/certificates/${name}/backup`).body.value, /^[A-Za-z0-9_-]+$/);
  assert.ok(!Buffer.from(backup).includes("PRIVATE KEY"));

  await rejects(certificates.restoreCertificateBackup(backup), 409, "Conflict");
  await remove(name);
  await rejects(certificates.restoreCertificateBackup(backup), 409, "Conflict");
  await certificates.purgeDeletedCertificate(name);

  const restored = await certificates.restoreCertificateBackup(backup);
  assert.deepEqual(restored.properties, second.properties);
  assert.deepEqual(restored.policy, second.policy);
  assert.deepEqual(restored.cer, second.cer);
  assert.ok(!("pending" in answer("POST", "/certificates/restore").body));
  const old = await certificates.getCertificateVersion(name, first.properties.version);
  assert.deepEqual(old.properties, first.properties);
  assert.equal((await secrets.getSecret(name)).value, value);
  assert.equal((await keys.getKey(name)).id, second.keyId);
});

test("a placeholder can be deleted, recovered, backed up and restored", async () => {
  const name = newName("placeholder");
  await begin(name);
  const backup = await certificates.backupCertificate(name);
  const deleted = await remove(name);
  assert.equal(deleted.properties.enabled, false);
  const recovered = await recover(name);
  assert.deepEqual(recovered.properties, deleted.properties);
  await purge(name);
  const restored = await certificates.restoreCertificateBackup(backup);
  assert.deepEqual(restored.properties, deleted.properties);
  const { body } = answer("POST", "/certificates/restore");
  for (const absent of ["kid", "sid", "x5t", "cer", "pending"]) {
    assert.ok(!(absent in body), absent);
  }
});

test("a backup that somebody changed is refused", async () => {
  const name = newName("altered");
  await create(name, self);
  const backup = Buffer.from(await certificates.backupCertificate(name));
  await purge(name);
  backup[backup.length >> 1] ^= 1;
  await rejects(certificates.restoreCertificateBackup(backup), 400, "Malformed backup blob");
  await rejects(certificates.restoreCertificateBackup(Buffer.from("no backup")), 400, "Malformed backup blob");
  await rejects(certificates.backupCertificate(name), 404, "CertificateNotFound");
});

test("a certificate can be deleted while it is being made", async () => {
  const name = newName("early");
  await begin(name, { issuerName: "Self" });
  await remove(name);
  await certificates.purgeDeletedCertificate(name);
  await rejects(certificates.getCertificateOperation(name), 404, "CertificateNotFound");
});

testHeaders();
