package ber

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// maxDepth bounds the nesting of elements. A signed PKCS#7 with the certificates'
// names reaches twelve.
const maxDepth = 32

// The identifier octets that are told apart (X.690, section 8.1.2).
const (
	constructed = 0x20
	classMask   = 0xc0
	tagMask     = 0x1f

	octetString = 0x04
	sequence    = 0x10
	set         = 0x11
)

var (
	errTruncated = errors.New("ber: truncated")
	errTrailing  = errors.New("ber: data after the end")
	errDepth     = errors.New("ber: nested too deep")
	errTag       = errors.New("ber: unexpected tag")
	errLength    = errors.New("ber: length out of bounds")
)

// ToDER converts the one element that in holds. Lengths become definite and
// shortest, and an OCTET STRING in pieces becomes one; values stay as they are, so
// that DER comes back unchanged. An element with an implicit tag does not tell
// whether it is a string in pieces, and stays constructed: see [Octets].
//
// The work is bounded by len(in) times the depth, and the result is at most a
// quarter longer than in.
func ToDER(in []byte) ([]byte, error) {
	out, rest, err := element(in, 0)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, errTrailing
	}
	return out, nil
}

// Octets joins the OCTET STRINGs of which content consists: the value of an
// implicitly tagged OCTET STRING that [ToDER] left constructed.
func Octets(content []byte) ([]byte, error) {
	var joined []byte
	for len(content) > 0 {
		if content[0] != octetString {
			return nil, errTag
		}
		n, indefinite, rest, err := header(content)
		if err != nil {
			return nil, err
		}
		if indefinite || n > len(rest) {
			return nil, errTruncated
		}
		joined, content = append(joined, rest[:n]...), rest[n:]
	}
	return joined, nil
}

// element converts the first element of in and returns what follows it.
func element(in []byte, depth int) (out, rest []byte, err error) {
	if depth > maxDepth {
		return nil, nil, errDepth
	}
	n, indefinite, content, err := header(in)
	if err != nil {
		return nil, nil, err
	}
	tag := in[0]
	if !indefinite {
		if n > len(content) {
			return nil, nil, errTruncated
		}
		content, rest = content[:n], content[n:]
	}
	if tag&constructed == 0 {
		if indefinite {
			return nil, nil, errLength // X.690, section 8.1.3.2
		}
		return wrap(tag, content), rest, nil
	}

	var inner []byte
	for {
		if indefinite && len(content) >= 2 && content[0] == 0 && content[1] == 0 {
			rest = content[2:] // end-of-contents
			break
		}
		if len(content) == 0 {
			if indefinite {
				return nil, nil, errTruncated
			}
			break
		}
		var child []byte
		if child, content, err = element(content, depth+1); err != nil {
			return nil, nil, err
		}
		inner = append(inner, child...)
	}

	switch {
	case tag == octetString|constructed:
		if inner, err = Octets(inner); err != nil {
			return nil, nil, err
		}
		tag = octetString
	case tag&classMask == 0 && tag&tagMask != sequence && tag&tagMask != set:
		return nil, nil, errTag // another string in pieces; nobody writes these
	}
	return wrap(tag, inner), rest, nil
}

// header reads identifier and length. n is meaningless when indefinite.
func header(in []byte) (n int, indefinite bool, rest []byte, err error) {
	if len(in) < 2 {
		return 0, false, nil, errTruncated
	}
	// Tag 0 of the universal class is end-of-contents; numbers over 30 occur in
	// none of our formats.
	if in[0] == 0 || in[0]&tagMask == tagMask {
		return 0, false, nil, errTag
	}
	first, rest := in[1], in[2:]
	switch {
	case first < 0x80:
		return int(first), false, rest, nil
	case first == 0x80:
		return 0, true, rest, nil
	}
	size := int(first & 0x7f)
	if size > len(rest) {
		return 0, false, nil, errTruncated
	}
	for i, b := range rest[:size] {
		// BER may pad a length with zeros. More than three octets that count are
		// 16 MiB and more, beyond any input that we take.
		if n == 0 && b == 0 {
			continue
		}
		if size-i > 3 {
			return 0, false, nil, errLength
		}
		n = n<<8 | int(b)
	}
	return n, false, rest[size:], nil
}

// wrap writes an element in DER.
func wrap(tag byte, content []byte) []byte {
	out := make([]byte, 0, len(content)+6)
	out = append(out, tag)
	if n := len(content); n < 0x80 {
		out = append(out, byte(n))
	} else {
		digits := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, uint64(n)), "\x00")
		out = append(append(out, 0x80|byte(len(digits))), digits...)
	}
	return append(out, content...)
}
