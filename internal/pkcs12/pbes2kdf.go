package pkcs12

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"
)

var (
	oidPBKDF2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidHMACWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACWithSHA224 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}
	oidHMACWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}
	oidHMACWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
)

// hashFunc is a hash function under the OID of one of its uses.
type hashFunc struct {
	oid asn1.ObjectIdentifier
	new func() hash.Hash
}

// hmacs are the pseudorandom functions of PBKDF2 and the MACs of PBMAC1 (RFC 8018,
// appendix B.1).
var hmacs = []hashFunc{
	{oidHMACWithSHA1, sha1.New},
	{oidHMACWithSHA224, sha256.New224},
	{oidHMACWithSHA256, sha256.New},
	{oidHMACWithSHA384, sha512.New384},
	{oidHMACWithSHA512, sha512.New},
}

func findHash(list []hashFunc, oid asn1.ObjectIdentifier) (func() hash.Hash, bool) {
	for _, h := range list {
		if h.oid.Equal(oid) {
			return h.new, true
		}
	}
	return nil, false
}

// kdf is a key derivation function with its parameters.
type kdf struct {
	keySize int // in bytes, as stated; 0 when left to the cipher
	cost    func(size int) int
	derive  func(password string, size int) ([]byte, error)
}

// parseKDF reads the AlgorithmIdentifier of PBKDF2 or scrypt.
func parseKDF(s *cryptobyte.String) (*kdf, error) {
	oid, params, ok := readAlgorithm(s)
	var seq cryptobyte.String
	if !ok || !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, badFormat("parameters of the key derivation")
	}
	salt, err := readSalt(&seq)
	if err != nil {
		return nil, err
	}
	switch {
	case oid.Equal(oidPBKDF2):
		return parsePBKDF2(salt, seq)
	case oid.Equal(oidScrypt):
		return parseScrypt(salt, seq)
	}
	return nil, unsupported("the key derivation", oid)
}

// minApprovedSalt is of NIST SP 800-132, section 5.1, in bytes.
const minApprovedSalt = 16

// parsePBKDF2 reads what follows the salt in PBKDF2-params (RFC 8018, appendix A.2).
func parsePBKDF2(salt []byte, seq cryptobyte.String) (*kdf, error) {
	iterations, err := readIterations(&seq)
	if err != nil {
		return nil, err
	}
	keySize, err := readKeySize(&seq)
	if err != nil {
		return nil, err
	}
	prf := oidHMACWithSHA1 // the default
	if !seq.Empty() {
		var ok bool
		if prf, _, ok = readAlgorithm(&seq); !ok || !seq.Empty() {
			return nil, badFormat("parameters of PBKDF2")
		}
	}
	newHash, ok := findHash(hmacs, prf)
	if !ok {
		return nil, unsupported("the pseudorandom function", prf)
	}
	if len(salt) < minApprovedSalt {
		if err := excluded("the key derivation with a salt shorter than 16 bytes"); err != nil {
			return nil, err
		}
	}
	if prf.Equal(oidHMACWithSHA1) {
		if err := excluded("the key derivation with HMAC-SHA-1"); err != nil {
			return nil, err
		}
	}
	return &kdf{
		keySize: keySize,
		cost:    func(size int) int { return deriveCost(iterations, size, newHash().Size()) },
		derive: func(password string, size int) ([]byte, error) {
			return pbkdf2.Key(newHash, password, salt, iterations, size)
		},
	}, nil
}

// parseScrypt reads what follows the salt in scrypt-params (RFC 7914, section 7.1).
func parseScrypt(salt []byte, seq cryptobyte.String) (*kdf, error) {
	if err := excluded("the key derivation with scrypt"); err != nil {
		return nil, err
	}
	var n, r, p int64
	if !seq.ReadASN1Integer(&n) || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&p) ||
		n < 2 || n&(n-1) != 0 || r < 1 || p < 1 {
		return nil, badFormat("parameters of scrypt")
	}
	// Divisions cannot overflow as the product could.
	if n > maxScrypt || r > maxScrypt/n || p > maxScrypt/n/r {
		return nil, ErrTooCostly
	}
	keySize, err := readKeySize(&seq)
	if err != nil {
		return nil, err
	}
	if !seq.Empty() {
		return nil, badFormat("parameters of scrypt")
	}
	return &kdf{
		keySize: keySize,
		cost:    func(int) int { return int(n * r * p) },
		derive: func(password string, size int) ([]byte, error) {
			return scrypt.Key([]byte(password), salt, int(n), int(r), int(p), size)
		},
	}, nil
}

// readKeySize reads an optional key length, of at most 64 bytes: the longest that
// any algorithm here takes. 0 means that it is absent.
func readKeySize(s *cryptobyte.String) (int, error) {
	if !s.PeekASN1Tag(cbasn1.INTEGER) {
		return 0, nil
	}
	var n int64
	if !s.ReadASN1Integer(&n) || n < 1 || n > 64 {
		return 0, badFormat("key length")
	}
	return int(n), nil
}
