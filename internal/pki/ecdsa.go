package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignRaw makes an ECDSA signature of digest as r and s side by side, each as
// long as the curve's field (RFC 7518, section 3.4): never DER.
func SignRaw(key crypto.Signer, digest []byte) ([]byte, error) {
	spec, err := SpecOf(key.Public())
	if err != nil || spec.Algorithm != EC {
		return nil, ErrKeyType
	}
	der, err := key.Sign(rand.Reader, digest, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	r, s := new(big.Int), new(big.Int)
	input := cryptobyte.String(der)
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(s) {
		return nil, errors.New("the signature is not DER")
	}
	field := (spec.Size + 7) / 8
	raw := make([]byte, 2*field)
	r.FillBytes(raw[:field])
	s.FillBytes(raw[field:])
	return raw, nil
}

// VerifyRaw reports whether raw is a signature of digest as SignRaw makes them.
// Of the two values of s either will do.
func VerifyRaw(public crypto.PublicKey, digest, raw []byte) bool {
	spec, err := SpecOf(public)
	if err != nil || spec.Algorithm != EC || len(raw) != 2*((spec.Size+7)/8) || len(digest) == 0 {
		return false
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:len(raw)/2]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[len(raw)/2:]))
	})
	der, err := b.Bytes()
	if err != nil {
		return false
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, der)
	case *P256KPublicKey:
		return public.Verify(digest, der)
	}
	return false
}
