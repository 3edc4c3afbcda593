// Package pkcs12 reads PKCS#12 files (RFC 7292) and encrypted private keys in PKCS#8
// that anybody may have written, and writes the files that the service hands out.
//
// The codec is our own because of what we ask of one:
//
//   - No work is done before it is bounded (bounds.go): the iterations of all key
//     derivations of a file are added up from its headers, and a file that asks for
//     more than the budget, or for too many in one of them, is refused before the
//     first hash.
//   - BER is read like DER, at every level: Windows, Java and devices stream it.
//   - Keys and certificates are bytes that pass through. What crypto/x509 does not
//     parse, like a key on P-256K, is not lost on the way.
//   - The localKeyId, which says whose certificate is the key's, and the friendlyName
//     are kept.
//
// It reads files protected with a password by PBES2 or by the PKCS#12 ciphers with
// 3DES and RC2, with or without a MAC, that by PBMAC1 (RFC 9579) included. Files
// encrypted or signed with public keys, and RC4, are refused; CRLs and secrets of other
// programs are passed over. Whether a key fits its certificate is for others to judge.
//
// Other programs (openssl, keytool) and the module go-pkcs12 are the oracles of the
// tests.
package pkcs12
