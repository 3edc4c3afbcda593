// Copyright 2015, 2018, 2019 Opsmate, Inc. All rights reserved.
// Copyright 2015 The Go Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package pkcs12 reads and writes PKCS#12 files (PFX; RFC 7292) as raw DER, and
// opens encrypted PKCS#8 keys, which are protected in the same way.
//
// It neither parses keys nor certificates: what it returns and takes are their
// bytes, so that any curve passes and nothing is parsed twice.
//
// The package is a copy, trimmed and changed, of software.sslmate.com/src/go-pkcs12
// v0.7.4, itself a fork of golang.org/x/crypto/pkcs12; see LICENSE. Taken over are
// the key derivation of RFC 7292, appendix B.2, the RC2 cipher (folder rc2), and the
// algorithms of encryption and MAC. Changed, and why:
//
//   - Every cost is added up from the file's parameters and bounded before the first
//     derivation: a file comes from a stranger, and one with a million rounds would
//     hold a core for seconds.
//   - The file is read with cryptobyte, after a bounded conversion from BER to DER
//     (folder ber): NSS and old Windows and Java programs write indefinite lengths.
//   - Raw bytes in and out, localKeyId and friendlyName kept: crypto/x509 refuses
//     secp256k1, and the leaf is found by its localKeyId.
//   - More algorithms are read: scrypt, PBES2 with 3DES, HMAC with SHA-224 and
//     SHA-384. An empty password is tried in both its encodings at every step, and
//     passwords may hold characters outside the Basic Multilingual Plane.
//   - The writers produce two fixed layouts with the empty password, nothing else.
package pkcs12
