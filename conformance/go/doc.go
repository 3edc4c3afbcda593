// Package conformance drives a running vault over TLS with Microsoft's Go
// clients, unmodified and with their own checks on. It is a module of its own,
// so that the vault does not depend on them, and it imports nothing of the
// vault: what the vault answers is judged by crypto/x509 and the openssl program.
//
// The tests take all they need from the environment that "coffer dev --env-file"
// writes, LIMITED_CLIENT_ID and LIMITED_CLIENT_SECRET: an application that may
// list certificates, use keys that it may not read, and nothing else, and
// PREMIUM_VAULT_URL: a vault with keys in an HSM. The script run starts them.
//
// Citations such as "certificates.md, 8.7" are to the wire contract.
package conformance
