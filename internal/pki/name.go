package pki

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ErrName is an X.500 name whose text cannot be read.
var ErrName = errors.New("invalid X.500 distinguished name")

// valueKind says which characters and which string types a value may have.
type valueKind int

const (
	directory valueKind = iota // PrintableString if it can be, else UTF8String
	printable                  // PrintableString (X.520)
	country                    // PrintableString, two letters (ISO 3166)
	ia5                        // IA5String
)

// attributeType is one row of the table of known types (contract
// certificates.md, 10.3).
type attributeType struct {
	id    oid
	words []string // the first is Windows' own and the one we write
	kind  valueKind
	max   int // characters: the upper bounds of RFC 5280, appendix A.1
}

// maxValue bounds the values of types that the table does not know:
// ub-name of RFC 5280, the largest of its bounds.
const maxValue = 32768

var oidCommonName = mustOID("2.5.4.3")

var attributeTypes = []attributeType{
	{oidCommonName, []string{"CN"}, directory, 64},
	{mustOID("2.5.4.11"), []string{"OU"}, directory, 64},
	{mustOID("2.5.4.10"), []string{"O"}, directory, 64},
	{mustOID("2.5.4.7"), []string{"L"}, directory, 128},
	{mustOID("2.5.4.8"), []string{"S", "ST"}, directory, 128},
	{mustOID("2.5.4.6"), []string{"C"}, country, 2},
	{mustOID("2.5.4.9"), []string{"STREET"}, directory, 128},         // X.520 ub-street-address
	{mustOID("0.9.2342.19200300.100.1.25"), []string{"DC"}, ia5, 63}, // RFC 4519, 2.4: one DNS label
	{mustOID("1.2.840.113549.1.9.1"), []string{"E", "EMAIL", "EMAILADDRESS"}, ia5, 255},
	{mustOID("2.5.4.42"), []string{"G", "GIVENNAME"}, directory, maxValue},
	{mustOID("2.5.4.4"), []string{"SN", "SURNAME"}, directory, maxValue},
	{mustOID("2.5.4.43"), []string{"I", "INITIALS"}, directory, maxValue},
	{mustOID("2.5.4.12"), []string{"T", "TITLE"}, directory, 64},
	{mustOID("2.5.4.5"), []string{"SERIALNUMBER"}, printable, 64},
	{mustOID("2.5.4.17"), []string{"POSTALCODE"}, directory, 40},            // X.520 ub-postal-code
	{mustOID("0.9.2342.19200300.100.1.1"), []string{"UID"}, directory, 256}, // RFC 4524, 2.26
}

// inputTypes are further types that Windows has words for and that are read, but
// written by their OID (contract certificates.md, question 32).
var inputTypes = []attributeType{
	{mustOID("2.5.4.13"), []string{"DESCRIPTION"}, directory, 1024},
	{mustOID("2.5.4.18"), []string{"POBOX"}, directory, 40},
	{mustOID("2.5.4.20"), []string{"PHONE"}, printable, 32},
	{mustOID("2.5.4.46"), []string{"DNQUALIFIER"}, printable, maxValue},
}

// typeByOID finds a type; one that the table does not know holds directory text.
func typeByOID(id oid) attributeType {
	for _, t := range attributeTypes {
		if t.id == id {
			return t
		}
	}
	return attributeType{id: id, kind: directory, max: maxValue}
}

// typeByWord reads the left side of an equals sign.
func typeByWord(word string) (attributeType, error) {
	for _, t := range slices.Concat(attributeTypes, inputTypes) {
		for _, w := range t.words {
			if strings.EqualFold(w, word) {
				return t, nil
			}
		}
	}
	if len(word) > 4 && strings.EqualFold(word[:4], "OID.") {
		word = word[4:]
	}
	id, err := parseOID(word)
	if err != nil {
		return attributeType{}, errors.New("unknown attribute type")
	}
	return typeByOID(id), nil
}

// encode gives the string type of a value, or what is wrong with it.
func (t attributeType) encode(value string) (asn1.Tag, error) {
	if value == "" {
		return 0, errors.New("empty value")
	}
	if !utf8.ValidString(value) {
		return 0, errors.New("the value is not UTF-8")
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return 0, errors.New("control character in the value")
	}
	if utf8.RuneCountInString(value) > t.max {
		return 0, fmt.Errorf("the value is longer than %d characters", t.max)
	}
	switch {
	case t.kind == ia5 && isASCII(value):
		return asn1.IA5String, nil
	case t.kind == ia5:
		return 0, errors.New("the value is not ASCII")
	case t.kind == country && !isCountry(value):
		return 0, errors.New("a country is two letters")
	case isPrintable(value):
		return asn1.PrintableString, nil
	case t.kind == printable:
		return 0, errors.New("the value is not a PrintableString")
	default:
		return asn1.UTF8String, nil
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isCountry(s string) bool {
	return len(s) == 2 && isLetter(rune(s[0])) && isLetter(rune(s[1]))
}

// isPrintable reports whether s fits PrintableString (X.680, 41.4).
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !isLetter(r) && !isDigit(r) && !strings.ContainsRune(" '()+,-./:=?", r)
	})
}

// FormatName writes a DER Name as Windows does: RDNs in reverse order, ", "
// between them, " + " within one, quotes where needed (contract certificates.md,
// 10.3). A value that is no text, or has control characters, is written as the
// type's OID and # with the hexadecimal DER of the value; ParseName refuses
// that form, so such a name is shown but never issued by mistake.
func FormatName(der []byte) (string, error) {
	var rdns []string
	err := readName(der, func(attributes []attribute) {
		texts := make([]string, len(attributes))
		for i, a := range attributes {
			texts[i] = formatAttribute(a.id, a.value)
		}
		rdns = append(rdns, strings.Join(texts, " + "))
	})
	if err != nil {
		return "", err
	}
	slices.Reverse(rdns)
	return strings.Join(rdns, ", "), nil
}

// CommonNames are the texts of the CN attributes of a name in DER, in its order;
// none of a malformed name.
func CommonNames(der []byte) (names []string) {
	err := readName(der, func(attributes []attribute) {
		for _, a := range attributes {
			if text, ok := decodeText(a.value); ok && a.id == oidCommonName {
				names = append(names, text)
			}
		}
	})
	if err != nil {
		return nil
	}
	return names
}

// attribute is a part of a relative distinguished name.
type attribute struct {
	id    oid
	value cryptobyte.String // the element
}

// readName calls each with every relative distinguished name that says something.
func readName(der []byte, each func([]attribute)) error {
	input := cryptobyte.String(der)
	var name cryptobyte.String
	if !input.ReadASN1(&name, asn1.SEQUENCE) || !input.Empty() {
		return errors.New("malformed name")
	}
	for !name.Empty() {
		var set cryptobyte.String
		if !name.ReadASN1(&set, asn1.SET) {
			return errors.New("malformed relative distinguished name")
		}
		if set.Empty() { // against X.501, but CAs have made some: it says nothing
			continue
		}
		var attributes []attribute
		for !set.Empty() {
			var one cryptobyte.String
			var a attribute
			if !set.ReadASN1(&one, asn1.SEQUENCE) || !readOID(&one, &a.id) ||
				!one.ReadAnyASN1Element(&a.value, nil) || !one.Empty() {
				return errors.New("malformed attribute in a name")
			}
			attributes = append(attributes, a)
		}
		each(attributes)
	}
	return nil
}

func formatAttribute(id oid, element cryptobyte.String) string {
	dotted := "OID." + id.String()
	text, ok := decodeText(element)
	if !ok || strings.ContainsFunc(text, unicode.IsControl) {
		return dotted + "=#" + strings.ToUpper(hex.EncodeToString(element))
	}
	word := dotted
	if t := typeByOID(id); len(t.words) > 0 {
		word = t.words[0]
	}
	if needsQuotes(text) {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return word + "=" + text
}

// needsQuotes is Windows' rule for CertNameToStr, and the backslash, which
// ParseName takes for an escape.
func needsQuotes(text string) bool {
	return text == "" || strings.Trim(text, blanks) != text || strings.ContainsAny(text, ",+=\"\n<>#;\\")
}

// Tags of string types that cryptobyte does not name (X.680, 8.4).
const (
	tagNumericString   = asn1.Tag(18)
	tagVisibleString   = asn1.Tag(26)
	tagUniversalString = asn1.Tag(28)
	tagBMPString       = asn1.Tag(30)
)

// decodeText reads an ASN.1 string; false when it is none or breaks its own
// character set beyond what is common (an underscore in a PrintableString is).
func decodeText(element cryptobyte.String) (string, bool) {
	var content cryptobyte.String
	var tag asn1.Tag
	if !element.ReadAnyASN1(&content, &tag) {
		return "", false
	}
	switch tag {
	case asn1.UTF8String:
		return string(content), utf8.Valid(content)
	case asn1.PrintableString, asn1.IA5String, tagNumericString, tagVisibleString:
		return string(content), isASCII(string(content))
	case asn1.T61String: // in practice Latin-1
		runes := make([]rune, len(content))
		for i, c := range content {
			runes[i] = rune(c)
		}
		return string(runes), true
	case tagBMPString:
		var units []uint16
		for !content.Empty() {
			var u uint16
			if !content.ReadUint16(&u) {
				return "", false
			}
			units = append(units, u)
		}
		runes := utf16.Decode(units)
		return string(runes), !strings.ContainsRune(string(runes), utf8.RuneError)
	case tagUniversalString:
		var runes []rune
		for !content.Empty() {
			var u uint32
			if !content.ReadUint32(&u) || u > unicode.MaxRune || !utf8.ValidRune(rune(u)) {
				return "", false
			}
			runes = append(runes, rune(u))
		}
		return string(runes), true
	default:
		return "", false
	}
}
