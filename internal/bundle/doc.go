// Package bundle reads what users hand to import and merge, and writes what a
// certificate's secret holds: keys with their certificates as PKCS#12, PEM, PKCS#7
// or bare DER.
//
// It recognizes the format, unpacks it and puts every private key into PKCS#8; of PEM
// it takes what OpenSSL takes. A refusal is the contract's sentence, then the cause and
// the way out. What the keys and certificates say is for others to parse and judge.
package bundle
