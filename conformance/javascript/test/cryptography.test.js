// What the cryptography client does by itself and what it leaves to the vault (contract keys.md, 5.1, 8, 11). One
// that may read the key encrypts and wraps RSA1_5 and RSA-OAEP and verifies data by itself; one that may not sends
// everything to the vault.

import assert from "node:assert/strict";
import { constants, createHash, createPublicKey, publicEncrypt } from "node:crypto";
import { test } from "node:test";
import { ClientSecretCredential } from "@azure/identity";
import { CryptographyClient } from "@azure/keyvault-keys";
import { answer, answers, cryptography, keys, newName, rejects, testHeaders } from "../vault.js";

const { AZURE_TENANT_ID, LIMITED_CLIENT_ID, LIMITED_CLIENT_SECRET } = process.env;
const limited = new ClientSecretCredential(AZURE_TENANT_ID, LIMITED_CLIENT_ID, LIMITED_CLIENT_SECRET);
const plain = Buffer.from("attack at dawn");
const message = Buffer.from("to be signed");
const day = 24 * 3600_000;

const digestOf = (hash) => createHash(hash).update(message).digest();

async function opened(client, algorithm, ciphertext) {
  assert.deepEqual(Buffer.from((await client.decrypt({ algorithm, ciphertext })).result), plain);
  assert.deepEqual(Buffer.from((await client.unwrapKey(algorithm, ciphertext)).result), plain);
}

for (const [algorithm, here] of [
  ["RSA1_5", true],
  ["RSA-OAEP", true],
  ["RSA-OAEP-256", false],
]) {
  test(`what is encrypted with ${algorithm} on either side is decrypted`, async () => {
    const made = await keys.createRsaKey(newName("encrypt"));
    const version = new URL(made.id).pathname;
    const reader = cryptography(made);
    const remoteOnly = cryptography(made, limited);
    const clients = here ? [new CryptographyClient(made.key), reader, remoteOnly] : [reader, remoteOnly];
    for (const client of clients) {
      const { result: sealed } = await client.encrypt({ algorithm, plaintext: plain });
      const { result: wrapped } = await client.wrapKey(algorithm, plain);
      await opened(reader, algorithm, sealed);
      await opened(remoteOnly, algorithm, wrapped);
    }
    const sent = here ? 1 : 2;
    assert.equal(answers("POST", `${version}/encrypt`).filter((e) => e.status === 200).length, sent);
    assert.equal(answers("POST", `${version}/wrapkey`).filter((e) => e.status === 200).length, sent);
  });
}

test("what Node encrypts with RSA1_5 is decrypted", async () => {
  const name = newName("pkcs1");
  const client = cryptography(await keys.createRsaKey(name));
  const key = createPublicKey({ key: answer("POST", `/keys/${name}/create`).body.key, format: "jwk" });
  const there = publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, plain);
  await opened(client, "RSA1_5", there);
  there[9] ^= 1;
  await rejects(client.decrypt({ algorithm: "RSA1_5", ciphertext: there }), 400, "BadParameter");
});

test("data is signed and verified on either side", async () => {
  const rsa = await keys.createRsaKey(newName("rsa"));
  const [reader, remoteOnly] = [cryptography(rsa), cryptography(rsa, limited)];
  for (const bits of [256, 384, 512]) {
    for (const scheme of ["RS", "PS"]) {
      const algorithm = `${scheme}${bits}`;
      const { result } = await reader.signData(algorithm, message);
      assert.ok((await remoteOnly.verify(algorithm, digestOf(`sha${bits}`), result)).result, algorithm);
      assert.ok((await remoteOnly.verifyData(algorithm, message, result)).result, algorithm);
      // By itself this client verifies every signature as PKCS#1 v1.5, those of PS* too.
      if (scheme === "RS") {
        assert.ok((await new CryptographyClient(rsa.key).verifyData(algorithm, message, result)).result, algorithm);
      }
      result[7] ^= 1;
      assert.equal((await remoteOnly.verifyData(algorithm, message, result)).result, false, algorithm);
    }
  }
  for (const [curve, algorithm] of [["P-256", "ES256"], ["P-384", "ES384"], ["P-521", "ES512"], ["P-256K", "ES256K"]]) {
    const made = await keys.createEcKey(newName("ec"), { curve });
    const { result } = await cryptography(made, limited).signData(algorithm, message);
    assert.ok((await cryptography(made).verifyData(algorithm, message, result)).result, algorithm);
    result[7] ^= 1;
    assert.equal((await cryptography(made, limited).verifyData(algorithm, message, result)).result, false, algorithm);
  }
});

test("an expired key opens and verifies what it closed and signed", async () => {
  const made = await keys.createRsaKey(newName("expired"));
  const client = cryptography(made, limited);
  const { result: sealed } = await client.encrypt({ algorithm: "RSA-OAEP", plaintext: plain });
  const { result: signature } = await client.signData("RS256", message);
  const [notBefore, expiresOn] = [new Date(Date.now() - 2 * day), new Date(Date.now() - day)];
  await keys.updateKeyProperties(made.name, made.properties.version, { notBefore, expiresOn });
  await opened(client, "RSA-OAEP", sealed);
  assert.ok((await client.verifyData("RS256", message, signature)).result);
  for (const attempt of [
    () => client.encrypt({ algorithm: "RSA-OAEP", plaintext: plain }),
    () => client.wrapKey("RSA-OAEP", plain),
    () => client.signData("RS256", message),
  ]) {
    await rejects(attempt(), 403, "Forbidden", "KeyExpired");
  }
});

testHeaders();
