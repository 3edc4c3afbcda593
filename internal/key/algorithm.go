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
	family  pki.Algorithm // of the keys it needs
	curve   pki.Curve     // of EC
	padding padding       // of RSA
	hash    crypto.Hash   // whose digest is signed, of OAEP, or of HMAC; 0: none
	bits    int           // of oct: the size of the key; 0: any size of AES
	mode    mode          // of AES
}

// padding is how RSA fills the block.
type padding int

const (
	pkcs1v15 padding = iota + 1 // RFC 8017, 7.2 and 8.2
	pss                         // RFC 8017, 8.1; the salt is as long as the digest
	oaep                        // RFC 8017, 7.1; the label is empty, MGF1 uses the same hash
)

// mode is how AES is used. The first three encrypt and decrypt, the others wrap and
// unwrap.
type mode int

const (
	gcm     mode = iota + 1 // NIST SP 800-38D, with an IV of 12 bytes and a tag of 16
	cbc                     // NIST SP 800-38A, of whole blocks
	cbcPad                  // the same with the padding of PKCS#7 (RFC 5652, 6.3)
	wrap                    // RFC 3394
	wrapPad                 // RFC 5649
)

func (m mode) wraps() bool { return m == wrap || m == wrapPad }

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

	{name: "A128GCM", family: pki.Oct, mode: gcm, bits: 128},
	{name: "A192GCM", family: pki.Oct, mode: gcm, bits: 192},
	{name: "A256GCM", family: pki.Oct, mode: gcm, bits: 256},
	{name: "A128CBC", family: pki.Oct, mode: cbc, bits: 128},
	{name: "A192CBC", family: pki.Oct, mode: cbc, bits: 192},
	{name: "A256CBC", family: pki.Oct, mode: cbc, bits: 256},
	{name: "A128CBCPAD", family: pki.Oct, mode: cbcPad, bits: 128},
	{name: "A192CBCPAD", family: pki.Oct, mode: cbcPad, bits: 192},
	{name: "A256CBCPAD", family: pki.Oct, mode: cbcPad, bits: 256},
	{name: "A128KW", family: pki.Oct, mode: wrap, bits: 128},
	{name: "A192KW", family: pki.Oct, mode: wrap, bits: 192},
	{name: "A256KW", family: pki.Oct, mode: wrap, bits: 256},
	{name: "CKM_AES_KEY_WRAP", family: pki.Oct, mode: wrap},
	{name: "CKM_AES_KEY_WRAP_PAD", family: pki.Oct, mode: wrapPad},
	{name: "HS256", signs: true, family: pki.Oct, hash: crypto.SHA256, bits: 256},
	{name: "HS384", signs: true, family: pki.Oct, hash: crypto.SHA384, bits: 384},
	{name: "HS512", signs: true, family: pki.Oct, hash: crypto.SHA512, bits: 512},
}

// ParseAlgorithm finds the algorithm of a name for an operation; ok is false when
// there is none, or it is for other operations.
func ParseAlgorithm(name string, op Op) (a *Algorithm, ok bool) {
	for _, a := range algorithms {
		if a.name == name {
			wraps := op == WrapKey || op == UnwrapKey
			return a, a.signs == (op == Sign || op == Verify) && (a.mode == 0 || a.mode.wraps() == wraps)
		}
	}
	return nil, false
}

// approved reports whether FIPS 140-3 has the algorithm (SP 800-56B for encryption, FIPS 186-5 for signatures).
func (a *Algorithm) approved() bool {
	switch {
	case a.curve == pki.P256K:
		return false
	case a.padding == pkcs1v15:
		return a.signs && a.hash != 0
	}
	return a.hash != crypto.SHA1
}

// String is the name of the algorithm.
func (a *Algorithm) String() string { return a.name }
