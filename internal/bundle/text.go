package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"strings"
)

// maxText bounds in bytes the text that a caller hands in, base64 or PEM (contract
// certificates.md, 14).
const maxText = 200 << 10

// Bounds of one import or merge.
const (
	maxCertificates = 100
	maxBlocks       = maxCertificates + 20 // of PEM: a key, and what is passed over
)

// marker begins a PEM block. With its blank it occurs in no base64, URL alphabet
// included.
const marker = "-----BEGIN "

// unwrap finds out what s is: PEM text, also within base64, or else the bytes that
// s encodes in base64.
func unwrap(s string) (content []byte, isPEM bool, err error) {
	if strings.Contains(s, marker) {
		return []byte(s), true, nil
	}
	content, err = decodeBase64(s)
	if err != nil {
		if strings.ContainsRune(s, 0) {
			return nil, false, errUTF16
		}
		return nil, false, errBase64
	}
	// DER may hold the marker, in a comment say, and begins with a SEQUENCE: '0',
	// and a length that is no ASCII character in anything longer than 127 bytes.
	if len(content) > 1 && content[0] == '0' && content[1] >= 0x80 {
		return content, false, nil
	}
	return content, bytes.Contains(content, []byte(marker)), nil
}

// decodeBase64 takes the standard and the URL alphabet, with or without padding,
// with blanks and line breaks anywhere. It stops at the END line of a PEM block,
// which remains where somebody joins all lines but the first.
func decodeBase64(s string) ([]byte, error) {
	s, _, _ = strings.Cut(s, "-----END ")
	plain := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\r', '\n', '\ufeff': // the last is a byte order mark
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, s)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(plain, "="))
}

// decodePEM returns all blocks of text; what stands between them is passed over. A
// block that cannot be decoded is an error, where encoding/pem would pass it over
// too.
func decodePEM(text []byte) ([]*pem.Block, error) {
	count := bytes.Count(text, []byte(marker))
	if count > maxBlocks {
		return nil, &Error{Msg: msgTooLong}
	}
	// A byte order mark would hide the first block.
	rest := bytes.TrimPrefix(bytes.TrimSpace(text), []byte("\ufeff"))
	var blocks []*pem.Block
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		blocks = append(blocks, b)
	}
	if len(blocks) != count {
		if !bytes.ContainsRune(text, '\n') {
			return nil, refusal(msgPEMUnexpected, errNoLineBreaks)
		}
		return nil, refusal(msgPEMUnreadable, errBlock)
	}
	return blocks, nil
}
