package pkcs12

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12/rc2"
)

var (
	// RFC 7292, appendix C. RC4, 1 and 2 of the same arc, is not supported.
	oidPBEWithSHAAnd3KeyTripleDESCBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidPBEWithSHAAnd2KeyTripleDESCBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 4}
	oidPBEWithSHAAnd128BitRC2CBC     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}
	oidPBEWithSHAAnd40BitRC2CBC      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}

	// RFC 8018, appendix A.4 and B.2.
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidDESEDE3CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidAES128CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// blockCipher is a cipher for CBC under the OID of one of its uses. Sizes are in bytes.
type blockCipher struct {
	oid                asn1.ObjectIdentifier
	keySize, blockSize int
	new                func(key []byte) (cipher.Block, error)
}

// pbeCiphers are those whose key and IV both come from the password.
var pbeCiphers = []blockCipher{
	{oidPBEWithSHAAnd3KeyTripleDESCBC, 24, des.BlockSize, des.NewTripleDESCipher},
	{oidPBEWithSHAAnd2KeyTripleDESCBC, 16, des.BlockSize, newTwoKeyTripleDES},
	{oidPBEWithSHAAnd128BitRC2CBC, 16, rc2.BlockSize, newRC2},
	{oidPBEWithSHAAnd40BitRC2CBC, 5, rc2.BlockSize, newRC2},
}

// pbes2Ciphers are those of PBES2 whose parameters are the IV.
var pbes2Ciphers = []blockCipher{
	{oidAES128CBC, 16, aes.BlockSize, aes.NewCipher},
	{oidAES192CBC, 24, aes.BlockSize, aes.NewCipher},
	{oidAES256CBC, 32, aes.BlockSize, aes.NewCipher},
	{oidDESEDE3CBC, 24, des.BlockSize, des.NewTripleDESCipher},
}

func newTwoKeyTripleDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(slices.Concat(key, key[:8])) // the first is the third too
}

func newRC2(key []byte) (cipher.Block, error) {
	return rc2.New(key, 8*len(key))
}

func findCipher(list []blockCipher, oid asn1.ObjectIdentifier) (blockCipher, error) {
	for _, c := range list {
		if c.oid.Equal(oid) {
			return c, nil
		}
	}
	return blockCipher{}, unsupported("the encryption", oid)
}

// scheme is a password-based encryption with its parameters.
type scheme struct {
	cost int // of key, in hash iterations
	// key makes what the password encrypts with in CBC.
	key func(password) (block cipher.Block, iv []byte, err error)
}

// parseScheme reads the AlgorithmIdentifier of an encryption, and derives nothing.
func parseScheme(s *cryptobyte.String) (*scheme, error) {
	oid, params, ok := readAlgorithm(s)
	if !ok {
		return nil, badFormat("algorithm of the encryption")
	}
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, badFormat("parameters of the encryption %v", oid)
	}
	if oid.Equal(oidPBES2) {
		return parsePBES2(seq)
	}
	c, err := findCipher(pbeCiphers, oid)
	if err != nil {
		return nil, err
	}
	return parsePBE(c, seq)
}

// parsePBE reads pkcs-12PbeParams (RFC 7292, appendix C).
func parsePBE(c blockCipher, seq cryptobyte.String) (*scheme, error) {
	if err := excluded("the encryption with 3DES or RC2 and SHA-1"); err != nil {
		return nil, err
	}
	salt, err := readSalt(&seq)
	if err != nil {
		return nil, err
	}
	iterations, err := readIterations(&seq)
	if err != nil {
		return nil, err
	}
	if !seq.Empty() {
		return nil, badFormat("parameters of the encryption")
	}
	return &scheme{
		cost: deriveCost(iterations, c.keySize, sha1.Size) + deriveCost(iterations, c.blockSize, sha1.Size),
		key: func(p password) (cipher.Block, []byte, error) {
			block, err := c.new(deriveBytes(sha1.New, salt, p.bmp, iterations, forKey, c.keySize))
			return block, deriveBytes(sha1.New, salt, p.bmp, iterations, forIV, c.blockSize), err
		},
	}, nil
}

// parsePBES2 reads PBES2-params (RFC 8018, appendix A.4).
func parsePBES2(seq cryptobyte.String) (*scheme, error) {
	k, err := parseKDF(&seq)
	if err != nil {
		return nil, err
	}
	cipherOID, cipherParams, ok := readAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, badFormat("parameters of PBES2")
	}
	c, err := findCipher(pbes2Ciphers, cipherOID)
	if err != nil {
		return nil, err
	}
	if c.blockSize == des.BlockSize {
		if err := excluded("the encryption with 3DES"); err != nil {
			return nil, err
		}
	}
	if k.keySize != 0 && k.keySize != c.keySize {
		return nil, badFormat("a key of %d bytes for the cipher %v", k.keySize, cipherOID)
	}
	var iv []byte
	if !cipherParams.ReadASN1Bytes(&iv, cbasn1.OCTET_STRING) || !cipherParams.Empty() || len(iv) != c.blockSize {
		return nil, badFormat("initialization vector")
	}
	return &scheme{
		cost: k.cost(c.keySize),
		key: func(p password) (cipher.Block, []byte, error) {
			key, err := k.derive(p.utf8, c.keySize)
			if err != nil {
				return nil, nil, err
			}
			block, err := c.new(key)
			return block, iv, err
		},
	}, nil
}

// readAlgorithm reads an AlgorithmIdentifier; params is all that follows the OID.
func readAlgorithm(s *cryptobyte.String) (oid asn1.ObjectIdentifier, params cryptobyte.String, ok bool) {
	ok = s.ReadASN1(&params, cbasn1.SEQUENCE) && params.ReadASN1ObjectIdentifier(&oid)
	return oid, params, ok
}

// readSalt reads a salt, of no or at most maxSalt bytes.
func readSalt(s *cryptobyte.String) ([]byte, error) {
	var salt []byte
	if !s.ReadASN1Bytes(&salt, cbasn1.OCTET_STRING) || len(salt) > maxSalt {
		return nil, badFormat("salt")
	}
	return salt, nil
}

// readIterations reads a count from 1 to MaxIterations: what costs add up to cannot
// overflow.
func readIterations(s *cryptobyte.String) (int, error) {
	var n int64
	if !s.ReadASN1Integer(&n) || n < 1 {
		return 0, badFormat("iteration count")
	}
	if n > MaxIterations {
		return 0, ErrTooCostly
	}
	return int(n), nil
}
