// The secret and the key of a certificate (contract certificates.md, 7 and 13.1; secrets.md, 6).

import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { base64, readPem, readPfx } from "../openssl.js";
import { answer, certificates, collect, create, keys, newName, rejects, secrets, testHeaders } from "../vault.js";

const self = { issuerName: "Self", subject: "CN=localhost", subjectAlternativeNames: { dnsNames: ["localhost"] } };
const pfx = "application/x-pkcs12";
const pem = "application/x-pem-file";

for (const [contentType, read] of [
  [pfx, readPfx],
  [pem, readPem],
]) {
  for (const keyType of ["RSA", "EC"]) {
    test(`the secret as ${contentType} holds the certificate and its ${keyType} key`, async () => {
      const name = newName("secret");
      const made = await create(name, { ...self, keyType, contentType });
      const secret = await secrets.getSecret(name);
      assert.equal(secret.properties.id, made.secretId);
      assert.equal(secret.properties.contentType, contentType);
      assert.equal(secret.properties.managed, true);
      assert.equal(secret.properties.certificateKeyId, made.keyId);
      for (const same of ["enabled", "notBefore", "expiresOn", "createdOn", "updatedOn", "recoveryLevel", "recoverableDays"]) {
        assert.deepEqual(secret.properties[same], made.properties[same], same);
      }
      const { key, certificates: held } = read(secret.value);
      assert.deepEqual(held.map(base64), [base64(made.cer)]);
      assert.ok(held[0].checkPrivateKey(key));
      assert.equal((await secrets.getSecret(name, { version: made.properties.version })).value, secret.value);
    });

    test(`the ${keyType} key in ${contentType} stays in the vault when it is not exportable`, async () => {
      const name = newName("locked");
      const made = await create(name, { ...self, keyType, contentType, exportable: false });
      const { key, certificates: held } = read((await secrets.getSecret(name)).value);
      assert.equal(key, undefined);
      assert.deepEqual(held.map(base64), [base64(made.cer)]);
      assert.equal((await keys.getKey(name)).id, made.keyId);
    });
  }
}

for (const keyType of ["RSA", "EC"]) {
  test(`a TLS server runs on the PFX with its ${keyType} key`, async () => {
    const name = newName("tls");
    const made = await create(name, { ...self, keyType });
    const value = Buffer.from((await secrets.getSecret(name)).value, "base64");
    const server = createServer({ pfx: value, passphrase: "" }, (socket) => socket.end("hello")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect({
      host: "127.0.0.1",
      port: server.address().port,
      servername: "localhost",
      ca: new X509Certificate(made.cer).toString(),
    });
    const [data] = await once(client, "data");
    assert.equal(`${data}`, "hello");
    assert.ok(client.authorized);
    client.destroy();
    server.close();
  });
}

for (const [keyType, members, operations] of [
  ["RSA", ["n", "e"], ["sign", "verify", "wrapKey", "unwrapKey"]],
  ["EC", ["crv", "x", "y"], ["sign", "verify"]],
]) {
  test(`the ${keyType} key of a certificate is its public half`, async () => {
    const name = newName("key");
    const made = await create(name, { ...self, keyType, exportable: false });
    const key = await keys.getKey(name);
    assert.equal(key.id, made.keyId);
    assert.equal(key.properties.managed, true);
    assert.deepEqual(key.keyOperations, operations);
    const { body } = answer("GET", `/keys/${name}`);
    assert.deepEqual(Object.keys(body.key).sort(), ["kid", "kty", "key_ops", ...members].sort());
    const ofKey = createPublicKey({ key: body.key, format: "jwk" });
    assert.ok(ofKey.equals(new X509Certificate(made.cer).publicKey));
  });
}

test("a disabled certificate keeps its secret to itself until it is enabled again", async () => {
  const name = newName("disabled");
  await create(name, { ...self, keyType: "EC" });
  await certificates.updateCertificateProperties(name, "", { enabled: false });
  assert.equal(
    await rejects(secrets.getSecret(name), 403, "Forbidden", "SecretDisabled"),
    "Operation get is not allowed on a disabled secret.",
  );
  assert.equal((await keys.getKey(name)).properties.enabled, false);
  await certificates.updateCertificateProperties(name, "", { enabled: true });
  assert.ok((await secrets.getSecret(name)).value);
});

test("the key and the secret are changed through their certificate only", async () => {
  const name = newName("managed");
  await create(name, { ...self, keyType: "EC" });
  const { version } = (await certificates.getCertificate(name)).properties;
  for (const [attempt, inner] of [
    [() => secrets.setSecret(name, "x"), "SecretManagedByKeyVault"],
    [() => secrets.updateSecretProperties(name, version, { enabled: false }), "SecretManagedByKeyVault"],
    [() => secrets.beginDeleteSecret(name), "SecretManagedByKeyVault"],
    [() => secrets.backupSecret(name), "SecretManagedByKeyVault"],
    [() => keys.createKey(name, "EC"), "KeyManagedByKeyVault"],
    [() => keys.updateKeyProperties(name, version, { enabled: false }), "KeyManagedByKeyVault"],
    [() => keys.beginDeleteKey(name), "KeyManagedByKeyVault"],
    [() => keys.backupKey(name), "KeyManagedByKeyVault"],
  ]) {
    await rejects(attempt(), 403, "Forbidden", inner);
  }
  assert.ok((await secrets.getSecret(name)).value);
});

test("the key and the secret are listed as managed, with every version", async () => {
  const name = newName("listed");
  const first = await create(name, { ...self, keyType: "EC" });
  const second = await create(name, { ...self, keyType: "EC" });
  const secret = (await collect(secrets.listPropertiesOfSecrets())).find((s) => s.name === name);
  assert.equal(secret.managed, true);
  assert.equal(secret.contentType, pfx);
  const key = (await collect(keys.listPropertiesOfKeys())).find((k) => k.name === name);
  assert.equal(key.managed, true);
  const expected = new Set([first, second].map((c) => c.properties.version));
  const ofSecret = await collect(secrets.listPropertiesOfSecretVersions(name));
  const ofKey = await collect(keys.listPropertiesOfKeyVersions(name));
  assert.deepEqual(new Set(ofSecret.map((s) => s.version)), expected);
  assert.deepEqual(new Set(ofKey.map((k) => k.version)), expected);
});

testHeaders();
