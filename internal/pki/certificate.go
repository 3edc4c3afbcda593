package pki

import (
	"bytes"
	"crypto"
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

// maxCertificate bounds a certificate that is read, in octets.
const maxCertificate = 64 << 10

// Certificate is an X.509 certificate, as far as the vault reads one.
type Certificate struct {
	Raw                     []byte
	RawSubject              []byte
	RawIssuer               []byte
	RawSubjectPublicKeyInfo []byte

	PublicKey    crypto.PublicKey // nil when the vault does not hold keys of its kind
	PublicKeyErr error            // then an ErrKeyType

	Serial              *big.Int
	NotBefore, NotAfter time.Time

	SubjectKeyID, AuthorityKeyID []byte // nil when the certificate has none

	HasBasicConstraints bool
	CA                  bool
	PathLen             *int // nil: no limit

	HasKeyUsage bool
	KeyUsage    []string // canonical words, alphabetical without regard to case

	HasEKUs bool
	EKUs    []string // dotted

	HasSANs bool
	SANs    SANs // with HasSANs the first three lists are not nil

	subject, issuer string
	serial          []byte // DER content
	tbs             []byte
	algorithm       []byte // AlgorithmIdentifier
	signature       []byte
}

func malformed(what string) error { return errors.New("malformed certificate: " + what) }

// ParseCertificate reads one DER certificate of version 1 to 3. It is lenient
// in what a certificate says and strict in how: unknown extensions, critical
// ones too, and unsupported keys are passed over, for the vault stores
// certificates and does not trust them; bad DER, a repeated extension and
// trailing data are errors. The input is copied.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, malformed("longer than 64 KiB")
	}
	c := &Certificate{Raw: bytes.Clone(der)}
	input := cryptobyte.String(c.Raw)
	var outer, tbs, algorithm cryptobyte.String
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!outer.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!outer.ReadASN1BitStringAsBytes(&c.signature) || !outer.Empty() {
		return nil, malformed("not a signed structure")
	}
	c.tbs, c.algorithm = tbs, algorithm
	if err := c.parseTBS(tbs); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Certificate) parseTBS(der cryptobyte.String) error {
	var tbs, serial, algorithm, issuer, validity, subject, spki, extensions cryptobyte.String
	var version int
	context := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
	if !der.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1Integer(&version, context(0).Constructed(), 0) || version < 0 || version > 2 {
		return malformed("version")
	}
	peek := tbs
	c.Serial = new(big.Int)
	if !peek.ReadASN1(&serial, asn1.INTEGER) || !tbs.ReadASN1Integer(c.Serial) {
		return malformed("serial number")
	}
	c.serial = serial
	// RFC 5280, section 4.1.1.2: the algorithm stands inside and outside alike.
	if !tbs.ReadASN1Element(&algorithm, asn1.SEQUENCE) || !bytes.Equal(algorithm, c.algorithm) {
		return malformed("signature algorithm")
	}
	if !tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!tbs.ReadASN1(&validity, asn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&subject, asn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&spki, asn1.SEQUENCE) {
		return malformed("fields")
	}
	c.RawIssuer, c.RawSubject, c.RawSubjectPublicKeyInfo = issuer, subject, spki
	var err error
	if c.issuer, err = FormatName(issuer); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if c.subject, err = FormatName(subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if !readTime(&validity, &c.NotBefore) || !readTime(&validity, &c.NotAfter) || !validity.Empty() {
		return malformed("dates")
	}
	c.PublicKey, err = ParsePublic(spki)
	switch {
	case errors.Is(err, ErrKeyType):
		c.PublicKey, c.PublicKeyErr = nil, err
	case err != nil:
		return fmt.Errorf("malformed certificate: %w", err)
	}
	var present bool
	if !tbs.SkipOptionalASN1(context(1)) || !tbs.SkipOptionalASN1(context(2)) || // unique identifiers
		!tbs.ReadOptionalASN1(&extensions, &present, context(3).Constructed()) || !tbs.Empty() ||
		present && version != 2 {
		return malformed("fields after the public key")
	}
	if present {
		return c.parseExtensions(extensions)
	}
	return nil
}

func readTime(s *cryptobyte.String, out *time.Time) bool {
	ok := false
	if s.PeekASN1Tag(asn1.UTCTime) {
		ok = s.ReadASN1UTCTime(out)
	} else {
		ok = s.ReadASN1GeneralizedTime(out)
	}
	*out = out.UTC()
	return ok
}

// readDefaultFalse reads a BOOLEAN DEFAULT FALSE. A false that is written out
// is not DER, but common.
func readDefaultFalse(s *cryptobyte.String, out *bool) bool {
	return !s.PeekASN1Tag(asn1.BOOLEAN) || s.ReadASN1Boolean(out)
}

func (c *Certificate) parseExtensions(der cryptobyte.String) error {
	var list cryptobyte.String
	if !der.ReadASN1(&list, asn1.SEQUENCE) || !der.Empty() {
		return malformed("extensions")
	}
	seen := make(map[oid]bool)
	for !list.Empty() {
		var extension, value cryptobyte.String
		var id oid
		var critical bool
		if !list.ReadASN1(&extension, asn1.SEQUENCE) || !readOID(&extension, &id) ||
			!readDefaultFalse(&extension, &critical) ||
			!extension.ReadASN1(&value, asn1.OCTET_STRING) || !extension.Empty() {
			return malformed("extension")
		}
		if seen[id] { // RFC 5280, section 4.2
			return malformed("extension " + id.String() + " stands twice")
		}
		seen[id] = true
		if !c.parseExtension(id, value) {
			return malformed("extension " + id.String())
		}
	}
	return nil
}

// parseExtension reads the extensions that the vault knows; false when the value
// is malformed.
func (c *Certificate) parseExtension(id oid, value cryptobyte.String) bool {
	switch id {
	case oidSubjectKeyID:
		return value.ReadASN1Bytes(&c.SubjectKeyID, asn1.OCTET_STRING) && value.Empty()
	case oidAuthorityKeyID:
		var seq, keyID cryptobyte.String
		var present bool
		if !value.ReadASN1(&seq, asn1.SEQUENCE) || !value.Empty() ||
			!seq.ReadOptionalASN1(&keyID, &present, asn1.Tag(0).ContextSpecific()) {
			return false
		}
		if present {
			c.AuthorityKeyID = keyID
		}
		return true
	case oidBasicConstraints:
		var seq cryptobyte.String
		if !value.ReadASN1(&seq, asn1.SEQUENCE) || !value.Empty() ||
			!readDefaultFalse(&seq, &c.CA) {
			return false
		}
		c.HasBasicConstraints = true
		if seq.Empty() {
			return true
		}
		var n int
		if !seq.ReadASN1Integer(&n) || n < 0 || !seq.Empty() {
			return false
		}
		c.PathLen = &n
		return true
	case oidKeyUsage:
		return c.parseKeyUsage(value)
	case oidEKU:
		var seq cryptobyte.String
		if !value.ReadASN1(&seq, asn1.SEQUENCE) || !value.Empty() {
			return false
		}
		c.HasEKUs = true
		for !seq.Empty() {
			var eku oid
			if !readOID(&seq, &eku) {
				return false
			}
			c.EKUs = append(c.EKUs, eku.String())
		}
		return true
	case oidSAN:
		sans, err := parseSANs(value)
		c.SANs, c.HasSANs = sans, true
		return err == nil
	default:
		return true
	}
}

func (c *Certificate) parseKeyUsage(value cryptobyte.String) bool {
	var content cryptobyte.String
	var unused uint8
	if !value.ReadASN1(&content, asn1.BIT_STRING) || !value.Empty() ||
		!content.ReadUint8(&unused) || unused > 7 || unused > 0 && content.Empty() {
		return false
	}
	c.HasKeyUsage = true
	for i, word := range KeyUsages {
		if i/8 < len(content) && content[i/8]&(0x80>>(i%8)) != 0 {
			c.KeyUsage = append(c.KeyUsage, word)
		}
	}
	slices.SortFunc(c.KeyUsage, compareFold)
	return true
}

// Thumbprint is the SHA-1 of the certificate: a name for it, not a proof.
func (c *Certificate) Thumbprint() [20]byte { return fips.NameSHA1(c.Raw) }

// SerialHex is the serial number as encoded, two upper-case digits an octet.
func (c *Certificate) SerialHex() string { return strings.ToUpper(hex.EncodeToString(c.serial)) }

// Subject is the subject as Windows writes it, see FormatName.
func (c *Certificate) Subject() string { return c.subject }

// Issuer is the issuer as Windows writes it, see FormatName.
func (c *Certificate) Issuer() string { return c.issuer }

// CheckSignatureBy verifies c's signature under issuer's key, and nothing else:
// neither names nor dates nor constraints. SHA-1 signatures do not verify.
func (c *Certificate) CheckSignatureBy(issuer *Certificate) error {
	if issuer.PublicKey == nil {
		return fmt.Errorf("the issuer's key: %w", ErrKeyType)
	}
	return verifySignature(issuer.PublicKey, c.algorithm, c.tbs, c.signature)
}
