package bundle

import (
	"bytes"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12"
)

// Format is what a certificate's secret is written in.
type Format int

// The formats.
const (
	PKCS12 Format = iota
	PEM
)

// String is the content type of the secret.
func (f Format) String() string {
	if f == PEM {
		return "application/x-pem-file"
	}
	return "application/x-pkcs12"
}

// unreadable is the text for content that is not of format f.
func (f Format) unreadable() string {
	if f == PEM {
		return msgPEMUnreadable
	}
	return msgPKCS12Unreadable
}

// Material is what one import brings.
type Material struct {
	Format       Format   // of the input
	KeyPKCS8     []byte   // PrivateKeyInfo in DER, decrypted
	Certificates [][]byte // DER, in the order of the input; at least one, at most 100
	LeafHint     int      // index of the certificate that a PFX ties to the key; -1 when unknown
}

var (
	errFormat        = errors.New("not of the content type that was asked for")
	errTwoKeys       = errors.New("more than one private key")
	errNoCertificate = errors.New("no certificate")
	errCertificate   = errors.New("a certificate that is not DER")
	errKey           = errors.New("a private key that is not PKCS#8")
)

// ReadImport reads the value of an import (contract certificates.md, 8.2): PEM text,
// base64 of PEM, or base64 of a PFX. With want, content of the other format is
// refused. The password is for a PFX or an ENCRYPTED PRIVATE KEY, and otherwise
// ignored.
//
// Neither are the certificates parsed nor is the key compared with them. Every
// error is an [*Error].
func ReadImport(value, password string, want *Format) (*Material, error) {
	if len(value) > maxText {
		return nil, &Error{Msg: msgTooLong}
	}
	content, isPEM, err := unwrap(value)
	if err != nil {
		// The service takes what it was not told about for PKCS#12.
		f := PKCS12
		if want != nil {
			f = *want
		}
		return nil, &Error{Msg: f.unreadable(), Err: err}
	}
	format := PKCS12
	if isPEM {
		format = PEM
	}
	if want != nil && *want != format {
		return nil, &Error{Msg: want.unreadable(), Err: errFormat}
	}
	read := readPFX
	if isPEM {
		read = readPEM
	}
	m, err := read(content, password)
	if err != nil {
		return nil, err
	}
	if len(m.Certificates) > maxCertificates {
		return nil, &Error{Msg: msgTooLong}
	}
	if !isPrivateKeyInfo(m.KeyPKCS8) {
		return nil, &Error{Msg: format.unreadable(), Err: errKey}
	}
	return m, nil
}

func readPFX(content []byte, password string) (*Material, error) {
	b, err := pkcs12.Decode(content, password)
	if err != nil {
		return nil, unreadable(msgPKCS12Unreadable, err)
	}
	if b.KeyPKCS8 == nil || len(b.Certificates) == 0 {
		return nil, &Error{Msg: msgNoKey}
	}
	m := &Material{Format: PKCS12, KeyPKCS8: b.KeyPKCS8, LeafHint: -1}
	for i, c := range b.Certificates {
		m.Certificates = append(m.Certificates, c.DER)
		if m.LeafHint < 0 && len(b.LocalKeyID) > 0 && bytes.Equal(c.LocalKeyID, b.LocalKeyID) {
			m.LeafHint = i
		}
	}
	return m, nil
}

func readPEM(content []byte, password string) (*Material, error) {
	blocks, err := decodePEM(content)
	if err != nil {
		return nil, err
	}
	m := &Material{Format: PEM, LeafHint: -1}
	var curve []byte // of the EC PARAMETERS met so far
	for _, b := range blocks {
		var key []byte
		var err error
		switch b.Type {
		case "CERTIFICATE":
			if !isSequence(b.Bytes) {
				return nil, &Error{Msg: msgPEMUnreadable, Err: errCertificate}
			}
			m.Certificates = append(m.Certificates, b.Bytes)
			continue
		case "EC PARAMETERS":
			curve = b.Bytes
			continue
		case "PRIVATE KEY":
			key = b.Bytes
		case "ENCRYPTED PRIVATE KEY":
			key, err = pkcs12.DecryptPKCS8(b.Bytes, password)
		case "RSA PRIVATE KEY":
			key, err = fromPKCS1(b.Bytes)
		case "EC PRIVATE KEY":
			key, err = fromSEC1(b.Bytes, curve)
		default:
			return nil, &Error{Msg: msgPEMUnexpected, Err: errBlockType}
		}
		if err != nil {
			return nil, unreadable(msgPEMUnreadable, err)
		}
		if m.KeyPKCS8 != nil {
			return nil, &Error{Msg: msgPEMUnexpected, Err: errTwoKeys}
		}
		m.KeyPKCS8 = key
	}
	if m.KeyPKCS8 == nil {
		return nil, &Error{Msg: msgPEMNoKey}
	}
	if len(m.Certificates) == 0 {
		return nil, &Error{Msg: msgPEMUnreadable, Err: errNoCertificate}
	}
	return m, nil
}

// isSequence reports whether der is one SEQUENCE and nothing else.
func isSequence(der []byte) bool {
	s := cryptobyte.String(der)
	var inner cryptobyte.String
	return s.ReadASN1(&inner, cbasn1.SEQUENCE) && s.Empty()
}
