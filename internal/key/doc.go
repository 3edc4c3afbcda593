// Package key owns private keys: their generation by bounded workers, their
// sealed form, the versions of key objects with what they may do, their use, and
// their rotation. Private key material has its one home here; it leaves only
// inside the PFX or PEM that a certificate policy's exportable allows, and inside
// sealed backups. A key that belongs to a certificate is read and used here and
// written by certificate.
package key
