// Lists and their pages (contract certificates.md, 2.6, 5.3, 8.4 and 8.5).

import assert from "node:assert/strict";
import { test } from "node:test";
import { selfSigned, toPfx } from "../openssl.js";
import { answer, answers, begin, certificates, collect, create, newName, purge, remove, testHeaders, vaultUrl } from "../vault.js";

// maxresults is sent as it is; the SDK's own name for the page size, maxPageSize, is not sent at all in
// this version of the certificates library.
const pages = { maxresults: 2 };

test("every certificate is on exactly one page, in the order of names", async () => {
  const prefix = newName("list");
  const made = new Map();
  for (let i = 0; i < 5; i++) {
    const name = `${prefix}-${i}`;
    made.set(name, await certificates.importCertificate(name, toPfx(selfSigned()), { tags: { at: `${i}` } }));
  }
  const seen = [];
  for await (const page of certificates.listPropertiesOfCertificates(pages).byPage()) {
    assert.ok(page.length <= 2);
    seen.push(...page);
  }
  const names = seen.map((p) => p.name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(names, names.toSorted((a, b) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1)));
  const ours = seen.filter((p) => p.name.startsWith(prefix));
  assert.deepEqual(ours.map((p) => p.name), [...made.keys()]);
  for (const item of ours) {
    const { properties } = made.get(item.name);
    assert.equal(item.id, `${vaultUrl}/certificates/${item.name}`);
    assert.equal(item.version, undefined);
    assert.equal(item.x509ThumbprintString, properties.x509ThumbprintString);
    for (const same of ["enabled", "notBefore", "expiresOn", "createdOn", "updatedOn", "tags"]) {
      assert.deepEqual(item[same], properties[same], same);
    }
  }

  const read = answers("GET", "/certificates").filter((e) => e.status === 200);
  for (const { body } of read.slice(0, -1)) {
    const next = new URL(body.nextLink);
    assert.equal(next.hostname, new URL(vaultUrl).hostname);
    assert.equal(next.pathname, "/certificates");
    assert.equal(next.searchParams.get("maxresults"), "2");
    assert.ok(next.searchParams.get("$skiptoken"));
  }
  assert.equal(read.at(-1).body.nextLink, null);
  const item = read.flatMap((e) => e.body.value).find((i) => i.id.endsWith(`/${prefix}-0`));
  assert.equal(item.subject, "");
  assert.ok(!("recoveryLevel" in item.attributes) && !("recoverableDays" in item.attributes));
});

test("a list has 25 items a page unless asked otherwise", async () => {
  for await (const page of certificates.listPropertiesOfCertificates().byPage()) {
    assert.ok(page.length <= 25);
  }
  const { body } = answer("GET", "/certificates");
  assert.equal(body.nextLink, null);
});

test("deleting what was listed does not disturb the pages that follow", async () => {
  const prefix = newName("shrink");
  for (let i = 0; i < 4; i++) {
    await certificates.importCertificate(`${prefix}-${i}`, toPfx(selfSigned()));
  }
  const seen = [];
  for await (const page of certificates.listPropertiesOfCertificates(pages).byPage()) {
    for (const { name } of page.filter((p) => p.name.startsWith(prefix))) {
      seen.push(name);
      await purge(name);
    }
  }
  assert.deepEqual(seen, [0, 1, 2, 3].map((i) => `${prefix}-${i}`));
});

test("what is not yet issued is listed only when asked for", async () => {
  const name = newName("pending");
  await begin(name, {}, { tags: { env: "prod" } });
  const find = async (options) =>
    (await collect(certificates.listPropertiesOfCertificates(options))).find((p) => p.name === name);
  assert.equal(await find({}), undefined);
  for (const options of [{ includePending: true }, { includePending: true, ...pages }]) {
    const item = await find(options);
    assert.equal(item.enabled, false);
    assert.equal(item.x509Thumbprint, undefined);
    assert.deepEqual(item.tags, { env: "prod" });
  }
  await remove(name);
  const deleted = async (options) =>
    (await collect(certificates.listDeletedCertificates(options))).find((d) => d.name === name);
  assert.equal(await deleted({}), undefined);
  assert.equal((await deleted({ includePending: true })).name, name);
});

test("versions are listed in the order of their creation, page by page", async () => {
  const name = newName("versions");
  const made = [];
  for (let i = 0; i < 3; i++) {
    made.push(await create(name, { issuerName: "Self", subject: "CN=v", keyType: "EC" }));
  }
  const seen = [];
  for await (const page of certificates.listPropertiesOfCertificateVersions(name, { maxresults: 1 }).byPage()) {
    assert.ok(page.length <= 1);
    seen.push(...page);
  }
  assert.deepEqual(seen.map((v) => v.id), made.map((m) => m.properties.id));
  assert.equal(answers("GET", `/certificates/${name}/versions`).at(-1).body.nextLink, null);
});

test("versions of a name that nobody has used are an empty list", async () => {
  const name = newName("nobody");
  assert.deepEqual(await collect(certificates.listPropertiesOfCertificateVersions(name)), []);
  assert.deepEqual(answer("GET", `/certificates/${name}/versions`).body, { value: [], nextLink: null });
});

testHeaders();
