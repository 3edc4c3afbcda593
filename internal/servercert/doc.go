// Package servercert gives the listener its TLS certificate: from files that it
// reads again when they change, or from a CA of its own, whose certificates it
// renews by itself. The certificates that the vault is there to keep are
// certificate's.
package servercert
