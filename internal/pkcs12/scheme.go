// Copyright 2015, 2018, 2019 Opsmate, Inc. All rights reserved.
// Copyright 2015 The Go Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package pkcs12

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12/rc2"
)

var (
	oidPBEWithSHAAnd3KeyTripleDESCBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidPBEWithSHAAnd128BitRC2CBC     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}
	oidPBEWithSHAAnd40BitRC2CBC      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}
	oidPBES2                         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidDESEDE3CBC                    = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidAES128CBC                     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC                     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC                     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// blockCipher is a cipher in CBC mode; sizes are in bytes.
type blockCipher struct {
	oid       asn1.ObjectIdentifier
	keySize   int
	blockSize int
	create    func(key []byte) (cipher.Block, error)
}

func newRC2(key []byte) (cipher.Block, error) { return rc2.New(key, 8*len(key)) }

// pkcs12Ciphers are the encryptions of RFC 7292, appendix C, that occur in the
// wild; their keys come from [deriveBytes] with SHA-1.
var pkcs12Ciphers = []blockCipher{
	{oidPBEWithSHAAnd3KeyTripleDESCBC, 24, des.BlockSize, des.NewTripleDESCipher},
	{oidPBEWithSHAAnd128BitRC2CBC, 16, rc2.BlockSize, newRC2},
	{oidPBEWithSHAAnd40BitRC2CBC, 5, rc2.BlockSize, newRC2},
}

// pbes2Ciphers are the encryptions of PBES2 (RFC 8018, appendix B.2).
var pbes2Ciphers = []blockCipher{
	{oidAES256CBC, 32, aes.BlockSize, aes.NewCipher},
	{oidAES192CBC, 24, aes.BlockSize, aes.NewCipher},
	{oidAES128CBC, 16, aes.BlockSize, aes.NewCipher},
	{oidDESEDE3CBC, 24, des.BlockSize, des.NewTripleDESCipher},
}

func findCipher(list []blockCipher, oid asn1.ObjectIdentifier) (blockCipher, bool) {
	for _, c := range list {
		if c.oid.Equal(oid) {
			return c, true
		}
	}
	return blockCipher{}, false
}

// scheme is a password-based encryption as its AlgorithmIdentifier describes it,
// with nothing derived yet.
type scheme struct {
	cost int // of one call of key, in hash iterations
	key  func(p password) (block cipher.Block, iv []byte, err error)
}

// parseScheme reads an AlgorithmIdentifier from s.
func parseScheme(s *cryptobyte.String) (*scheme, error) {
	oid, params, ok := readAlgorithm(s)
	if !ok {
		return nil, badFormat("encryption algorithm")
	}
	if oid.Equal(oidPBES2) {
		return parsePBES2(params)
	}
	c, ok := findCipher(pkcs12Ciphers, oid)
	if !ok {
		return nil, badFormat("encryption algorithm %v is not supported", oid)
	}
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, badFormat("parameters of the encryption")
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
			block, err := c.create(deriveBytes(sha1.New, salt, p.bmp, iterations, forKey, c.keySize))
			return block, deriveBytes(sha1.New, salt, p.bmp, iterations, forIV, c.blockSize), err
		},
	}, nil
}

// parsePBES2 reads PBES2-params (RFC 8018, appendix A.4).
func parsePBES2(params cryptobyte.String) (*scheme, error) {
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, badFormat("parameters of PBES2")
	}
	kdfOID, kdfParams, ok := readAlgorithm(&seq)
	if !ok {
		return nil, badFormat("key derivation of PBES2")
	}
	cipherOID, cipherParams, ok := readAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, badFormat("cipher of PBES2")
	}
	c, ok := findCipher(pbes2Ciphers, cipherOID)
	if !ok {
		return nil, badFormat("cipher %v is not supported", cipherOID)
	}
	var iv []byte
	if !cipherParams.ReadASN1Bytes(&iv, cbasn1.OCTET_STRING) || !cipherParams.Empty() || len(iv) != c.blockSize {
		return nil, badFormat("initialization vector of PBES2")
	}
	kdf, err := parseKDF(kdfOID, kdfParams)
	if err != nil {
		return nil, err
	}
	if kdf.keySize != 0 && kdf.keySize != c.keySize {
		return nil, badFormat("key length of PBES2")
	}
	return &scheme{
		cost: kdf.cost(c.keySize),
		key: func(p password) (cipher.Block, []byte, error) {
			key, err := kdf.derive(p.utf8, c.keySize)
			if err != nil {
				return nil, nil, err
			}
			block, err := c.create(key)
			return block, iv, err
		},
	}, nil
}

// readAlgorithm reads an AlgorithmIdentifier; params is what follows its OID.
func readAlgorithm(s *cryptobyte.String) (oid asn1.ObjectIdentifier, params cryptobyte.String, ok bool) {
	ok = s.ReadASN1(&params, cbasn1.SEQUENCE) && params.ReadASN1ObjectIdentifier(&oid)
	return oid, params, ok
}

func readSalt(s *cryptobyte.String) ([]byte, error) {
	var salt []byte
	if !s.ReadASN1Bytes(&salt, cbasn1.OCTET_STRING) || len(salt) > maxSalt {
		return nil, badFormat("salt")
	}
	return salt, nil
}

// readIterations reads a count of 1 to maxCost.
func readIterations(s *cryptobyte.String) (int, error) {
	var n int64
	if !s.ReadASN1Integer(&n) || n < 1 {
		return 0, badFormat("iteration count")
	}
	if n > maxCost {
		return 0, ErrTooCostly
	}
	return int(n), nil
}
