// Package pki makes and reads the cryptographic objects of a certificate:
// private keys, X.500 names, certificate requests, self-signed certificates and
// certificates made by others. It covers P-256K (secp256k1), which crypto/x509
// refuses, and knows no policy, no transport and no storage.
package pki
