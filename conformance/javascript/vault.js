// The vault under test: Microsoft's clients for it, and a record of what went over the wire.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { DefaultAzureCredential } from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

export const vaultUrl = process.env.VAULT_URL.replace(/\/$/, "");

// exchanges holds every request that left this process and its answer, oldest first. The SDK's models
// hide what the contract fixes: status codes, headers, members absent or null.
const exchanges = [];

const recorder = {
  name: "conformanceRecorder",
  async sendRequest(request, next) {
    const sent = request.body ? JSON.parse(request.body) : undefined;
    const response = await next(request);
    exchanges.push({
      method: request.method,
      path: new URL(request.url).pathname.replace(/\/$/, ""),
      query: new URL(request.url).searchParams,
      clientRequestId: request.headers.get("x-ms-client-request-id"),
      sent,
      status: response.status,
      headers: response.headers,
      body: response.bodyAsText ? JSON.parse(response.bodyAsText) : undefined,
    });
    return response;
  },
};

// perRetry puts the recorder nearest to the wire, so that it sees the challenge as well.
const options = { additionalPolicies: [{ policy: recorder, position: "perRetry" }] };
const credential = new DefaultAzureCredential();

export const certificates = certificatesAs(credential);
export const secrets = new SecretClient(vaultUrl, credential, options);
export const keys = new KeyClient(vaultUrl, credential, options);

export function certificatesAs(caller) {
  return new CertificateClient(vaultUrl, caller, options);
}

export function secretsAs(caller) {
  return new SecretClient(vaultUrl, caller, options);
}

// cryptography is a client that uses one version of a key.
export function cryptography(key, caller = credential) {
  return new CryptographyClient(key.id, caller, options);
}

// answer is the last exchange of this method whose path is exactly path, challenges left out.
export function answer(method, path) {
  const found = exchanges.findLast((e) => e.method === method && e.path === path && e.status !== 401);
  assert.ok(found, `${method} ${path} was never sent`);
  return found;
}

// answers are all exchanges of this method and path, oldest first.
export function answers(method, path) {
  return exchanges.filter((e) => e.method === method && e.path === path);
}

// newName gives a name that no earlier run against the same vault has used.
export function newName(purpose) {
  return `js-${purpose}-${randomBytes(4).toString("hex")}`;
}

// create creates a certificate and waits for it as applications do. The interval is milliseconds.
export async function create(name, policy, options = {}) {
  const poller = await certificates.beginCreateCertificate(name, policy, { intervalInMs: 100, ...options });
  return poller.pollUntilDone();
}

// begin creates a certificate with an outside issuer, which stays in progress until it is merged.
export async function begin(name, policy = {}, options = {}) {
  return certificates.beginCreateCertificate(
    name,
    { issuerName: "Unknown", subject: `CN=${name}`, ...policy },
    { intervalInMs: 100, ...options },
  );
}

export async function remove(name) {
  const poller = await certificates.beginDeleteCertificate(name, { intervalInMs: 100 });
  return poller.pollUntilDone();
}

export async function purge(name) {
  await remove(name);
  await certificates.purgeDeletedCertificate(name);
}

// collect reads a paged list to its end.
export async function collect(list) {
  const items = [];
  for await (const item of list) {
    items.push(item);
  }
  return items;
}

// rejects expects an error answer with this status and code, and with this inner code where one is
// named. The SDK's exception and the body on the wire must agree. It returns the message.
export async function rejects(promise, status, code, inner) {
  let error;
  await assert.rejects(promise, (e) => {
    error = e;
    return true;
  });
  assert.equal(error.statusCode, status, `${error.name}: ${error.message}`);
  const last = exchanges.findLast((e) => e.status === status);
  assert.equal(last.body.error.code, code);
  assert.equal(typeof last.body.error.message, "string");
  assert.equal(last.body.error.innererror?.code, inner);
  assert.equal(error.code, code);
  return last.body.error.message;
}

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

// testHeaders ends a test file: every answer so far carries the headers of contract certificates.md, 2.5.
export function testHeaders() {
  test("every answer carries the headers of the service", () => {
    assert.ok(exchanges.length > 0);
    for (const { method, path, status, headers, clientRequestId } of exchanges) {
      const where = `${method} ${path} ${status}`;
      assert.equal(headers.get("cache-control"), "no-cache", where);
      assert.equal(headers.get("pragma"), "no-cache", where);
      assert.equal(headers.get("expires"), "-1", where);
      assert.equal(headers.get("strict-transport-security"), "max-age=31536000;includeSubDomains", where);
      assert.equal(headers.get("x-content-type-options"), "nosniff", where);
      assert.match(headers.get("x-ms-request-id") ?? "", guid, where);
      assert.ok(clientRequestId, where);
      assert.equal(headers.get("x-ms-client-request-id"), clientRequestId, where);
      assert.ok(headers.get("x-ms-keyvault-region"), where);
      assert.match(headers.get("x-ms-keyvault-service-version") ?? "", /^\d+(\.\d+)+$/, where);
      assert.match(headers.get("x-ms-keyvault-network-info") ?? "", /^conn_type=\w+;addr=.+;act_addr_fam=\w+;$/, where);
      if (status === 204) {
        assert.equal(headers.get("content-type"), undefined, where);
      } else {
        assert.equal(headers.get("content-type"), "application/json; charset=utf-8", where);
      }
      if (status === 401) {
        assert.match(headers.get("www-authenticate") ?? "", /^Bearer authorization="https:\/\/[^/" ]+\/[^/" ]+", resource="https:\/\/[^/" ]+"$/, where);
      }
    }
  });
}
