package pki

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Template is what a policy asks of a certificate.
type Template struct {
	Subject  string   // text of an X.500 name; "" only with an alternative name, by which SelfSign names it then
	SANs     *SANs    // nil or without a name: no extension
	EKUs     []string // dotted OIDs; empty: no extension
	KeyUsage []string // words of KeyUsages; empty: no extension
	CA       bool
	PathLen  *int // nil: unlimited; only with CA
}

// Bounds of a template.
const (
	maxEKUs    = 100
	maxPathLen = 255
)

// KeyUsages are the canonical words in the order of their bits (RFC 5280,
// section 4.2.1.3). The vault writes them as the policy does: cRLSign, and
// nonRepudiation rather than contentCommitment.
var KeyUsages = []string{
	"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
}

// CanonicalKeyUsage finds the canonical form of a word, compared without case.
func CanonicalKeyUsage(word string) (string, bool) {
	for _, w := range KeyUsages {
		if strings.EqualFold(w, word) {
			return w, true
		}
	}
	return "", false
}

// The extensions that the vault writes and reads (RFC 5280, section 4.2.1).
var (
	oidSubjectKeyID     = mustOID("2.5.29.14")
	oidKeyUsage         = mustOID("2.5.29.15")
	oidSAN              = mustOID("2.5.29.17")
	oidBasicConstraints = mustOID("2.5.29.19")
	oidAuthorityKeyID   = mustOID("2.5.29.35")
	oidEKU              = mustOID("2.5.29.37")
)

// profile is a template that has been checked, in the form of the certificate.
type profile struct {
	subject []byte // DER
	sans    SANs   // normal
	ekus    []oid
	usages  map[string]bool // canonical words
	ca      bool
	pathLen *int
	public  crypto.PublicKey
	spki    []byte
}

// profile checks the template for a key. Errors name the field as the policy
// spells it.
func (t Template) profile(key crypto.Signer) (*profile, error) {
	if key == nil {
		return nil, ErrKeyType
	}
	p := &profile{ca: t.CA, pathLen: t.PathLen, usages: make(map[string]bool), public: key.Public()}
	var err error
	if p.spki, err = MarshalPublic(p.public); err != nil {
		return nil, err
	}
	if p.subject, err = ParseName(t.Subject); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if field, err := t.SANs.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimSuffix("sans."+field, "."), err)
	}
	if t.SANs != nil {
		p.sans = t.SANs.normal()
	}
	if p.emptySubject() && t.SANs.count() == 0 {
		return nil, errors.New("subject: empty, and there is no alternative name")
	}
	if len(t.EKUs) > maxEKUs {
		return nil, fmt.Errorf("ekus: more than %d", maxEKUs)
	}
	for i, s := range t.EKUs {
		id, err := parseOID(s)
		if err != nil {
			return nil, fmt.Errorf("ekus %d: %w", i+1, err)
		}
		p.ekus = append(p.ekus, id)
	}
	for i, word := range t.KeyUsage {
		canonical, ok := CanonicalKeyUsage(word)
		if !ok {
			return nil, fmt.Errorf("key_usage %d: unknown", i+1)
		}
		p.usages[canonical] = true
	}
	if t.PathLen != nil && (!t.CA || *t.PathLen < 0 || *t.PathLen > maxPathLen) {
		return nil, fmt.Errorf("path_len_constraint: 0 to %d, and only for a CA", maxPathLen)
	}
	return p, nil
}

func (p *profile) emptySubject() bool { return len(p.subject) == 2 }

func addExtension(b *cryptobyte.Builder, id oid, critical bool, value cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, id)
		if critical {
			b.AddASN1Boolean(true) // DEFAULT FALSE is not written (X.690, 11.5)
		}
		b.AddASN1(asn1.OCTET_STRING, value)
	})
}

// addKeyUsage writes a critical KeyUsage. Trailing zero bits of a named bit list
// are not written (X.690, 11.2.2).
func (p *profile) addKeyUsage(b *cryptobyte.Builder) {
	if len(p.usages) == 0 {
		return
	}
	var bits [2]byte
	last := 0
	for i, word := range KeyUsages {
		if p.usages[word] {
			bits[i/8] |= 0x80 >> (i % 8)
			last = i
		}
	}
	addExtension(b, oidKeyUsage, true, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(uint8(7 - last%8)) // unused bits of the last octet
			b.AddBytes(bits[:last/8+1])
		})
	})
}

// addBasicConstraints writes an empty sequence for an end entity and is critical
// for a CA (contract certificates.md, 10.2).
func (p *profile) addBasicConstraints(b *cryptobyte.Builder) {
	addExtension(b, oidBasicConstraints, p.ca, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if p.ca {
				b.AddASN1Boolean(true)
			}
			if p.pathLen != nil {
				b.AddASN1Int64(int64(*p.pathLen))
			}
		})
	})
}

func (p *profile) addEKUs(b *cryptobyte.Builder) {
	if len(p.ekus) == 0 {
		return
	}
	addExtension(b, oidEKU, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, id := range p.ekus {
				addOID(b, id)
			}
		})
	})
}

// addSANs is critical when nothing else names the subject (RFC 5280, section
// 4.2.1.6).
func (p *profile) addSANs(b *cryptobyte.Builder) {
	if p.sans.count() > 0 {
		addExtension(b, oidSAN, p.emptySubject(), p.sans.encode)
	}
}

// ekuText gives the dotted forms.
func (p *profile) ekuText() []string {
	var text []string
	for _, id := range p.ekus {
		text = append(text, id.String())
	}
	return text
}

// usageWords gives the words as ParseCertificate does.
func (p *profile) usageWords() []string {
	var words []string
	for w := range p.usages {
		words = append(words, w)
	}
	slices.SortFunc(words, compareFold)
	return words
}

// compareFold is the alphabetical order of the contract: without case.
func compareFold(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }
