// Package rc2 is the RC2 cipher (RFC 2268), needed to read old PKCS#12 files.
//
// It is a copy of internal/rc2 of software.sslmate.com/src/go-pkcs12 v0.7.4 by
// Damian Gryski, who puts it under the MIT licence; added are the bounds of New.
// Nothing is ever written with it.
package rc2
