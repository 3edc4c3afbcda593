// Secrets of their own (contract secrets.md, to the end).

import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, collect, create, newName, rejects, secrets, testHeaders, vaultUrl } from "../vault.js";

const interval = { intervalInMs: 100 };
const hour = 3600_000;

// soon is a time that the wire, which knows whole seconds, gives back.
function soon(milliseconds) {
  return new Date(Math.floor(Date.now() / 1000) * 1000 + milliseconds);
}

async function remove(name) {
  return (await secrets.beginDeleteSecret(name, interval)).pollUntilDone();
}

async function recover(name) {
  return (await secrets.beginRecoverDeletedSecret(name, interval)).pollUntilDone();
}

test("a secret is read back as it was set, though it is not valid yet", async () => {
  const name = newName("set");
  const value = "line\r\n<&> ä\t \u0000";
  const said = { contentType: "text/plain", tags: { team: "a" }, notBefore: soon(hour), expiresOn: soon(2 * hour) };
  const made = await secrets.setSecret(name, value, said);
  assert.equal(made.value, value);
  for (const [member, given] of Object.entries(said)) {
    assert.deepEqual(made.properties[member], given, member);
  }
  const { body } = answer("PUT", `/secrets/${name}`);
  assert.deepEqual(Object.keys(body).sort(), ["attributes", "contentType", "id", "tags", "value"]);
  assert.deepEqual(await secrets.getSecret(name), made);
  assert.deepEqual(answer("GET", `/secrets/${name}`).body, body);
  assert.deepEqual(await secrets.getSecret(name, { version: made.properties.version }), made);
});

test("every set is a version, with nothing of the one before", async () => {
  const name = newName("versions");
  const first = await secrets.setSecret(name, "one", { contentType: "a", tags: { a: "b" } });
  const second = await secrets.setSecret(name, "");
  assert.notEqual(second.properties.version, first.properties.version);
  assert.deepEqual(Object.keys(answer("PUT", `/secrets/${name}`).body).sort(), ["attributes", "id", "value"]);
  assert.equal((await secrets.getSecret(name)).value, "");
  assert.equal((await secrets.getSecret(name, { version: first.properties.version })).value, "one");
  const versions = await collect(secrets.listPropertiesOfSecretVersions(name));
  assert.deepEqual(
    versions.map((v) => v.version),
    [first, second].map((s) => s.properties.version),
  );
  assert.ok(answer("GET", `/secrets/${name}/versions`).body.value.every((item) => !("value" in item)));
  const listed = (await collect(secrets.listPropertiesOfSecrets())).filter((s) => s.name === name);
  assert.equal(listed.length, 1);
  assert.equal(listed[0].id, `${vaultUrl}/secrets/${name}`);
});

test("an update changes all but the value, of a disabled and an expired version too", async () => {
  const name = newName("update");
  const { version } = (await secrets.setSecret(name, "one")).properties;
  await secrets.setSecret(name, "two");
  const past = soon(-hour);
  const updated = await secrets.updateSecretProperties(name, version, { contentType: "b", tags: { a: "b" }, expiresOn: past });
  assert.deepEqual([updated.contentType, updated.tags, updated.expiresOn], ["b", { a: "b" }, past]);
  assert.ok(!("value" in answer("PATCH", `/secrets/${name}/${version}`).body));
  assert.equal((await secrets.getSecret(name, { version })).value, "one");
  assert.equal((await secrets.getSecret(name)).properties.contentType, undefined);

  await secrets.updateSecretProperties(name, "", { enabled: false });
  assert.equal(
    await rejects(secrets.getSecret(name), 403, "Forbidden", "SecretDisabled"),
    "Operation get is not allowed on a disabled secret.",
  );
  await secrets.updateSecretProperties(name, "", { enabled: true, tags: {} });
  assert.deepEqual(answer("PATCH", `/secrets/${name}`).body.tags, {});
  assert.equal((await secrets.getSecret(name)).value, "two");
});

test("a deleted secret is recovered with all versions, or purged for ever", async () => {
  const name = newName("delete");
  const first = await secrets.setSecret(name, "one");
  const made = await secrets.setSecret(name, "two", { contentType: "t", tags: { a: "b" } });
  const deleted = await remove(name);
  assert.equal(deleted.recoveryId ?? deleted.properties.recoveryId, `${vaultUrl}/deletedsecrets/${name}`);
  const { body } = answer("DELETE", `/secrets/${name}`);
  assert.ok(!("value" in body));
  assert.equal(body.id, made.properties.id);
  assert.equal(body.scheduledPurgeDate - body.deletedDate, made.properties.recoverableDays * 86400);
  await secrets.getDeletedSecret(name);
  assert.deepEqual(answer("GET", `/deletedsecrets/${name}`).body, body);
  const listed = (await collect(secrets.listDeletedSecrets())).filter((d) => d.name === name);
  assert.equal(listed.length, 1);
  await rejects(secrets.getSecret(name), 404, "SecretNotFound");
  const taken = await rejects(secrets.setSecret(name, "x"), 409, "Conflict", "ObjectIsDeletedButRecoverable");
  assert.match(taken, /deleted but recoverable state/);
  await rejects(create(name, { issuerName: "Self", subject: "CN=x" }), 409, "Conflict");

  const recovered = await recover(name);
  assert.equal(recovered.version ?? recovered.properties.version, made.properties.version);
  assert.deepEqual(await secrets.getSecret(name), made);
  assert.equal((await secrets.getSecret(name, { version: first.properties.version })).value, "one");
  await rejects(secrets.getDeletedSecret(name), 404, "SecretNotFound");

  await remove(name);
  await secrets.purgeDeletedSecret(name);
  assert.equal(answer("DELETE", `/deletedsecrets/${name}`).status, 204);
  await rejects(secrets.getDeletedSecret(name), 404, "SecretNotFound");
  assert.notEqual((await secrets.setSecret(name, "anew")).properties.version, made.properties.version);
});

test("a backup restores every version, where the name is free", async () => {
  const name = newName("backup");
  const first = await secrets.setSecret(name, "one");
  const made = await secrets.setSecret(name, "two", { contentType: "t", tags: { a: "b" } });
  const backup = await secrets.backupSecret(name);
  assert.match(answer("POST", `/secrets/${name}/backup`).body.value, /^[A-Za-z0-9_-]+$/);
  assert.match(
    await rejects(secrets.restoreSecretBackup(backup), 409, "Conflict"),
    new RegExp(`^There was a conflict restoring the secret '${name}/${made.properties.version}'\\.`),
  );
  await remove(name);
  await rejects(secrets.restoreSecretBackup(backup), 409, "Conflict");
  await secrets.purgeDeletedSecret(name);
  const restored = await secrets.restoreSecretBackup(backup);
  assert.deepEqual(restored, made.properties);
  assert.deepEqual(await secrets.getSecret(name), made);
  assert.equal((await secrets.getSecret(name, { version: first.properties.version })).value, "one");

  backup[backup.length >> 1] ^= 1;
  await rejects(secrets.restoreSecretBackup(backup), 400, "Malformed backup blob");
});

test("what cannot be is refused", async () => {
  const name = newName("refused");
  assert.match(
    await rejects(secrets.getSecret(name), 404, "SecretNotFound"),
    new RegExp(`^A secret with \\(name/id\\) ${name} was not found in this key vault\\.`),
  );
  assert.equal(
    await rejects(secrets.setSecret(name, "a".repeat(25_601)), 400, "BadParameter", "SecretTooLarge"),
    "Secret is beyond the maximum permitted length of 25600 characters.",
  );
  await rejects(secrets.setSecret("under_score", "x"), 400, "BadParameter");
  await rejects(secrets.beginDeleteSecret(name), 404, "SecretNotFound");
  assert.equal((await secrets.setSecret(name, "a".repeat(25_600))).value.length, 25_600);
  await rejects(create(name, { issuerName: "Self", subject: "CN=x" }), 409, "Conflict");
});

testHeaders();
