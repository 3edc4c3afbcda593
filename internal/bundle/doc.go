// Package bundle reads what users hand to import and merge, and writes what a
// certificate's secret holds: keys with their certificates as PKCS#12, PEM, PKCS#7
// or bare DER.
//
// It recognizes the format, unpacks it and puts every private key into PKCS#8. What
// the keys and certificates say is for others to parse and judge.
package bundle
