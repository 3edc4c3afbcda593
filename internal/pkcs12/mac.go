package pkcs12

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA224 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14} // RFC 8018, appendix A.5
)

// digests are the hash functions of a MAC whose key is derived as in RFC 7292,
// appendix B.
var digests = []hashFunc{
	{oidSHA1, sha1.New},
	{oidSHA224, sha256.New224},
	{oidSHA256, sha256.New},
	{oidSHA384, sha512.New384},
	{oidSHA512, sha512.New},
}

// minPBMAC1Key is in bytes. A shorter key would be found by chance, and any password
// that leads to it would open the file (RFC 9579).
const minPBMAC1Key = 20

// mac is the MAC of a file with the way to its key.
type mac struct {
	cost   int // of a sum, in hash iterations
	digest []byte
	hash   func() hash.Hash
	key    func(password) ([]byte, error)
}

// sum computes the HMAC over message.
func (m *mac) sum(p password, message []byte) ([]byte, error) {
	key, err := m.key(p)
	if err != nil {
		return nil, err
	}
	h := hmac.New(m.hash, key)
	h.Write(message)
	return h.Sum(nil), nil
}

// matches tells, in constant time, whether the file's digest is that of message.
func (m *mac) matches(p password, message []byte) (bool, error) {
	sum, err := m.sum(p, message)
	return err == nil && hmac.Equal(sum, m.digest), err
}

// parseMAC reads the content of a MacData (RFC 7292, section 4), and derives nothing.
func parseMAC(macData cryptobyte.String) (*mac, error) {
	var info cryptobyte.String
	if !macData.ReadASN1(&info, cbasn1.SEQUENCE) {
		return nil, badFormat("MAC")
	}
	oid, params, ok := readAlgorithm(&info)
	var digest []byte
	if !ok || !info.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) || !info.Empty() {
		return nil, badFormat("digest of the MAC")
	}
	if oid.Equal(oidPBMAC1) {
		return parsePBMAC1(params, digest) // the salt and count that follow mean nothing to it (RFC 9579)
	}
	return parseHMAC(oid, macData, digest)
}

// parseHMAC reads what follows the digest: salt, and iterations unless they are 1.
func parseHMAC(oid asn1.ObjectIdentifier, s cryptobyte.String, digest []byte) (*mac, error) {
	newHash, ok := findHash(digests, oid)
	if !ok {
		return nil, unsupported("the MAC", oid)
	}
	if oid.Equal(oidSHA1) {
		if err := excluded("the MAC with SHA-1"); err != nil {
			return nil, err
		}
	}
	salt, err := readSalt(&s)
	if err != nil {
		return nil, err
	}
	iterations := 1
	if !s.Empty() {
		if iterations, err = readIterations(&s); err != nil {
			return nil, err
		}
	}
	if !s.Empty() {
		return nil, badFormat("MAC")
	}
	size := newHash().Size()
	return &mac{
		cost:   deriveCost(iterations, size, size),
		digest: digest,
		hash:   newHash,
		key: func(p password) ([]byte, error) {
			return deriveBytes(newHash, salt, p.bmp, iterations, forMAC, size), nil
		},
	}, nil
}

// parsePBMAC1 reads PBMAC1-params (RFC 8018, appendix A.5) as RFC 9579 restricts
// them: the length of the key must be there, and enough.
func parsePBMAC1(params cryptobyte.String, digest []byte) (*mac, error) {
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, badFormat("parameters of PBMAC1")
	}
	k, err := parseKDF(&seq)
	if err != nil {
		return nil, err
	}
	macOID, _, ok := readAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, badFormat("parameters of PBMAC1")
	}
	newHash, ok := findHash(hmacs, macOID)
	if !ok {
		return nil, unsupported("the MAC", macOID)
	}
	if k.keySize < minPBMAC1Key {
		return nil, badFormat("the key of the MAC is of under %d bytes", minPBMAC1Key)
	}
	return &mac{
		cost:   k.cost(k.keySize),
		digest: digest,
		hash:   newHash,
		key:    func(p password) ([]byte, error) { return k.derive(p.utf8, k.keySize) },
	}, nil
}
