// Package key owns private keys: their generation by bounded workers, their
// sealed form, and the versions of key objects with what they may do. Private
// key material has its one home here; it leaves only inside the PFX or PEM that
// a policy's exportable allows.
package key
