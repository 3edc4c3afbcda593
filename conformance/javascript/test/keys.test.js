// Keys of their own (contract keys.md, to the end), judged by Node's crypto.

import assert from "node:assert/strict";
import { constants, createHash, createPublicKey, generateKeyPairSync, privateDecrypt, publicEncrypt, verify as verifies } from "node:crypto";
import { test } from "node:test";
import { answer, collect, create, cryptography, keys, newName, rejects, testHeaders, vaultUrl } from "../vault.js";

const interval = { intervalInMs: 100 };
const day = 24 * 3600_000;
const message = Buffer.from("to be signed");
const plain = Buffer.from("attack at dawn");

const bytes = (text) => Buffer.from(text, "base64url");

const digestOf = (hash) => createHash(hash).update(message).digest();

// publicKey is the key of an answer on the wire as Node reads it.
function publicKey(method, path) {
  return createPublicKey({ key: answer(method, path).body.key, format: "jwk" });
}

async function remove(name) {
  return (await keys.beginDeleteKey(name, interval)).pollUntilDone();
}

async function recover(name) {
  return (await keys.beginRecoverDeletedKey(name, interval)).pollUntilDone();
}

test("a key is read back and updated", async () => {
  const name = newName("made");
  const said = { keyOps: ["verify", "sign"], tags: { team: "a" }, expiresOn: new Date(Math.floor(Date.now() / 1000) * 1000 + 400 * day) };
  const made = await keys.createEcKey(name, { ...said, curve: "P-384" });
  const { body } = answer("POST", `/keys/${name}/create`);
  assert.deepEqual(Object.keys(body).sort(), ["attributes", "key", "tags"]);
  assert.deepEqual(Object.keys(body.key).sort(), ["crv", "key_ops", "kid", "kty", "x", "y"]);
  assert.deepEqual(made.keyOperations, said.keyOps);
  assert.deepEqual(made.properties.expiresOn, said.expiresOn);
  assert.deepEqual(await keys.getKey(name), made);
  assert.deepEqual(await keys.getKey(name, { version: made.properties.version }), made);

  const second = await keys.createRsaKey(name, { keySize: 3072 });
  assert.equal(bytes(answer("POST", `/keys/${name}/create`).body.key.n).length, 384);
  const changed = await keys.updateKeyProperties(name, made.properties.version, { enabled: false, keyOps: ["verify"], tags: {} });
  assert.deepEqual([changed.properties.enabled, changed.keyOperations, changed.properties.tags], [false, ["verify"], {}]);
  assert.deepEqual(changed.properties.expiresOn, said.expiresOn);
  assert.equal((await keys.getKey(name)).id, second.id);
  const versions = (await collect(keys.listPropertiesOfKeyVersions(name))).map((v) => v.version);
  assert.deepEqual(new Set(versions), new Set([made.properties.version, second.properties.version]));
  assert.equal((await collect(keys.listPropertiesOfKeys())).filter((k) => k.name === name).length, 1);
});

const curves = [
  ["P-256", "ES256", "sha256", 32],
  ["P-384", "ES384", "sha384", 48],
  ["P-521", "ES512", "sha512", 66],
  ["P-256K", "ES256K", "sha256", 32],
];

// nodes is what Node calls a curve.
function nodes(curve) {
  return curve === "P-256K" ? "secp256k1" : curve;
}

for (const [curve, algorithm, hash, octets] of curves) {
  test(`a key on ${curve} signs`, async () => {
    const name = newName("ec");
    const made = await keys.createEcKey(name, { curve });
    const client = cryptography(made);
    const { result } = await client.sign(algorithm, digestOf(hash));
    assert.equal(result.length, 2 * octets);
    const jwk = { ...answer("POST", `/keys/${name}/create`).body.key };
    assert.deepEqual([bytes(jwk.x).length, bytes(jwk.y).length], [octets, octets]);
    jwk.crv = nodes(curve);
    const key = createPublicKey({ key: jwk, format: "jwk" });
    assert.ok(verifies(hash, message, { key, dsaEncoding: "ieee-p1363" }, result));
    assert.ok((await client.verify(algorithm, digestOf(hash), result)).result);
    result[7] ^= 1;
    assert.equal((await client.verify(algorithm, digestOf(hash), result)).result, false);
  });
}

test("an RSA key signs", async () => {
  const name = newName("rsa");
  const client = cryptography(await keys.createRsaKey(name));
  const key = publicKey("POST", `/keys/${name}/create`);
  for (const bits of [256, 384, 512]) {
    const hash = `sha${bits}`;
    const pkcs1 = await client.sign(`RS${bits}`, digestOf(hash));
    assert.ok(verifies(hash, message, key, pkcs1.result));
    assert.ok((await client.verify(`RS${bits}`, digestOf(hash), pkcs1.result)).result);
    const pss = await client.sign(`PS${bits}`, digestOf(hash));
    const padding = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    assert.ok(verifies(hash, message, padding, pss.result));
    assert.ok((await client.verify(`PS${bits}`, digestOf(hash), pss.result)).result);
  }
});

for (const [algorithm, padding] of [
  ["RSA-OAEP", { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" }],
  ["RSA-OAEP-256", { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }],
]) {
  test(`an imported key decrypts ${algorithm} of others`, async () => {
    const name = newName("import");
    const { privateKey, publicKey: outside } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const jwk = privateKey.export({ format: "jwk" });
    const given = { kty: "RSA" };
    for (const member of ["n", "e", "d", "p", "q", "dp", "dq", "qi"]) {
      given[member] = bytes(jwk[member]);
    }
    const client = cryptography(await keys.importKey(name, given));
    const { body } = answer("PUT", `/keys/${name}`);
    assert.deepEqual(Object.keys(body.key).sort(), ["e", "key_ops", "kid", "kty", "n"]);
    assert.equal(body.key.n, jwk.n);
    const there = publicEncrypt({ key: outside, ...padding }, plain);
    assert.deepEqual(Buffer.from((await client.decrypt({ algorithm, ciphertext: there })).result), plain);
    assert.deepEqual(Buffer.from((await client.unwrapKey(algorithm, there)).result), plain);
    const here = await client.encrypt({ algorithm, plaintext: plain });
    assert.deepEqual(privateDecrypt({ key: privateKey, ...padding }, here.result), plain);
    const wrapped = await client.wrapKey(algorithm, plain);
    assert.deepEqual(privateDecrypt({ key: privateKey, ...padding }, wrapped.result), plain);
    there[9] ^= 1;
    await rejects(client.decrypt({ algorithm, ciphertext: there }), 400, "BadParameter");
  });
}

for (const [curve, algorithm, hash] of curves) {
  test(`an imported key on ${curve} signs`, async () => {
    const name = newName("import");
    const { privateKey, publicKey: outside } = generateKeyPairSync("ec", { namedCurve: nodes(curve) });
    const jwk = privateKey.export({ format: "jwk" });
    const given = { kty: "EC", crv: curve };
    for (const member of ["x", "y", "d"]) {
      given[member] = bytes(jwk[member]);
    }
    const client = cryptography(await keys.importKey(name, given));
    const { key } = answer("PUT", `/keys/${name}`).body;
    assert.deepEqual([key.kty, key.crv, key.x, key.y, key.d], ["EC", curve, jwk.x, jwk.y, undefined]);
    const { result } = await client.sign(algorithm, digestOf(hash));
    assert.ok(verifies(hash, message, { key: outside, dsaEncoding: "ieee-p1363" }, result));
  });
}

test("a deleted key comes back, or is purged and restored", async () => {
  const name = newName("deleted");
  const made = await keys.createEcKey(name);
  const blob = await keys.backupKey(name);
  const gone = await remove(name);
  assert.equal(gone.properties.recoveryId, `${vaultUrl}/deletedkeys/${name}`);
  assert.ok((await collect(keys.listDeletedKeys())).some((k) => k.name === name));
  await rejects(keys.getKey(name), 404, "KeyNotFound");
  await rejects(keys.createEcKey(name), 409, "Conflict", "ObjectIsDeletedButRecoverable");
  assert.equal((await recover(name)).id, made.id);
  await rejects(keys.restoreKeyBackup(blob), 409, "Conflict");
  await remove(name);
  await keys.purgeDeletedKey(name);
  await rejects(keys.getDeletedKey(name), 404, "KeyNotFound");
  assert.deepEqual(await keys.restoreKeyBackup(blob), made);
  blob[blob.length - 1] ^= 1;
  await rejects(keys.restoreKeyBackup(blob), 400, "Malformed backup blob");
  await remove(name);
  await keys.purgeDeletedKey(name);
});

test("a key rotates, and has a policy", async () => {
  const name = newName("rotate");
  const made = await keys.createEcKey(name, { tags: { a: "b" } });
  const before = await keys.getKeyRotationPolicy(name);
  assert.deepEqual(before.lifetimeActions, [{ action: "Notify", timeAfterCreate: undefined, timeBeforeExpiry: "P30D" }]);
  const policy = await keys.updateKeyRotationPolicy(name, {
    expiresIn: "P90D",
    lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P60D" }],
  });
  assert.deepEqual(policy.lifetimeActions.map((a) => a.action), ["Rotate", "Notify"]);
  assert.deepEqual(await keys.getKeyRotationPolicy(name), policy);
  const rotated = await keys.rotateKey(name);
  assert.notEqual(rotated.id, made.id);
  assert.equal(rotated.properties.expiresOn - rotated.properties.createdOn, 90 * day);
  assert.deepEqual(rotated.properties.tags, { a: "b" });
  await rejects(keys.updateKeyRotationPolicy(name, { expiresIn: "P1D" }), 400, "BadParameter");
});

test("what a key may not do is refused", async () => {
  const name = newName("ops");
  const made = await keys.createRsaKey(name);
  const client = cryptography(made);
  const digest = digestOf("sha256");
  await client.sign("RS256", digest); // from now on the client knows the key as it was
  for (const [change, inner] of [
    [{ keyOps: ["verify"] }, "KeyOperationForbidden"],
    [{ notBefore: new Date(Date.now() + day) }, "KeyNotYetValid"],
    [{ notBefore: new Date(1000), expiresOn: new Date(2000) }, "KeyExpired"],
    [{ enabled: false }, "KeyDisabled"],
  ]) {
    await keys.updateKeyProperties(name, made.properties.version, change);
    await rejects(client.sign("RS256", digest), 403, "Forbidden", inner);
  }
  for (const create of ["createRsaKey", "createEcKey", "createOctKey"]) {
    await rejects(keys[create](name, { hsm: true }), 403, "Forbidden");
  }
  await rejects(keys.createKey(name, "oct"), 400, "BadParameter", "KeyTypeNotSupported");
  await rejects(keys.createRsaKey(name, { keySize: 1024 }), 400, "BadParameter", "KeySizeNotSupported");
});

test("the key of a certificate signs, and names do not meet", async () => {
  const name = newName("cert");
  await create(name, { issuerName: "Self", subject: "CN=localhost", keyType: "EC" });
  const key = await keys.getKey(name);
  const { result } = await cryptography(key).sign("ES256", digestOf("sha256"));
  assert.ok(verifies("sha256", message, { key: publicKey("GET", `/keys/${name}`), dsaEncoding: "ieee-p1363" }, result));
  await rejects(keys.createEcKey(name), 403, "Forbidden", "KeyManagedByKeyVault");
  const own = newName("own");
  await keys.createEcKey(own);
  await rejects(create(own, { issuerName: "Self", subject: "CN=localhost", keyType: "EC" }), 409, "Conflict");
});

test("random bytes are given", async () => {
  assert.equal((await keys.getRandomBytes(128)).length, 128);
  await rejects(keys.getRandomBytes(129), 400, "BadParameter");
});

testHeaders();
