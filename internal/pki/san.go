package pki

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SANs are the subject's alternative names by kind. A nil list is absent, an
// empty one is present: callers of the vault can tell them apart.
type SANs struct {
	Emails      []string // rfc822Name
	DNSNames    []string // dNSName
	UPNs        []string // otherName 1.3.6.1.4.1.311.20.2.3, UTF8String
	URIs        []string // uniformResourceIdentifier
	IPAddresses []string // iPAddress, in text
}

// Bounds of what a request may ask for: names in all lists together, and octets
// of one name.
const (
	maxSANs    = 250
	maxSANSize = 2048
)

var oidUPN = mustOID("1.3.6.1.4.1.311.20.2.3")

// Tags of GeneralName (RFC 5280, section 4.2.1.6).
var (
	tagOtherName = asn1.Tag(0).ContextSpecific().Constructed()
	tagRFC822    = asn1.Tag(1).ContextSpecific()
	tagDNS       = asn1.Tag(2).ContextSpecific()
	tagURI       = asn1.Tag(6).ContextSpecific()
	tagIP        = asn1.Tag(7).ContextSpecific()
)

// count is the number of names; a nil receiver has none.
func (s *SANs) count() int {
	if s == nil {
		return 0
	}
	return len(s.Emails) + len(s.DNSNames) + len(s.UPNs) + len(s.URIs) + len(s.IPAddresses)
}

// Check looks at the syntax of every name. When one is refused it gives the
// list's name in the policy ("dns_names") and the reason; "" as the field means
// that there are too many in all.
func (s *SANs) Check() (field string, err error) {
	if s.count() > maxSANs {
		return "", fmt.Errorf("more than %d names", maxSANs)
	}
	if s == nil {
		return "", nil
	}
	for _, list := range []struct {
		field string
		names []string
		check func(string) error
	}{
		{"emails", s.Emails, checkEmail},
		{"dns_names", s.DNSNames, checkDNSName},
		{"upns", s.UPNs, checkUPN},
		{"uris", s.URIs, checkURI},
		{"ipAddresses", s.IPAddresses, checkIP},
	} {
		for i, name := range list.names {
			err := list.check(name)
			if len(name) > maxSANSize {
				err = fmt.Errorf("longer than %d octets", maxSANSize)
			}
			if err != nil {
				return list.field, fmt.Errorf("name %d: %w", i+1, err)
			}
		}
	}
	return "", nil
}

// checkDNSName takes a name in the preferred syntax (RFC 1034, section 3.5),
// underscores too, as in the names of real hosts, and * as the whole first
// label (RFC 6125, section 6.4.3). Names of other scripts come as A-labels.
func checkDNSName(name string) error {
	return checkHostname(strings.TrimPrefix(name, "*."))
}

func checkHostname(name string) error {
	if len(name) > 253 {
		return errors.New("a DNS name has at most 253 octets")
	}
	var last string
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return errors.New("empty label in a DNS name")
		}
		if len(label) > 63 {
			return errors.New("a label of a DNS name has at most 63 octets")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("a label of a DNS name begins or ends with a hyphen")
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return !isLetter(r) && !isDigit(r) && r != '-' && r != '_'
		}) {
			return errors.New("a DNS name has letters, digits, hyphens, underscores and dots only")
		}
		last = label
	}
	// Top-level domains are alphabetic (RFC 1123, section 2.1): what ends in a
	// number is an IPv4 address or wants to look like one.
	if !strings.ContainsFunc(last, func(r rune) bool { return !isDigit(r) }) {
		return errors.New("a DNS name does not end in a number")
	}
	return nil
}

// checkEmail takes a Mailbox whose local part is a dot-string (RFC 5321, section
// 4.1.2; RFC 5280, section 4.2.1.6).
func checkEmail(name string) error {
	local, domain, found := strings.Cut(name, "@")
	if !found || local == "" || len(local) > 64 {
		return errors.New("an e-mail address is local@domain")
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return !isLetter(r) && !isDigit(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
		}) {
			return errors.New("the local part of an e-mail address is not a dot-string")
		}
	}
	return checkHostname(domain)
}

// checkUPN takes user@suffix, in any script.
func checkUPN(name string) error {
	user, suffix, found := strings.Cut(name, "@")
	if !found || user == "" || suffix == "" {
		return errors.New("a principal name is user@suffix")
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	}) {
		return errors.New("blank or control character in a principal name")
	}
	return nil
}

// checkURI takes an absolute URI (RFC 5280, section 4.2.1.6: not relative, and
// both a scheme and a scheme-specific part). A host must be a name or an address.
func checkURI(name string) error {
	if !isASCII(name) || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || strings.ContainsRune("\"<>\\^`{|}\x7f", r) // RFC 3986, section 2
	}) {
		return errors.New("character that a URI cannot have")
	}
	u, err := url.Parse(name)
	if err != nil { // its text repeats the URI
		return errors.New("malformed URI")
	}
	if u.Scheme == "" {
		return errors.New("a URI has a scheme")
	}
	if u.Opaque == "" && u.Host == "" && u.Path == "" {
		return errors.New("a URI has more than a scheme")
	}
	if u.Host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	return checkHostname(u.Hostname())
}

func checkIP(name string) error {
	_, err := parseIP(name)
	return err
}

func parseIP(name string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(name)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, errors.New("not an IP address")
	}
	return addr, nil
}

// normal is the form that the names take in a certificate: addresses as
// net/netip prints them, and a slash for the empty path of an http or https URI
// (RFC 3986, section 6.2.3; recorded, contract certificates.md, 10.2). Other
// schemes stay: a SPIFFE ID without a path must not end in a slash.
func (s *SANs) normal() SANs {
	n := SANs{Emails: s.Emails, DNSNames: s.DNSNames, UPNs: s.UPNs}
	for _, name := range s.URIs {
		n.URIs = append(n.URIs, normalURI(name))
	}
	for _, name := range s.IPAddresses {
		if addr, err := parseIP(name); err == nil {
			name = addr.String()
		}
		n.IPAddresses = append(n.IPAddresses, name)
	}
	return n
}

func normalURI(name string) string {
	scheme, rest, found := strings.Cut(name, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return name
	}
	end := strings.IndexAny(rest, "/?#")
	switch {
	case end < 0:
		return name + "/"
	case rest[end] == '/':
		return name
	default:
		return scheme + "://" + rest[:end] + "/" + rest[end:]
	}
}

// encode writes GeneralNames in the recorded order of kinds. The names have
// been checked and are normal.
func (s *SANs) encode(b *cryptobyte.Builder) {
	addAll := func(b *cryptobyte.Builder, tag asn1.Tag, names []string) {
		for _, name := range names {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		}
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAll(b, tagRFC822, s.Emails)
		for _, name := range s.UPNs {
			b.AddASN1(tagOtherName, func(b *cryptobyte.Builder) {
				addOID(b, oidUPN)
				b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					addAll(b, asn1.UTF8String, []string{name})
				})
			})
		}
		addAll(b, tagDNS, s.DNSNames)
		addAll(b, tagURI, s.URIs)
		for _, name := range s.IPAddresses {
			addr, err := parseIP(name)
			if err != nil {
				b.SetError(err)
				return
			}
			b.AddASN1(tagIP, func(b *cryptobyte.Builder) { b.AddBytes(addr.AsSlice()) })
		}
	})
}

// parseSANs reads GeneralNames. Kinds that the vault has no list for are passed
// over. The first three lists are never nil (contract certificates.md, 6.4).
func parseSANs(der cryptobyte.String) (SANs, error) {
	s := SANs{Emails: []string{}, DNSNames: []string{}, UPNs: []string{}}
	malformed := errors.New("malformed subject alternative name")
	var names cryptobyte.String
	if !der.ReadASN1(&names, asn1.SEQUENCE) || !der.Empty() {
		return s, malformed
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag asn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return s, malformed
		}
		text := string(name)
		switch tag {
		case tagRFC822, tagDNS, tagURI:
			if !isASCII(text) {
				return s, malformed
			}
		}
		switch tag {
		case tagRFC822:
			s.Emails = append(s.Emails, text)
		case tagDNS:
			s.DNSNames = append(s.DNSNames, text)
		case tagURI:
			s.URIs = append(s.URIs, text)
		case tagIP:
			addr, ok := netip.AddrFromSlice(name)
			if !ok {
				return s, malformed
			}
			s.IPAddresses = append(s.IPAddresses, addr.String())
		case tagOtherName:
			var id oid
			var value cryptobyte.String
			if !readOID(&name, &id) || !name.ReadASN1(&value, asn1.Tag(0).ContextSpecific().Constructed()) || !name.Empty() {
				return s, malformed
			}
			if id != oidUPN {
				continue
			}
			upn, ok := decodeText(value)
			if !ok {
				return s, malformed
			}
			s.UPNs = append(s.UPNs, upn)
		}
	}
	return s, nil
}
