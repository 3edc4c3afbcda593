// Copyright 2015, 2018, 2019 Opsmate, Inc. All rights reserved.
// Copyright 2015 The Go Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package pkcs12

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA224 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
)

// macHashes are the hashes of a MAC whose key comes from [deriveBytes].
var macHashes = []hashFunc{
	{oidSHA1, sha1.New},
	{oidSHA224, sha256.New224},
	{oidSHA256, sha256.New},
	{oidSHA384, sha512.New384},
	{oidSHA512, sha512.New},
}

// mac is a parsed MacData (RFC 7292, section 4), with nothing derived yet.
type mac struct {
	cost   int // of one call of sum, in hash iterations
	digest []byte
	sum    func(p password, message []byte) ([]byte, error)
}

// matches reports whether the MAC of message under p is the stated one.
func (m *mac) matches(p password, message []byte) (bool, error) {
	sum, err := m.sum(p, message)
	return err == nil && hmac.Equal(sum, m.digest), err
}

// parseMAC reads the content of MacData.
func parseMAC(s cryptobyte.String) (*mac, error) {
	var info cryptobyte.String
	if !s.ReadASN1(&info, cbasn1.SEQUENCE) {
		return nil, badFormat("MAC")
	}
	oid, params, ok := readAlgorithm(&info)
	var digest []byte
	if !ok || !info.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) || !info.Empty() {
		return nil, badFormat("MAC")
	}
	if oid.Equal(oidPBMAC1) {
		// Salt and iterations after the digest mean nothing then (RFC 9579).
		return parsePBMAC1(digest, params)
	}
	newHash, ok := findHash(macHashes, oid)
	if !ok {
		return nil, badFormat("MAC algorithm %v is not supported", oid)
	}
	salt, err := readSalt(&s)
	if err != nil {
		return nil, err
	}
	iterations := 1 // the default
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
		sum: func(p password, message []byte) ([]byte, error) {
			h := hmac.New(newHash, deriveBytes(newHash, salt, p.bmp, iterations, forMAC, size))
			h.Write(message)
			return h.Sum(nil), nil
		},
	}, nil
}

// minPBMAC1Key is the shortest key in bytes: with a key of one byte, one file in
// 256 passes with any password (RFC 9579 recommends this minimum; CVE-2026-34181 in
// OpenSSL).
const minPBMAC1Key = 20

// parsePBMAC1 reads PBMAC1-params (RFC 8018, appendix A.5; RFC 9579).
func parsePBMAC1(digest []byte, params cryptobyte.String) (*mac, error) {
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, badFormat("parameters of PBMAC1")
	}
	kdfOID, kdfParams, ok := readAlgorithm(&seq)
	if !ok || !kdfOID.Equal(oidPBKDF2) {
		return nil, badFormat("key derivation of PBMAC1")
	}
	macOID, _, ok := readAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, badFormat("parameters of PBMAC1")
	}
	newHash, ok := findHash(hmacs, macOID)
	if !ok {
		return nil, badFormat("MAC algorithm %v is not supported", macOID)
	}
	kdf, err := parseKDF(kdfOID, kdfParams)
	if err != nil {
		return nil, err
	}
	if kdf.keySize < minPBMAC1Key { // or absent, which RFC 9579 forbids
		return nil, badFormat("key length of PBMAC1")
	}
	return &mac{
		cost:   kdf.cost(kdf.keySize),
		digest: digest,
		sum: func(p password, message []byte) ([]byte, error) {
			key, err := kdf.derive(p.utf8, kdf.keySize)
			if err != nil {
				return nil, err
			}
			h := hmac.New(newHash, key)
			h.Write(message)
			return h.Sum(nil), nil
		},
	}, nil
}
