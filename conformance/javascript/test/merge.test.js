// Certificates that an authority outside the vault signs (contract certificates.md, 8.7 and 11).

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { authority, base64, issued, readPem, readPfx, verifyRequest } from "../openssl.js";
import { answer, begin, certificates, collect, newName, rejects, secrets, testHeaders, vaultUrl } from "../vault.js";

const ca = authority();

// request begins a certificate of this name and returns the DER request.
async function request(name, policy = {}, options = {}) {
  await begin(name, { keyType: "EC", ...policy }, options);
  return Buffer.from(answer("POST", `/certificates/${name}/create`).body.csr, "base64");
}

test("the request of an Unknown issuer waits, verifies and is merged with its chain", async () => {
  const name = newName("merge");
  const csr = await request(name, {}, { tags: { env: "prod" } });
  const { status_details } = answer("POST", `/certificates/${name}/create`).body;
  assert.equal(status_details, "Pending certificate created. Please Perform Merge to complete the request.");
  verifyRequest(csr);
  const placeholder = await certificates.getCertificate(name);

  const leaf = ca.sign(csr);
  const merged = await certificates.mergeCertificate(name, [leaf.raw, ca.intermediate.raw, ca.root.raw]);
  assert.equal(base64(merged.cer), base64(leaf));
  assert.equal(+merged.properties.expiresOn, Date.parse(leaf.validTo));
  assert.equal(+merged.properties.notBefore, Date.parse(leaf.validFrom));
  assert.equal(+merged.properties.createdOn, +merged.properties.updatedOn);
  assert.equal(merged.properties.enabled, true);
  assert.equal(merged.policy.issuerName, "Unknown");
  assert.equal(merged.policy.validityInMonths, 12);
  assert.notEqual(merged.properties.version, placeholder.properties.version);

  const { status, headers, body } = answer("POST", `/certificates/${name}/pending/merge`);
  assert.equal(status, 201);
  const location = new URL(headers.get("location"));
  assert.equal(`${location.origin}${location.pathname}`, `${vaultUrl}/certificates/${name}`);
  assert.deepEqual(body.pending, { id: `${vaultUrl}/certificates/${name}/pending` });

  assert.deepEqual(await certificates.getCertificate(name), merged);
  const poller = await certificates.getCertificateOperation(name);
  assert.equal(poller.getOperationState().certificateOperation.status, "completed");
  assert.equal(poller.getOperationState().certificateOperation.target, `${vaultUrl}/certificates/${name}`);
  const { body: operation } = answer("GET", `/certificates/${name}/pending`);
  assert.ok(!("status_details" in operation) && !("error" in operation));
  await rejects(certificates.getCertificateVersion(name, placeholder.properties.version), 404, "CertificateNotFound");

  const { key, certificates: chain } = readPfx((await secrets.getSecret(name)).value);
  assert.deepEqual(chain.map((c) => c.subject), [leaf.subject, "CN=outside intermediate", "CN=outside root"]);
  assert.ok(chain[0].checkPrivateKey(key));
  assert.ok(chain[0].verify(chain[1].publicKey) && chain[1].verify(chain[2].publicKey));
});

test("the leaf is found wherever it stands, and the chain is put in order", async () => {
  const name = newName("shuffled");
  const leaf = ca.sign(await request(name, { contentType: "application/x-pem-file" }));
  const merged = await certificates.mergeCertificate(name, [ca.root.raw, leaf.raw, ca.intermediate.raw]);
  assert.equal(base64(merged.cer), base64(leaf));
  const { key, certificates: chain } = readPem((await secrets.getSecret(name)).value);
  assert.deepEqual(chain.map((c) => c.subject), [leaf.subject, "CN=outside intermediate", "CN=outside root"]);
  assert.ok(chain[0].checkPrivateKey(key));
});

// Microsoft's sample joins the lines of a PEM file but the first and the last, which is empty, and passes the bytes of
// that text: the client encodes them once more.
test("the text of a certificate is merged like the certificate", async () => {
  for (const [form, text] of Object.entries({
    joined: (c) => c.toString().split("\n").slice(1, -1).join(""),
    bare: (c) => c.raw.toString("base64"),
    armoured: (c) => c.toString(),
  })) {
    const name = newName(`text-${form}`);
    const leaf = ca.sign(await request(name));
    const merged = await certificates.mergeCertificate(name, [leaf, ca.intermediate].map((c) => Buffer.from(text(c))));
    assert.equal(base64(merged.cer), base64(leaf), form);
  }
});

test("preserveCertOrder keeps the chain as it was merged", async () => {
  const name = newName("ordered");
  const leaf = ca.sign(await request(name, { contentType: "application/x-pem-file" }, { preserveCertificateOrder: true }));
  const merged = await certificates.mergeCertificate(name, [leaf.raw, ca.root.raw, ca.intermediate.raw]);
  assert.equal(merged.properties.preserveCertificateOrder, true);
  const { certificates: chain } = readPem((await secrets.getSecret(name)).value);
  assert.deepEqual(chain.map((c) => c.subject), [leaf.subject, "CN=outside root", "CN=outside intermediate"]);
});

test("a certificate of another key is refused, and the right one is still welcome", async () => {
  const name = newName("mismatch");
  const csr = await request(name);
  const message = await rejects(certificates.mergeCertificate(name, [issued(ca).certificate.raw]), 400, "BadParameter");
  assert.equal(
    message,
    "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.",
  );
  const merged = await certificates.mergeCertificate(name, [ca.sign(csr).raw]);
  assert.equal(merged.name, name);
});

test("what is no certificate is refused", async () => {
  const name = newName("garbage");
  await request(name);
  await rejects(certificates.mergeCertificate(name, [Buffer.from("no certificate")]), 400, "BadParameter");
  await rejects(certificates.mergeCertificate(name, []), 400, "BadParameter");
});

test("a merge needs an operation, and one that is not finished", async () => {
  const leaf = issued(ca).certificate.raw;
  await rejects(certificates.mergeCertificate(newName("nothing"), [leaf]), 404, "PendingCertificateNotFound");
  const name = newName("finished");
  const signed = ca.sign(await request(name));
  await certificates.mergeCertificate(name, [signed.raw]);
  await rejects(certificates.mergeCertificate(name, [signed.raw]), 403, "Forbidden");
});

test("the current version stays as it is until the next one is merged", async () => {
  const name = newName("renewed");
  const first = await certificates.mergeCertificate(name, [ca.sign(await request(name)).raw]);
  const csr = await request(name);
  assert.equal(base64((await certificates.getCertificate(name)).cer), base64(first.cer));
  const second = await certificates.mergeCertificate(name, [ca.sign(csr).raw]);
  assert.notEqual(second.properties.version, first.properties.version);
  const versions = await collect(certificates.listPropertiesOfCertificateVersions(name));
  assert.deepEqual(versions.map((v) => v.version), [first, second].map((c) => c.properties.version));
  assert.ok(!new X509Certificate(first.cer).publicKey.equals(new X509Certificate(second.cer).publicKey));
});

testHeaders();
