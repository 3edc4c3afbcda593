package bundle

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12"
	"coffer/internal/pkcs12/ber"
)

var (
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

	errElement = errors.New("neither a certificate nor a bundle of them")
	errPKCS7   = errors.New("not a PKCS#7 bundle of certificates")
)

// ReadMerge reads the x5c of a merge (contract certificates.md, 8.7): each element
// is the base64 of a certificate, of a PKCS#7 bundle or of a PFX without password,
// or the first two in PEM. Certificates come back in the order of the elements, at
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
			msg := msgInvalid
			if refusal, ok := errors.AsType[*Error](err); ok {
				msg = refusal.Msg
			}
			return nil, &Error{Msg: msg, Err: fmt.Errorf("x5c[%d]: %w", i, err)}
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
	if !isPEM {
		return readDER(content)
	}
	blocks, err := decodePEM(content)
	if err != nil {
		return nil, err
	}
	var certs [][]byte
	for _, b := range blocks {
		switch b.Type {
		case "CERTIFICATE":
			if !isSequence(b.Bytes) {
				return nil, &Error{Msg: msgPEMUnreadable, Err: errCertificate}
			}
			certs = append(certs, b.Bytes)
		case "PKCS7", "PKCS #7 SIGNED DATA", "CMS": // RFC 7468, section 8
			more, err := readPKCS7(b.Bytes)
			if err != nil {
				return nil, &Error{Msg: msgPEMUnreadable, Err: err}
			}
			certs = append(certs, more...)
		default:
			return nil, &Error{Msg: msgPEMUnexpected, Err: errBlockType}
		}
	}
	return certs, nil
}

// readDER tells the formats apart by what the outermost SEQUENCE begins with: a
// certificate with its TBSCertificate, PKCS#7 with its content type, a PFX with its
// version.
func readDER(content []byte) ([][]byte, error) {
	der, err := ber.ToDER(content)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, errElement
	}
	switch {
	case seq.PeekASN1Tag(cbasn1.SEQUENCE):
		if !isSequence(content) {
			return nil, errElement // in BER, where its signature would not hold
		}
		return [][]byte{content}, nil
	case seq.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER):
		return readPKCS7(content)
	case seq.PeekASN1Tag(cbasn1.INTEGER):
		b, err := pkcs12.Decode(content, "")
		if err != nil {
			return nil, unreadable(msgPKCS12Unreadable, err)
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
