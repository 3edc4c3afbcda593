package pkcs12

import (
	"encoding/asn1"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12/ber"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}

	// RFC 7292, appendix D.
	oidKeyBag           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKeyBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidSafeContentsBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidCertTypeX509     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oidMicrosoftCSPName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 17, 1}
)

const (
	tagExplicit0       = 0x20 | 0x80 | cbasn1.Tag(0) // [0], constructed
	tagOctetsImplicit0 = 0x80 | cbasn1.Tag(0)        // [0], primitive
	tagBMPString       = cbasn1.Tag(30)
)

// pfxVersion is the only version of a PFX (RFC 7292, section 4).
const pfxVersion = 3

// file is a PFX of which everything is read that needs no password.
type file struct {
	authSafe []byte // what the MAC is over
	mac      *mac   // nil when there is none
	contents []content
}

// content is one SafeContents, in clear or encrypted.
type content struct {
	sealed *sealed // nil when in clear
	bags   []bag
}

// sealed is a ciphertext with the way to its key.
type sealed struct {
	scheme     *scheme
	ciphertext []byte
}

// bag is a SafeBag: exactly one of the first three is set.
type bag struct {
	certificate  []byte
	key          []byte // PrivateKeyInfo in clear
	sealedKey    *sealed
	localKeyID   []byte
	friendlyName string
}

// parser reads files and counts what it meets.
type parser struct {
	bags   int    // so far
	budget budget // what is left of it when each derivation that was read is made once
}

// parseFile reads a PFX (RFC 7292, section 4).
func (p *parser) parseFile(pfx []byte) (*file, error) {
	der, err := toDER(pfx)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	var version int64
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Integer(&version) {
		return nil, badFormat("PFX")
	}
	if version != pfxVersion {
		return nil, badFormat("version of the PFX")
	}
	contentType, value, ok := readContentInfo(&seq)
	if !ok || !contentType.Equal(oidData) {
		return nil, badFormat("authSafe") // or signed with a public key, which nobody does
	}
	var f file
	if !value.ReadASN1Bytes(&f.authSafe, cbasn1.OCTET_STRING) || !value.Empty() {
		return nil, badFormat("authSafe")
	}
	if !seq.Empty() {
		var macData cryptobyte.String
		if !seq.ReadASN1(&macData, cbasn1.SEQUENCE) || !seq.Empty() {
			return nil, badFormat("MAC")
		}
		if f.mac, err = parseMAC(macData); err != nil {
			return nil, err
		}
		if err := p.budget.spend(f.mac.cost); err != nil {
			return nil, err
		}
	}
	f.contents, err = p.parseAuthenticatedSafe(f.authSafe)
	return &f, err
}

// parseAuthenticatedSafe reads a SEQUENCE OF ContentInfo (RFC 7292, section 4.1).
func (p *parser) parseAuthenticatedSafe(in []byte) ([]content, error) {
	der, err := ber.ToDER(in)
	if err != nil {
		return nil, badFormat("authenticated safe: %v", err)
	}
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, badFormat("authenticated safe")
	}
	var out []content
	for !seq.Empty() {
		if len(out) == maxBags {
			return nil, badFormat("over %d contents", maxBags)
		}
		contentType, value, ok := readContentInfo(&seq)
		if !ok {
			return nil, badFormat("content")
		}
		var c content
		switch {
		case contentType.Equal(oidData):
			var data []byte
			if !value.ReadASN1Bytes(&data, cbasn1.OCTET_STRING) || !value.Empty() {
				return nil, badFormat("data")
			}
			if data, err = ber.ToDER(data); err != nil {
				return nil, badFormat("data: %v", err)
			}
			c.bags, err = p.parseSafeContents(data, 0)
		case contentType.Equal(oidEncryptedData):
			c.sealed, err = p.parseEncryptedData(value)
		default:
			err = unsupported("the content type", contentType)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// parseEncryptedData reads an EncryptedData of version 0 (RFC 2315, section 13).
func (p *parser) parseEncryptedData(value cryptobyte.String) (*sealed, error) {
	var seq, info cryptobyte.String
	var version int64
	var contentType asn1.ObjectIdentifier
	if !value.ReadASN1(&seq, cbasn1.SEQUENCE) || !value.Empty() ||
		!seq.ReadASN1Integer(&version) || version != 0 ||
		!seq.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!info.ReadASN1ObjectIdentifier(&contentType) || !contentType.Equal(oidData) {
		return nil, badFormat("encrypted data")
	}
	scheme, err := p.parseScheme(&info)
	if err != nil {
		return nil, err
	}
	out := &sealed{scheme: scheme}
	if info.PeekASN1Tag(tagExplicit0) { // the implicit tag, constructed: a string in pieces
		var pieces cryptobyte.String
		if !info.ReadASN1(&pieces, tagExplicit0) {
			return nil, badFormat("encrypted data")
		}
		if out.ciphertext, err = ber.Octets(pieces); err != nil {
			return nil, badFormat("encrypted data: %v", err)
		}
	} else if !info.ReadASN1Bytes(&out.ciphertext, tagOctetsImplicit0) {
		return nil, badFormat("encrypted data")
	}
	if !info.Empty() {
		return nil, badFormat("encrypted data")
	}
	return out, nil
}

// parseEncryptedKey reads an EncryptedPrivateKeyInfo, which must be all of s.
func (p *parser) parseEncryptedKey(s *cryptobyte.String) (*sealed, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return nil, badFormat("encrypted private key")
	}
	scheme, err := p.parseScheme(&seq)
	if err != nil {
		return nil, err
	}
	out := &sealed{scheme: scheme}
	if !seq.ReadASN1Bytes(&out.ciphertext, cbasn1.OCTET_STRING) || !seq.Empty() {
		return nil, badFormat("encrypted private key")
	}
	return out, nil
}

func (p *parser) parseScheme(s *cryptobyte.String) (*scheme, error) {
	scheme, err := parseScheme(s)
	if err != nil {
		return nil, err
	}
	return scheme, p.budget.spend(scheme.cost)
}

// parseSafeContents reads a SEQUENCE OF SafeBag (RFC 7292, section 4.2) in DER.
func (p *parser) parseSafeContents(der []byte, depth int) ([]bag, error) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return nil, badFormat("safe contents")
	}
	if depth > maxNesting {
		return nil, badFormat("safe contents nested too deep")
	}
	var out []bag
	for !seq.Empty() {
		if p.bags++; p.bags > maxBags {
			return nil, badFormat("over %d bags", maxBags)
		}
		var entry, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !seq.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1ObjectIdentifier(&oid) ||
			!entry.ReadASN1(&value, tagExplicit0) {
			return nil, badFormat("bag")
		}
		if oid.Equal(oidSafeContentsBag) {
			inner, err := p.parseSafeContents(value, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		}
		var b bag
		var err error
		switch {
		case oid.Equal(oidCertBag):
			b.certificate, err = parseCertBag(value)
		case oid.Equal(oidKeyBag):
			b.key, err = readSequence(value)
		case oid.Equal(oidShroudedKeyBag):
			b.sealedKey, err = p.parseEncryptedKey(&value)
		default:
			continue // a CRL, a secret of another program
		}
		if err != nil {
			return nil, err
		}
		if err := b.parseAttributes(entry); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// parseCertBag reads the content of a CertBag (RFC 7292, section 4.2.3).
func parseCertBag(value cryptobyte.String) ([]byte, error) {
	var seq, wrapped cryptobyte.String
	var oid asn1.ObjectIdentifier
	var der []byte
	if !value.ReadASN1(&seq, cbasn1.SEQUENCE) || !value.Empty() ||
		!seq.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidCertTypeX509) ||
		!seq.ReadASN1(&wrapped, tagExplicit0) || !seq.Empty() ||
		!wrapped.ReadASN1Bytes(&der, cbasn1.OCTET_STRING) || !wrapped.Empty() {
		return nil, badFormat("certificate bag")
	}
	return readSequence(der)
}

// readSequence returns in when it is one SEQUENCE and nothing else.
func readSequence(in []byte) ([]byte, error) {
	s := cryptobyte.String(in)
	var element cryptobyte.String
	if !s.ReadASN1Element(&element, cbasn1.SEQUENCE) || !s.Empty() {
		return nil, badFormat("content of a bag")
	}
	return element, nil
}

// parseAttributes reads the optional SET OF PKCS12Attribute of a bag, and keeps the
// first localKeyId and friendlyName.
func (b *bag) parseAttributes(s cryptobyte.String) error {
	if s.Empty() {
		return nil
	}
	var attributes cryptobyte.String
	if !s.ReadASN1(&attributes, cbasn1.SET) || !s.Empty() {
		return badFormat("attributes of a bag")
	}
	for n := 0; !attributes.Empty(); n++ {
		var seq, values, value cryptobyte.String
		var tag cbasn1.Tag
		var oid asn1.ObjectIdentifier
		if n == maxAttributes || !attributes.ReadASN1(&seq, cbasn1.SEQUENCE) ||
			!seq.ReadASN1ObjectIdentifier(&oid) || !seq.ReadASN1(&values, cbasn1.SET) {
			return badFormat("attributes of a bag")
		}
		ours := oid.Equal(oidLocalKeyID) || oid.Equal(oidFriendlyName)
		if !ours || values.Empty() {
			continue
		}
		if !values.ReadAnyASN1(&value, &tag) || len(value) > maxAttribute {
			return badFormat("attributes of a bag")
		}
		switch {
		case oid.Equal(oidLocalKeyID) && tag == cbasn1.OCTET_STRING && b.localKeyID == nil:
			b.localKeyID = value
		case oid.Equal(oidFriendlyName) && tag == tagBMPString && b.friendlyName == "":
			b.friendlyName, _ = fromBMPString(value)
		case oid.Equal(oidFriendlyName) && tag == cbasn1.UTF8String && b.friendlyName == "" && utf8.Valid(value):
			b.friendlyName = string(value) // against the standard, but harmless
		}
	}
	return nil
}

// readContentInfo reads a ContentInfo (RFC 2315, section 7) whose content is there.
func readContentInfo(s *cryptobyte.String) (oid asn1.ObjectIdentifier, value cryptobyte.String, ok bool) {
	var seq cryptobyte.String
	ok = s.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(&oid) &&
		seq.ReadASN1(&value, tagExplicit0) && seq.Empty()
	return oid, value, ok
}
