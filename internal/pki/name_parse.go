package pki

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// blanks are what Windows ignores around separators.
const blanks = " \t\n\v\f\r"

// ParseName reads the text form of an X.500 name and gives the DER of its
// RDNSequence, the last part of the text first (contract certificates.md, 10.3).
// The grammar is that of Windows' CertStrToName:
//
//	name      = [ rdn *( ("," / ";") rdn ) [ "," / ";" ] ]
//	rdn       = attribute *( "+" attribute )
//	attribute = type "=" ( quoted / plain )
//
// with blanks ignored between all of these, and "" for a quote inside quotes.
// Outside of quotes the escapes of RFC 4514 (a backslash before a special
// character or two hexadecimal digits) are read too; any other backslash stands
// for itself, as in DOMAIN\user on Windows. The empty text is the empty name.
// An error is an ErrName and tells the number of the attribute, never its value.
func ParseName(text string) ([]byte, error) {
	rdns, err := parseRDNs(text)
	if err != nil {
		return nil, err
	}
	slices.Reverse(rdns)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(rdn...)) })
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: too long", ErrName)
	}
	return der, nil
}

// parseRDNs gives the attributes of each RDN, encoded and in DER's order.
func parseRDNs(text string) ([][][]byte, error) {
	p := nameParser{rest: text}
	var rdns [][][]byte
	var rdn [][]byte
	types := make(map[oid]bool) // of this RDN
	for n := 1; ; n++ {
		p.skipBlanks()
		if p.rest == "" && len(rdn) == 0 {
			return rdns, nil
		}
		t, der, err := p.attribute()
		if err == nil && types[t.id] {
			err = errors.New("an RDN holds each type once")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: attribute %d: %w", ErrName, n, err)
		}
		types[t.id] = true
		rdn = append(rdn, der)

		var sep byte
		if p.rest != "" {
			sep, p.rest = p.rest[0], p.rest[1:]
		}
		if sep == '+' {
			continue
		}
		slices.SortFunc(rdn, slices.Compare) // SET OF: X.690, 11.6
		rdns, rdn = append(rdns, rdn), nil
		clear(types)
	}
}

type nameParser struct{ rest string }

func (p *nameParser) skipBlanks() { p.rest = strings.TrimLeft(p.rest, blanks) }

// attribute reads one type=value and stops at a separator or at the end.
func (p *nameParser) attribute() (attributeType, []byte, error) {
	word, rest, found := strings.Cut(p.rest, "=")
	if !found {
		return attributeType{}, nil, errors.New("no type=value")
	}
	t, err := typeByWord(strings.TrimRight(word, blanks))
	if err != nil {
		return t, nil, err
	}
	p.rest = rest
	p.skipBlanks()
	var value string
	if strings.HasPrefix(p.rest, `"`) {
		value, err = p.quoted()
	} else {
		value, err = p.plain()
	}
	if err != nil {
		return t, nil, err
	}
	tag, err := t.encode(value)
	if err != nil {
		return t, nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, t.id)
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
	})
	der, err := b.Bytes()
	return t, der, err
}

// quoted reads a value in quotes, and the blanks after it.
func (p *nameParser) quoted() (string, error) {
	var value strings.Builder
	for rest := p.rest[1:]; ; {
		part, after, found := strings.Cut(rest, `"`)
		if !found {
			return "", errors.New("the closing quote is missing")
		}
		value.WriteString(part)
		if !strings.HasPrefix(after, `"`) {
			p.rest = after
			break
		}
		value.WriteByte('"')
		rest = after[1:]
	}
	p.skipBlanks()
	if p.rest != "" && !isSeparator(p.rest[0]) {
		return "", errors.New("text after the closing quote")
	}
	return value.String(), nil
}

// plain reads a value without quotes, and drops unescaped blanks at its end.
func (p *nameParser) plain() (string, error) {
	if strings.HasPrefix(p.rest, "#") {
		// Encoded values, in RFC 4514 as in Windows: they could smuggle in any
		// DER, and nobody needs one here.
		return "", errors.New("a value that begins with # must be in quotes")
	}
	var value []byte
	keep := 0 // length up to the last octet that is not a trailing blank
	for p.rest != "" && !isSeparator(p.rest[0]) {
		c, n, escaped := unescape(p.rest)
		if c == '"' && !escaped {
			return "", errors.New("a quote inside a value without quotes")
		}
		value = append(value, c)
		if escaped || strings.IndexByte(blanks, c) < 0 {
			keep = len(value)
		}
		p.rest = p.rest[n:]
	}
	return string(value[:keep]), nil
}

func isSeparator(c byte) bool { return c == ',' || c == ';' || c == '+' }

// unescape gives the first octet of s, which is not empty, and how many octets
// of s stand for it (RFC 4514, section 2.4).
func unescape(s string) (c byte, n int, escaped bool) {
	if s[0] != '\\' || len(s) < 2 {
		return s[0], 1, false
	}
	if strings.IndexByte(`,;+"\<>=# `, s[1]) >= 0 {
		return s[1], 2, true
	}
	if len(s) >= 3 {
		if octet, err := hex.DecodeString(s[1:3]); err == nil {
			return octet[0], 3, true
		}
	}
	return s[0], 1, false
}
