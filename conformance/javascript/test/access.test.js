// Who may ask, and what unauthenticated callers are told (identity contract 3 to 6; certificates.md, 2.9 and 15).

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientSecretCredential, EnvironmentCredential, ManagedIdentityCredential } from "@azure/identity";
import { answers, certificates, certificatesAs, collect, create, newName, rejects, secretsAs, testHeaders } from "../vault.js";

const { AZURE_TENANT_ID, AZURE_CLIENT_ID, LIMITED_CLIENT_ID, LIMITED_CLIENT_SECRET } = process.env;
const limited = new ClientSecretCredential(AZURE_TENANT_ID, LIMITED_CLIENT_ID, LIMITED_CLIENT_SECRET);

for (const [what, credential] of [
  ["EnvironmentCredential", new EnvironmentCredential()],
  ["ManagedIdentityCredential", new ManagedIdentityCredential()],
]) {
  test(`${what} needs nothing but the environment`, async () => {
    const list = certificatesAs(credential).listPropertiesOfCertificates({ maxresults: 1 });
    await list.byPage().next();
  });
}

test("the first request of a client has neither token nor body, and is challenged", async () => {
  const name = newName("challenge");
  const client = certificatesAs(new EnvironmentCredential());
  await client.createIssuer(name, "Test");
  const [challenged, answered] = answers("PUT", `/certificates/issuers/${name}`);
  assert.equal(challenged.status, 401);
  assert.equal(challenged.sent, undefined);
  assert.deepEqual(challenged.body, {
    error: { code: "Unauthorized", message: "AKV10000: Request is missing a Bearer or PoP token." },
  });
  assert.equal(answered.status, 200);
  await client.deleteIssuer(name);
});

test("a token that is none is unauthorized", async () => {
  const client = certificatesAs({
    getToken: async () => ({ token: "garbage", expiresOnTimestamp: Date.now() + 3600_000 }),
  });
  const message = await rejects(client.getCertificate(newName("nobody")), 401, "Unauthorized");
  assert.match(message, /^AKV100\d\d: /);
  assert.ok(!message.includes("garbage"), "the token is not repeated");
});

test("a wrong secret gets no token", async () => {
  const client = certificatesAs(new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, "wrong-secret"));
  await assert.rejects(client.getCertificate(newName("nobody")), (error) => {
    assert.match(error.message, /AADSTS7000215/);
    assert.ok(!error.message.includes("wrong-secret"), "the secret is not repeated");
    return true;
  });
});

test("an application that may only list is refused everything else, whether the name exists or not", async () => {
  const name = newName("refused");
  await create(name, { issuerName: "Self", subject: "CN=refused", keyType: "EC" });
  const client = certificatesAs(limited);
  const listed = await collect(client.listPropertiesOfCertificates());
  assert.ok(listed.some((p) => p.name === name));
  assert.equal((await collect(client.listPropertiesOfCertificateVersions(name))).length, 1);

  for (const target of [name, newName("nobody")]) {
    for (const attempt of [
      () => client.getCertificate(target),
      () => client.getCertificatePolicy(target),
      () => client.getDeletedCertificate(target),
      () => client.beginCreateCertificate(target, { issuerName: "Self", subject: "CN=x" }),
      () => client.importCertificate(target, Buffer.from("x")),
      () => client.updateCertificateProperties(target, "", {}),
      () => client.updateCertificatePolicy(target, {}),
      () => client.mergeCertificate(target, [Buffer.from("x")]),
      () => client.deleteCertificateOperation(target),
      () => client.backupCertificate(target),
      () => client.beginDeleteCertificate(target),
      () => client.purgeDeletedCertificate(target),
      () => client.getIssuer(target),
      () => client.createIssuer(target, "Test"),
    ]) {
      await forbidden(attempt());
    }
    await forbidden(secretsAs(limited).getSecret(target));
  }
  await forbidden(client.setContacts([{ email: "a@example.net" }]));
  await forbidden(client.restoreCertificateBackup(Buffer.from("x")));
  assert.equal((await certificates.getCertificate(name)).properties.enabled, true);
});

async function forbidden(promise) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.statusCode, 403, error.message);
    assert.equal(error.code, "Forbidden");
    return true;
  });
}

test("what does not exist is not found, and the message names it", async () => {
  const name = newName("nobody");
  const message = await rejects(certificates.getCertificate(name), 404, "CertificateNotFound");
  assert.equal(
    message,
    `A certificate with (name/id) ${name} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
  );
  const deleted = await rejects(certificates.getDeletedCertificate(name), 404, "CertificateNotFound");
  assert.equal(deleted, `Deleted Certificate not found: ${name}`);
  const version = "0123456789abcdef0123456789abcdef";
  await rejects(certificates.getCertificateVersion(name, version), 404, "CertificateNotFound");
});

test("a name with a letter that names cannot have is a bad parameter", async () => {
  const message = await rejects(certificates.getCertificate("not_a_name"), 400, "BadParameter");
  assert.match(message, /^The request URI contains an invalid name: not_a_name/);
});

test("a name is one name in every casing, and keeps the casing of its creation", async () => {
  const name = newName("Casing");
  await create(name, { issuerName: "Self", subject: "CN=casing", keyType: "EC" });
  assert.equal((await certificates.getCertificate(name.toUpperCase())).name, name);
});

testHeaders();
