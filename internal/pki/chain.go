package pki

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SortChain puts leaf first, then its issuer, and so on to the root; what does
// not belong to that path follows in input order, copies of the leaf are dropped
// (contract certificates.md, 7.7). An issuer is found by its name, and by the
// key identifiers when both certificates have one; signatures are not looked at.
func SortChain(leaf *Certificate, others []*Certificate) []*Certificate {
	chain := []*Certificate{leaf}
	var rest []*Certificate
	for _, c := range others {
		if !bytes.Equal(c.Raw, leaf.Raw) {
			rest = append(rest, c)
		}
	}
	// Each round takes one certificate away, so that a loop of issuers ends.
	for current := leaf; !current.SelfIssued(); {
		best := -1
		for i, c := range rest {
			grade := issuerGrade(current, c)
			if grade > 0 && (best < 0 || grade > issuerGrade(current, rest[best])) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		current = rest[best]
		chain = append(chain, current)
		rest = append(rest[:best:best], rest[best+1:]...)
	}
	return append(chain, rest...)
}

// issuerGrade says how well issuer fits: 0 not at all, 1 by name, 2 by name and
// key identifier.
func issuerGrade(c, issuer *Certificate) int {
	if !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
		return 0
	}
	if len(c.AuthorityKeyID) == 0 || len(issuer.SubjectKeyID) == 0 {
		return 1
	}
	if !bytes.Equal(c.AuthorityKeyID, issuer.SubjectKeyID) {
		return 0
	}
	return 2
}

// NamesIssuer tells whether issuer is, by its name, and by the key identifiers when
// both certificates have one, the issuer of c. The signature is not looked at.
func (c *Certificate) NamesIssuer(issuer *Certificate) bool { return issuerGrade(c, issuer) > 0 }

// SelfIssued tells whether c names itself as its issuer, as a root does.
func (c *Certificate) SelfIssued() bool { return c.NamesIssuer(c) }

// Sizes of RSA keys that authorities sign with, in bits: fewer are weak, more take
// long to compute with.
const minAuthorityRSA, maxAuthorityRSA = 2048, 8192

var oidEd25519 = mustOID("1.3.101.112") // RFC 8410

// CheckIssuedBy is CheckSignatureBy for authorities, whose keys may be of kinds that
// the vault does not hold: Ed25519, and RSA of minAuthorityRSA to maxAuthorityRSA bits.
// ErrKeyType for the others.
func (c *Certificate) CheckIssuedBy(issuer *Certificate) error {
	err := c.CheckSignatureBy(issuer)
	if !errors.Is(err, ErrKeyType) {
		return err
	}
	public, parseErr := x509.ParsePKIXPublicKey(issuer.RawSubjectPublicKeyInfo)
	if parseErr != nil {
		return err
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); minAuthorityRSA <= bits && bits <= maxAuthorityRSA {
			return verifySignature(public, c.algorithm, c.tbs, c.signature)
		}
	case ed25519.PublicKey:
		algorithm := cryptobyte.String(c.algorithm)
		var content cryptobyte.String
		var id oid
		if !algorithm.ReadASN1(&content, asn1.SEQUENCE) || !readOID(&content, &id) || id != oidEd25519 || !content.Empty() ||
			!ed25519.Verify(public, c.tbs, c.signature) {
			return errSignature
		}
		return nil
	}
	return err
}
