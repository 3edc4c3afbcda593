package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/fips"
)

// serialBytes is the length of a serial number. RFC 5280, section 4.1.2.2
// allows 20 octets and wants it positive, so the top bit is cleared.
const serialBytes = 16

// SelfSign makes a version 3 certificate whose issuer is its subject (contract
// certificates.md, 10.2). Without a subject it is named by an alternative name, for an
// issuer must not be empty (question 44). The dates are rounded down to the second. What was
// signed is read again and compared with the template before it is returned.
func SelfSign(t Template, key crypto.Signer, notBefore, notAfter time.Time) ([]byte, error) {
	p, err := t.profile(key)
	if err != nil {
		return nil, err
	}
	if p.emptySubject() {
		if p.subject, err = p.commonName(); err != nil {
			return nil, err
		}
	}
	notBefore, notAfter = notBefore.UTC().Truncate(time.Second), notAfter.UTC().Truncate(time.Second)
	if err := checkDates(notBefore, notAfter); err != nil {
		return nil, err
	}
	scheme, err := schemeFor(p.public)
	if err != nil {
		return nil, err
	}
	keyID, err := p.keyID()
	if err != nil {
		return nil, err
	}
	serial := newSerial()

	var tbs cryptobyte.Builder
	tbs.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2) // version 3
		})
		b.AddASN1BigInt(serial)
		scheme.add(b)
		b.AddBytes(p.subject) // the issuer
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, notBefore)
			addTime(b, notAfter)
		})
		b.AddBytes(p.subject)
		b.AddBytes(p.spki)
		b.AddASN1(asn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				p.addKeyUsage(b)
				p.addBasicConstraints(b)
				p.addEKUs(b)
				p.addSANs(b)
				addExtension(b, oidAuthorityKeyID, false, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(keyID) })
					})
				})
				addExtension(b, oidSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(keyID) })
			})
		})
	})
	content, err := tbs.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding certificate: %w", err)
	}
	der, err := sign(key, content)
	if err != nil {
		return nil, err
	}
	issued, err := ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the new certificate: %w", err)
	}
	err = p.matches(issued)
	switch {
	case err != nil:
	case issued.Serial.Cmp(serial) != 0:
		err = errors.New("serial number")
	case !issued.NotBefore.Equal(notBefore) || !issued.NotAfter.Equal(notAfter):
		err = errors.New("dates")
	case !bytes.Equal(issued.SubjectKeyID, keyID) || !bytes.Equal(issued.AuthorityKeyID, keyID):
		err = errors.New("key identifiers")
	}
	if err != nil {
		return nil, fmt.Errorf("the new certificate is not what was asked for: %w", err)
	}
	if err := issued.CheckSignatureBy(issued); err != nil {
		return nil, fmt.Errorf("checking the new certificate: %w", err)
	}
	return der, nil
}

// commonName is a subject of one CN: the first alternative name that a CN can hold, of
// 64 characters at most, else the key identifier in hexadecimal.
func (p *profile) commonName() ([]byte, error) {
	for _, name := range slices.Concat(p.sans.DNSNames, p.sans.IPAddresses, p.sans.Emails, p.sans.UPNs, p.sans.URIs) {
		if der, err := ParseName(`CN="` + strings.ReplaceAll(name, `"`, `""`) + `"`); err == nil {
			return der, nil
		}
	}
	id, err := p.keyID()
	if err != nil {
		return nil, err
	}
	return ParseName("CN=" + hex.EncodeToString(id))
}

// matches compares a certificate with the profile field by field and names the
// first difference.
func (p *profile) matches(c *Certificate) error {
	switch {
	case !bytes.Equal(c.RawSubject, p.subject), !bytes.Equal(c.RawIssuer, p.subject):
		return errors.New("subject")
	case !bytes.Equal(c.RawSubjectPublicKeyInfo, p.spki), !PublicEqual(c.PublicKey, p.public):
		return errors.New("public key")
	case c.HasKeyUsage != (len(p.usages) > 0), !slices.Equal(c.KeyUsage, p.usageWords()):
		return errors.New("key usage")
	case c.HasEKUs != (len(p.ekus) > 0), !slices.Equal(c.EKUs, p.ekuText()):
		return errors.New("extended key usage")
	case !c.HasBasicConstraints, c.CA != p.ca, (c.PathLen == nil) != (p.pathLen == nil),
		c.PathLen != nil && *c.PathLen != *p.pathLen:
		return errors.New("basic constraints")
	case c.HasSANs != (p.sans.count() > 0),
		!slices.Equal(c.SANs.Emails, p.sans.Emails),
		!slices.Equal(c.SANs.DNSNames, p.sans.DNSNames),
		!slices.Equal(c.SANs.UPNs, p.sans.UPNs),
		!slices.Equal(c.SANs.URIs, p.sans.URIs),
		!slices.Equal(c.SANs.IPAddresses, p.sans.IPAddresses):
		return errors.New("alternative names")
	}
	return nil
}

// keyID is method 1 of RFC 5280, section 4.2.1.2: SHA-1 of the public key's bits.
func (p *profile) keyID() ([]byte, error) {
	_, bits, err := splitSPKI(p.spki)
	if err != nil {
		return nil, err
	}
	sum := fips.NameSHA1(bits)
	return sum[:], nil
}

// newSerial is positive, random, and exactly serialBytes long in DER.
func newSerial() *big.Int {
	var b [serialBytes]byte
	for b[0] == 0 {
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		b[0] &= 0x7f
	}
	return new(big.Int).SetBytes(b[:])
}

// checkDates keeps the dates in order and within what both time types can say
// (RFC 5280, section 4.1.2.5).
func checkDates(notBefore, notAfter time.Time) error {
	if notBefore.Year() < 1950 || notAfter.Year() > 9999 {
		return errors.New("dates: outside of the years 1950 to 9999")
	}
	if !notAfter.After(notBefore) {
		return errors.New("dates: the certificate would end before it begins")
	}
	return nil
}

// addTime writes UTCTime through 2049 and GeneralizedTime after (RFC 5280,
// section 4.1.2.5).
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
}
