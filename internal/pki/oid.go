package pki

import (
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// oid is an object identifier: the content octets of its DER form. Unlike
// encoding/asn1's it holds arcs of any size (2.25 and a UUID is one of 128 bits).
type oid string

// Bounds of an object identifier, in octets of DER and in characters of text.
// No registered one comes near; they keep the conversion to text cheap.
const (
	maxOIDOctets = 128
	maxOIDText   = 300
)

var errOID = errors.New("not an object identifier in dotted form")

// CheckOID reports whether s is an object identifier in its one dotted form:
// no leading zeros, arcs within X.660's limits, at most 300 characters.
func CheckOID(s string) error {
	_, err := parseOID(s)
	return err
}

func parseOID(s string) (oid, error) {
	if len(s) > maxOIDText {
		return "", errOID
	}
	o, err := x509.ParseOID(s)
	if err != nil || o.String() != s {
		return "", errOID
	}
	der, err := o.MarshalBinary()
	if err != nil || len(der) > maxOIDOctets {
		return "", errOID
	}
	return oid(der), nil
}

// mustOID is for the constants of this package.
func mustOID(s string) oid {
	o, err := parseOID(s)
	if err != nil {
		panic("pki: " + s + ": " + err.Error())
	}
	return o
}

// String is the dotted form.
func (o oid) String() string {
	var std x509.OID
	if std.UnmarshalBinary([]byte(o)) != nil {
		return ""
	}
	return std.String()
}

func addOID(b *cryptobyte.Builder, o oid) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(o)) })
}

func readOID(s *cryptobyte.String, out *oid) bool {
	var der cryptobyte.String
	if !s.ReadASN1(&der, asn1.OBJECT_IDENTIFIER) || len(der) > maxOIDOctets {
		return false
	}
	var std x509.OID
	if std.UnmarshalBinary(der) != nil {
		return false
	}
	*out = oid(der)
	return true
}
