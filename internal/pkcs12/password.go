package pkcs12

import "unicode/utf16"

// password is a password in the two forms that derivations take. Its zero value
// is the empty password of zero length.
type password struct {
	bmp  []byte // RFC 7292, appendix B.1: UTF-16, big endian, with two zero bytes at the end
	utf8 string // PBES2 and PBMAC1: RFC 8018, section 3, and RFC 9579
}

// passwordForms returns the forms to try, one after the other. Only the empty
// password has two: writers disagree whether its BMPString is the terminator alone
// (OpenSSL) or has no bytes at all (Windows, and the service that we match). In UTF-8
// they are the same, and a second attempt there is a rare waste.
func passwordForms(s string) ([]password, error) {
	if len(s) > maxPassword {
		return nil, ErrPassword
	}
	p := password{bmp: append(bmpString(s), 0, 0), utf8: s}
	if s == "" {
		return []password{p, {}}, nil
	}
	return []password{p}, nil
}

// bmpString encodes s in UTF-16, big endian. Strictly a BMPString has no surrogate
// pairs, but OpenSSL and Windows write them.
func bmpString(s string) []byte {
	units := utf16.Encode([]rune(s))
	out := make([]byte, 0, 2*len(units)+2)
	for _, u := range units {
		out = append(out, byte(u>>8), byte(u))
	}
	return out
}

// fromBMPString decodes b; a terminator is dropped. ok is false for an odd length.
func fromBMPString(b []byte) (s string, ok bool) {
	if len(b)%2 != 0 {
		return "", false
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
	}
	if n := len(units); n > 0 && units[n-1] == 0 {
		units = units[:n-1]
	}
	return string(utf16.Decode(units)), true
}
