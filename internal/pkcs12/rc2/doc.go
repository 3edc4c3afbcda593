// Package rc2 is the block cipher of RFC 2268, which nothing should be encrypted
// with today. It is here because Windows and OpenSSL long protected the certificates
// of a PKCS#12 file with it, and such files are still imported.
//
// Modes, padding and the way from a password to a key are the caller's. The time of
// an operation depends on the key, by the tables that the cipher looks up in.
package rc2
