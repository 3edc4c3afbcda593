// What the vault must not make for itself: authorities, keys, certificates and requests, by the openssl
// command and by Node's own crypto. Keys are EC where the kind does not matter, because they cost nothing.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import forge from "node-forge";

const dir = mkdtempSync(join(tmpdir(), "coffer-conformance-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
process.on("SIGTERM", () => process.exit(143)); // how the test runner ends a file that takes too long

let files = 0;

function file(content) {
  const path = join(dir, `${files++}`);
  writeFileSync(path, content);
  return path;
}

function openssl(args, input) {
  return execFileSync("openssl", args, { input, stdio: ["pipe", "pipe", "pipe"] });
}

const keyOptions = {
  rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  ec: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
};

// newKey is a PKCS#8 PEM private key of kind "rsa" or "ec".
export function newKey(kind = "ec") {
  return openssl(["genpkey", ...keyOptions[kind]]).toString();
}

// The openssl command adds extensions of its own from the machine's configuration; with this it does not.
const bare = file("[req]\ndistinguished_name = dn\n[dn]\n");

// selfSigned is a key with its certificate, which has the named extensions and no others.
export function selfSigned({ kind = "ec", subject = "/CN=outside", days = 365, extensions = [] } = {}) {
  const key = newKey(kind);
  const added = extensions.flatMap((e) => ["-addext", e]);
  const pem = openssl(["req", "-config", bare, "-x509", "-key", file(key), "-subj", subject, "-days", `${days}`, ...added]);
  return { key, certificate: new X509Certificate(pem) };
}

// expired is a key with a certificate that ended yesterday, which the openssl command refuses to make.
export function expired() {
  const pair = selfSigned({ kind: "rsa" });
  const certificate = forge.pki.createCertificate();
  const day = 24 * 60 * 60 * 1000;
  certificate.serialNumber = "01";
  certificate.validity.notBefore = new Date(Date.now() - 2 * day);
  certificate.validity.notAfter = new Date(Date.now() - day);
  certificate.publicKey = forge.pki.publicKeyFromPem(pair.certificate.publicKey.export({ type: "spki", format: "pem" }));
  certificate.setSubject([{ name: "commonName", value: "expired" }]);
  certificate.setIssuer([{ name: "commonName", value: "expired" }]);
  certificate.sign(forge.pki.privateKeyFromPem(pair.key), forge.md.sha256.create());
  return { key: pair.key, certificate: new X509Certificate(forge.pki.certificateToPem(certificate)) };
}

// authority is a root and an intermediate outside the vault. sign turns a DER request into a
// certificate with the request's own extensions.
export function authority() {
  const root = selfSigned({ subject: "/CN=outside root", extensions: ["basicConstraints=critical,CA:true"] });
  const rootFile = file(root.certificate.toString());
  const rootKey = file(root.key);
  const key = newKey();
  const request = openssl(["req", "-new", "-key", file(key), "-subj", "/CN=outside intermediate"]);
  const ca = file("basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n");
  const intermediate = openssl(
    ["x509", "-req", "-CA", rootFile, "-CAkey", rootKey, "-days", "365", "-extfile", ca],
    request,
  );
  const intermediateFile = file(intermediate);
  const intermediateKey = file(key);
  return {
    root: root.certificate,
    intermediate: new X509Certificate(intermediate),
    sign(csr, days = 90) {
      return new X509Certificate(
        openssl(
          ["x509", "-req", "-inform", "DER", "-CA", intermediateFile, "-CAkey", intermediateKey,
            "-days", `${days}`, "-copy_extensions", "copyall"],
          csr,
        ),
      );
    },
  };
}

// issued is a key with a certificate of the authority.
export function issued(ca, subject = "/CN=outside leaf") {
  const key = newKey();
  const csr = openssl(["req", "-new", "-key", file(key), "-subj", subject, "-outform", "DER"]);
  return { key, certificate: ca.sign(csr) };
}

// toPfx protects with AES and SHA-256, or with RC2, 3DES and SHA-1 when legacy is asked for.
export function toPfx({ key, certificate }, { password = "", chain = [], legacy = false } = {}) {
  const args = ["pkcs12", "-export", "-inkey", file(key), "-in", file(certificate.toString()), "-passout", `pass:${password}`];
  if (chain.length > 0) {
    args.push("-certfile", file(chain.map((c) => c.toString()).join("")));
  }
  if (legacy) {
    args.push("-legacy");
  }
  return openssl(args);
}

export function toPem({ key, certificate }, chain = []) {
  return Buffer.from(key + [certificate, ...chain].map((c) => c.toString()).join(""));
}

// verifyRequest checks a DER request's signature under its own key and returns its text and public key.
export function verifyRequest(csr) {
  openssl(["req", "-inform", "DER", "-noout", "-verify"], csr);
  const text = openssl(["req", "-inform", "DER", "-noout", "-text"], csr).toString();
  return { text, publicKey: createPublicKey(openssl(["req", "-inform", "DER", "-noout", "-pubkey"], csr)) };
}

// base64 is how certificates are compared: an X509Certificate, or the bytes of one as the SDK has them.
export function base64(certificate) {
  return Buffer.from(certificate.raw ?? certificate).toString("base64");
}

// certificateText is what openssl prints of a certificate: signature algorithm, extensions and all.
export function certificateText(certificate) {
  return openssl(["x509", "-noout", "-text"], certificate.toString()).toString();
}

// readPfx opens a base64 PFX that has an empty password, with node-forge, which checks the MAC. The
// service derives the keys from no password bytes at all and others from two zero bytes (contract
// certificates.md, 7.4); applications try both.
export function readPfx(base64) {
  const asn1 = forge.asn1.fromDer(Buffer.from(base64, "base64").toString("binary"));
  let pfx;
  try {
    pfx = forge.pkcs12.pkcs12FromAsn1(asn1, true, undefined);
  } catch {
    pfx = forge.pkcs12.pkcs12FromAsn1(asn1, true, "");
  }
  const bags = pfx.safeContents.flatMap((c) => c.safeBags);
  const ofType = (type) => bags.filter((b) => b.type === forge.pki.oids[type]);
  const der = (value) => Buffer.from(forge.asn1.toDer(value).getBytes(), "binary");

  // node-forge models RSA only and leaves everything else as ASN.1.
  const certificates = ofType("certBag").map(
    (b) => new X509Certificate(der(b.cert ? forge.pki.certificateToAsn1(b.cert) : b.asn1)),
  );
  const found = [...ofType("pkcs8ShroudedKeyBag"), ...ofType("keyBag")].map((b) =>
    createPrivateKey(
      b.key
        ? forge.pki.privateKeyToPem(b.key)
        : { key: der(b.asn1), format: "der", type: "pkcs8" },
    ),
  );
  assert.ok(found.length <= 1, "a PFX of the vault holds one key at most");
  return { key: found[0], certificates };
}

// readPem takes the vault's PEM apart. Everything outside the blocks, and any other order than key,
// leaf, chain, is an error (contract certificates.md, 7.5).
export function readPem(text) {
  const block = "-----BEGIN $-----\\n(?:[A-Za-z0-9+/=]{1,64}\\n)+-----END $-----\\n";
  const whole = new RegExp(`^(${block.replaceAll("$", "PRIVATE KEY")})?((?:${block.replaceAll("$", "CERTIFICATE")})+)$`);
  const match = whole.exec(text);
  assert.ok(match, "the PEM is an optional PKCS#8 key followed by certificates, with LF line ends");
  const blocks = match[2].match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g);
  return {
    key: match[1] && createPrivateKey(match[1]),
    certificates: blocks.map((b) => new X509Certificate(b)),
  };
}

