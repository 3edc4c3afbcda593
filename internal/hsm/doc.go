// Package hsm keeps private and secret keys in a PKCS#11 HSM and uses them
// there: they are generated or unwrapped inside, are sensitive and cannot be
// extracted, and the vault stores the HSM's id of a key in their place. Which keys
// are still held by anything is package key's to know; what PKCS#11 calls a token is
// called an HSM everywhere here, for a token is a bearer token.
//
// All of it needs cgo and stands behind the build tag hsm; without the tag Open
// fails with ErrNotBuilt. The HSM is spoken to through github.com/miekg/pkcs11
// directly, and not through crypto11 above it: that has no choice of CKA_ID, no
// import and C_UnwrapKey, no secp256k1, no AES key wrap and no reconnection.
package hsm
