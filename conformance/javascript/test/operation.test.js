// The pending operation: reading, cancelling and deleting it (contract certificates.md, 8.11 and 9).

import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, begin, certificates, create, newName, rejects, testHeaders, vaultUrl } from "../vault.js";

const self = { issuerName: "Self", subject: "CN=operation", keyType: "EC" };

test("a finished operation says what it made", async () => {
  const name = newName("completed");
  await create(name, self);
  const { certificateOperation } = (await certificates.getCertificateOperation(name)).getOperationState();
  assert.equal(certificateOperation.status, "completed");
  assert.equal(certificateOperation.target, `${vaultUrl}/certificates/${name}`);
  assert.equal(certificateOperation.issuerName, "Self");
  const { body, headers } = answer("GET", `/certificates/${name}/pending`);
  assert.equal(body.request_id, answer("POST", `/certificates/${name}/create`).body.request_id);
  assert.equal(body.cancellation_requested, false);
  assert.ok(!("status_details" in body) && !("error" in body));
  assert.equal(headers.get("retry-after"), undefined);
});

test("a poller can be taken up where another left it", async () => {
  const name = newName("resume");
  const started = await begin(name, self);
  const resumed = await certificates.getCertificateOperation(name, { resumeFrom: started.toString(), intervalInMs: 100 });
  const made = await resumed.pollUntilDone();
  assert.equal(made.name, name);
  assert.ok(made.cer);
});

test("cancelling a request to an outside authority is noted, and it can still be merged", async () => {
  const name = newName("cancel");
  await begin(name);
  const poller = await certificates.getCertificateOperation(name);
  assert.equal(answer("GET", `/certificates/${name}/pending`).headers.get("retry-after"), "10");
  await poller.cancelOperation();
  const { body } = answer("PATCH", `/certificates/${name}/pending`);
  assert.deepEqual(answer("PATCH", `/certificates/${name}/pending`).sent, { cancellation_requested: true });
  assert.equal(body.cancellation_requested, true);
  assert.equal(body.status, "inProgress");
  const { certificateOperation } = (await certificates.getCertificateOperation(name)).getOperationState();
  assert.equal(certificateOperation.cancellationRequested, true);
  assert.equal(certificateOperation.status, "inProgress");
});

test("cancelling a self-signed create ends it one way or the other", async () => {
  const name = newName("cancel-self");
  const poller = await begin(name, { ...self, keyType: "RSA" });
  try {
    await poller.cancelOperation();
  } catch (error) {
    assert.equal(error.statusCode, 403, "the vault was faster");
  }
  const waiting = await certificates.getCertificateOperation(name, { intervalInMs: 100 });
  await waiting.pollUntilDone();
  const { body } = answer("GET", `/certificates/${name}/pending`);
  assert.match(body.status, /^(completed|cancelled)$/);
  assert.ok(!("status_details" in body) && !("error" in body));
  assert.equal((await certificates.getCertificate(name)).name, name);
});

test("a finished operation cannot be cancelled", async () => {
  const name = newName("toolate");
  await create(name, self);
  const poller = await certificates.getCertificateOperation(name);
  assert.equal(
    await rejects(poller.cancelOperation(), 403, "Forbidden"),
    "Pending status must be in progress to allow update.",
  );
});

test("a deleted operation is gone, and its placeholder stays", async () => {
  const name = newName("abandoned");
  await begin(name);
  const { requestId } = await certificates.deleteCertificateOperation(name);
  assert.equal(requestId, answer("POST", `/certificates/${name}/create`).body.request_id);
  assert.equal(answer("DELETE", `/certificates/${name}/pending`).status, 200);
  await rejects(certificates.getCertificateOperation(name), 404, "PendingCertificateNotFound");
  await rejects(certificates.deleteCertificateOperation(name), 404, "PendingCertificateNotFound");
  const left = await certificates.getCertificate(name);
  assert.equal(left.properties.enabled, false);
  assert.ok(!("pending" in answer("GET", `/certificates/${name}`).body));
  const made = await create(name, self);
  assert.notEqual(made.properties.version, left.properties.version);
});

test("the operation of a finished certificate can be deleted, and the certificate stays", async () => {
  const name = newName("tidied");
  const made = await create(name, self);
  await certificates.deleteCertificateOperation(name);
  const left = await certificates.getCertificate(name);
  assert.deepEqual(left.properties, made.properties);
  assert.ok(!("pending" in answer("GET", `/certificates/${name}`).body));
});

test("there is no operation where there is no certificate", async () => {
  await rejects(certificates.deleteCertificateOperation(newName("nobody")), 404, "PendingCertificateNotFound");
});

testHeaders();
