// Package certificate owns certificates: their versions, policies and pending
// operations, import, merge, deletion and backup. A certificate version, its key
// version and its secret version are one thing with one version string: they are
// inserted in one transaction and purged in one.
//
// How a certificate is described and an operation lives is issuance's; who signs is
// an issuer's. What a key may do is left to key, what a secret is to secret, and what
// users hand in to bundle.
package certificate
