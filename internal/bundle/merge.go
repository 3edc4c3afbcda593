package bundle

import (
	"bytes"
	"cmp"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12"
	"coffer/internal/pkcs12/ber"
)

var oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

// ReadMerge reads the x5c of a merge (contract certificates.md, 8.7): each element
// is the base64 of a certificate, of a PKCS#7 bundle or of a PFX without password,
// or the first two in PEM; or the base64 of such text. Certificates come back in the order of the elements, at
// least one and at most 100, and are not parsed; a key in a PFX is ignored.
//
// Every error is an [*Error].
func ReadMerge(elements []string) ([][]byte, error) {
	if len(elements) == 0 {
		return nil, &Error{Msg: msgNoElements}
	}
	size := 0
	for _, e := range elements {
		size += len(e)
	}
	if len(elements) > maxCertificates || size > maxText {
		return nil, &Error{Msg: msgTooLong}
	}
	var certs [][]byte
	for i, e := range elements {
		more, err := readElement(e)
		if err != nil {
			why, ok := errors.AsType[*Error](err)
			if !ok {
				why = refusal(msgInvalid, err)
			}
			return nil, &Error{Msg: why.Msg, Detail: fmt.Sprintf("Element %d of x5c: %s", i+1, cmp.Or(why.Detail, "It is unreadable.")),
				Err: fmt.Errorf("x5c[%d]: %w", i, err)}
		}
		if certs = append(certs, more...); len(certs) > maxCertificates {
			return nil, &Error{Msg: msgTooLong}
		}
	}
	return certs, nil
}

func readElement(e string) ([][]byte, error) {
	content, isPEM, err := unwrap(e)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(e, marker) && (isPEM && !bytes.ContainsRune(content, '\n') || !isPEM && kindOf(content) == unknown) {
		// Text, which Microsoft's own sample for JavaScript sends: as it stands, or
		// with the armour or without it, all on one line.
		if inner, err := decodeBase64(unarmoured(string(content))); err == nil {
			content, isPEM = inner, false
		}
	}
	if !isPEM {
		return readDER(content)
	}
	blocks, err := decodePEM(content)
	if err != nil {
		return nil, err
	}
	var certs [][]byte
	for _, b := range blocks {
		if isKey(b) {
			return nil, refusal(msgPEMUnexpected, errKeyBlock)
		}
		more, err := certificatesIn(b)
		if err != nil {
			return nil, refusal(msgPEMUnreadable, err)
		}
		certs = append(certs, more...)
	}
	if len(certs) == 0 {
		return nil, refusal(msgPEMUnexpected, errNoCertificate)
	}
	return certs, nil
}

// unarmoured leaves the first BEGIN of text out, whether it is a line or not.
func unarmoured(text string) string {
	if _, after, found := strings.Cut(text, marker); found {
		_, text, _ = strings.Cut(after, "-----")
	}
	return text
}

// kind is what a DER or BER structure is, as far as its beginning shows.
type kind int

const (
	unknown kind = iota
	aCertificate
	aPKCS7
	aPFX
)

// kindOf tells the formats apart by what the outermost SEQUENCE begins with: a
// certificate with its TBSCertificate, PKCS#7 with its content type, a PFX with its
// version, which a private key has too, but another.
func kindOf(content []byte) kind {
	der, err := ber.ToDER(content)
	if err != nil {
		return unknown
	}
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	var version int64
	switch {
	case !s.ReadASN1(&seq, cbasn1.SEQUENCE):
	case seq.PeekASN1Tag(cbasn1.SEQUENCE):
		return aCertificate
	case seq.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER):
		return aPKCS7
	case seq.ReadASN1Integer(&version) && version == 3: // RFC 7292, section 4
		return aPFX
	}
	return unknown
}

func readDER(content []byte) ([][]byte, error) {
	switch kindOf(content) {
	case aCertificate:
		if !isSequence(content) {
			return nil, errBER
		}
		return [][]byte{content}, nil
	case aPKCS7:
		return readPKCS7(content)
	case aPFX:
		b, err := pkcs12.Decode(content, "")
		if err != nil {
			return nil, refusal(msgPKCS12Unreadable, err)
		}
		if len(b.Certificates) == 0 {
			return nil, errNoCertificate
		}
		var certs [][]byte
		for _, c := range b.Certificates {
			certs = append(certs, c.DER)
		}
		return certs, nil
	}
	return nil, errElement
}

// readPKCS7 returns the certificates of a SignedData (RFC 2315, section 9.1; RFC
// 5652, section 5.1), in DER or BER. It passes over signatures and CRLs: a bundle
// has none, and nothing here would trust them. Certificates are not parsed, for
// crypto/x509 refuses secp256k1.
func readPKCS7(content []byte) ([][]byte, error) {
	der, err := ber.ToDER(content)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(der)
	var info, explicit, signed, skipped, set cryptobyte.String
	var oid asn1.ObjectIdentifier
	var version int64
	var hasSet bool
	if !s.ReadASN1(&info, cbasn1.SEQUENCE) || !s.Empty() ||
		!info.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidSignedData) ||
		!info.ReadASN1(&explicit, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!explicit.ReadASN1(&signed, cbasn1.SEQUENCE) ||
		!signed.ReadASN1Integer(&version) ||
		!signed.ReadASN1(&skipped, cbasn1.SET) || // digest algorithms
		!signed.ReadASN1(&skipped, cbasn1.SEQUENCE) || // the signed content
		!signed.ReadOptionalASN1(&set, &hasSet, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return nil, errPKCS7
	}
	var certs [][]byte
	for !set.Empty() {
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !set.ReadAnyASN1Element(&element, &tag) {
			return nil, errPKCS7
		}
		if tag != cbasn1.SEQUENCE {
			continue // an attribute certificate
		}
		certs = append(certs, element)
	}
	if len(certs) == 0 {
		return nil, errNoCertificate
	}
	return certs, nil
}
