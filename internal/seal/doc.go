// Package seal keeps what is secret unreadable at rest. A root key wraps one
// data key per scope (a vault, or the installation); a data key seals values
// into boxes with AES-256-GCM. A box is bound to its place, so that a row copied
// elsewhere does not open. Storage is untrusted by design: it holds boxes and
// wrapped keys only.
//
// The root key is in a file here, or in an HSM in package hsm. What is sealed, and
// where its row is, is left to the domains.
package seal
