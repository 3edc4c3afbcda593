// Package ber turns BER into DER, as far as PKCS#7 and PKCS#12 files need it: Go's
// decoders take DER only, while some programs write indefinite lengths and strings
// in pieces. What the DER says is left to them.
package ber
