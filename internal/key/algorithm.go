package key

import (
	"crypto"
	_ "crypto/sha1" // RSA-OAEP is defined with it (RFC 7518, section 4.3)
	_ "crypto/sha256"
	_ "crypto/sha512"

	"coffer/internal/pki"
)

// Algorithm is one way to use a key (contract keys.md, 8.1). There is one value
// for each: they are compared by address.
type Algorithm struct {
	name    string
	signs   bool          // it signs and verifies; else it encrypts, decrypts, wraps and unwraps
	family  pki.Algorithm // of the keys it needs; "": symmetric ones, which no vault without an HSM holds
	curve   pki.Curve     // of EC
	padding padding       // of RSA
	hash    crypto.Hash   // whose digest is signed, or of OAEP; 0: none
}

// padding is how RSA fills the block.
type padding int

const (
	pkcs1v15 padding = iota + 1 // RFC 8017, 7.2 and 8.2
	pss                         // RFC 8017, 8.1; the salt is as long as the digest
	oaep                        // RFC 8017, 7.1; the label is empty, MGF1 uses the same hash
)

var algorithms = []*Algorithm{
	{name: "RSA1_5", family: pki.RSA, padding: pkcs1v15},
	{name: "RSA-OAEP", family: pki.RSA, padding: oaep, hash: crypto.SHA1},
	{name: "RSA-OAEP-256", family: pki.RSA, padding: oaep, hash: crypto.SHA256},

	{name: "RS256", signs: true, family: pki.RSA, padding: pkcs1v15, hash: crypto.SHA256},
	{name: "RS384", signs: true, family: pki.RSA, padding: pkcs1v15, hash: crypto.SHA384},
	{name: "RS512", signs: true, family: pki.RSA, padding: pkcs1v15, hash: crypto.SHA512},
	{name: "PS256", signs: true, family: pki.RSA, padding: pss, hash: crypto.SHA256},
	{name: "PS384", signs: true, family: pki.RSA, padding: pss, hash: crypto.SHA384},
	{name: "PS512", signs: true, family: pki.RSA, padding: pss, hash: crypto.SHA512},
	{name: "RSNULL", signs: true, family: pki.RSA, padding: pkcs1v15}, // the caller made any DigestInfo
	{name: "ES256", signs: true, family: pki.EC, curve: pki.P256, hash: crypto.SHA256},
	{name: "ES256K", signs: true, family: pki.EC, curve: pki.P256K, hash: crypto.SHA256},
	{name: "ECDSA256", signs: true, family: pki.EC, curve: pki.P256K, hash: crypto.SHA256}, // 2016-10-01's word
	{name: "ES384", signs: true, family: pki.EC, curve: pki.P384, hash: crypto.SHA384},
	{name: "ES512", signs: true, family: pki.EC, curve: pki.P521, hash: crypto.SHA512},

	// Known, so that the refusal says which key they need.
	{name: "A128GCM"}, {name: "A192GCM"}, {name: "A256GCM"},
	{name: "A128CBC"}, {name: "A192CBC"}, {name: "A256CBC"},
	{name: "A128CBCPAD"}, {name: "A192CBCPAD"}, {name: "A256CBCPAD"},
	{name: "A128KW"}, {name: "A192KW"}, {name: "A256KW"},
	{name: "CKM_AES_KEY_WRAP"}, {name: "CKM_AES_KEY_WRAP_PAD"},
	{name: "HS256", signs: true}, {name: "HS384", signs: true}, {name: "HS512", signs: true},
}

// ParseAlgorithm finds the algorithm of a name for an operation; ok is false when
// there is none, or it is for other operations.
func ParseAlgorithm(name string, op Op) (a *Algorithm, ok bool) {
	for _, a := range algorithms {
		if a.name == name {
			return a, a.signs == (op == Sign || op == Verify)
		}
	}
	return nil, false
}

// String is the name of the algorithm.
func (a *Algorithm) String() string { return a.name }
