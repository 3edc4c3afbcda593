// What belongs to the vault and not to one certificate: contacts and issuers (contract certificates.md,
// 8.13 and 8.14). The contacts are the vault's only ones, so every test about them is here.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, certificates, collect, newName, rejects, testHeaders, vaultUrl } from "../vault.js";

test("contacts come back as they were set, in their order, until they are deleted", async () => {
  const contacts = [
    { email: "one@example.net", name: "One", phone: "1111111111" },
    { email: "two@example.net", name: "Two" },
    { email: "three@example.net" },
  ];
  const sent = contacts.map((c) => ({ ...c }));
  const expected = contacts.map((c) => ({ name: undefined, phone: undefined, ...c }));
  assert.deepEqual(await certificates.setContacts(sent), expected);
  assert.deepEqual(answer("PUT", "/certificates/contacts").body, { id: `${vaultUrl}/certificates/contacts`, contacts });
  assert.deepEqual(await certificates.getContacts(), expected);
  assert.deepEqual(await certificates.setContacts(sent.slice(2)), expected.slice(2));
  await certificates.deleteContacts();
  assert.deepEqual(answer("DELETE", "/certificates/contacts").body, answer("PUT", "/certificates/contacts").body);
  assert.equal(await rejects(certificates.getContacts(), 404, "ContactsNotFound"), "Contacts not found");
  await rejects(certificates.deleteContacts(), 404, "ContactsNotFound");
});

test("an issuer is set, read, changed, listed and deleted", async () => {
  const name = newName("issuer");
  const administrator = { firstName: "Ana", lastName: "Li", email: "ana@example.net", phone: "4255550100" };
  const set = await certificates.createIssuer(name, "Test", {
    accountId: "keyvaultuser",
    password: "s3cret",
    organizationId: "5678",
    administratorContacts: [administrator],
  });
  assert.equal(set.id, `${vaultUrl}/certificates/issuers/${name}`);
  assert.equal(set.provider, "Test");
  assert.equal(set.accountId, "keyvaultuser");
  assert.equal(set.password, undefined);
  assert.equal(set.organizationId, "5678");
  assert.deepEqual(set.administratorContacts, [administrator]);
  assert.equal(set.enabled, true);
  const { sent, body } = answer("PUT", `/certificates/issuers/${name}`);
  assert.equal(sent.credentials.pwd, "s3cret");
  assert.deepEqual(body.credentials, { account_id: "keyvaultuser" });
  assert.equal(body.org_details.zip, 0);

  assert.deepEqual(await certificates.getIssuer(name), set);
  assert.deepEqual(answer("GET", `/certificates/issuers/${name}`).body, body);

  const updated = await certificates.updateIssuer(name, { provider: "Other" });
  assert.deepEqual({ ...updated, updatedOn: 0 }, { ...set, provider: "Other", updatedOn: 0 });
  const listed = (await collect(certificates.listPropertiesOfIssuers())).find((i) => i.id === set.id);
  assert.equal(listed.provider, "Other");
  const items = answer("GET", "/certificates/issuers").body.value;
  assert.deepEqual(items.find((i) => i.id === set.id), { id: set.id, provider: "Other" });

  assert.deepEqual(await certificates.deleteIssuer(name), updated);
  assert.equal(await rejects(certificates.getIssuer(name), 404, "CertificateIssuerNotFound"), "Issuer not found");
  await rejects(certificates.updateIssuer(name, {}), 404, "CertificateIssuerNotFound");
  await rejects(certificates.deleteIssuer(name), 404, "CertificateIssuerNotFound");
});

test("an issuer is replaced wholly, and stays as old as it was", async () => {
  const name = newName("replaced");
  const first = await certificates.createIssuer(name, "Test", { accountId: "a", organizationId: "1" });
  const second = await certificates.createIssuer(name, "Test", { enabled: false });
  assert.equal(+second.createdOn, +first.createdOn);
  assert.equal(second.accountId, undefined);
  assert.equal(second.organizationId, undefined);
  assert.equal(second.enabled, false);
  await certificates.deleteIssuer(name);
});

for (const builtIn of ["Self", "unknown"]) {
  test(`${builtIn} is no name for an issuer`, async () => {
    await rejects(certificates.createIssuer(builtIn, "Test"), 400, "BadParameter");
  });
}

testHeaders();
