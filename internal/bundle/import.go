package bundle

import (
	"bytes"
	"encoding/pem"
	"strings"

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

// ReadImport reads the value of an import (contract certificates.md, 8.2): PEM text,
// base64 of PEM, or base64 of a PFX. Of PEM it takes what OpenSSL takes, and passes
// over blocks that are neither key nor certificate. With want, content of the other format is
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
		return nil, refusal(f.unreadable(), err)
	}
	format := PKCS12
	if isPEM {
		format = PEM
	}
	if want != nil && *want != format {
		return nil, &Error{Msg: want.unreadable(), Err: errFormat,
			Detail: "policy.secret_props.contentType says " + want.String() + ", and the content is " + format.String() + "."}
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
		return nil, refusal(format.unreadable(), errKey)
	}
	return m, nil
}

func readPFX(content []byte, password string) (*Material, error) {
	b, err := pkcs12.Decode(content, password)
	if err != nil {
		return nil, refusal(msgPKCS12Unreadable, recognized(content, err))
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

// recognized is the cause why content is no PFX where it shows what it is instead,
// and else err.
func recognized(content []byte, err error) error {
	switch {
	case isUTF16(content):
		return errUTF16
	case bytes.HasPrefix(content, []byte("\xfe\xed\xfe\xed")):
		return errJKS
	}
	switch kindOf(content) {
	case aCertificate:
		return errLeafAlone
	case aPKCS7:
		return errPKCS7Alone
	case unknown:
		if inner, isPEM, err := unwrap(string(content)); err == nil && (isPEM || kindOf(inner) != unknown) {
			return errTwice
		}
	}
	if isPrivateKeyInfo(content) {
		return errKeyAlone
	}
	return err
}

// isUTF16 tells text of two bytes a character, with a byte order mark or in ASCII.
func isUTF16(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) ||
		len(b) >= 4 && (b[0] == 0 && b[2] == 0 || b[1] == 0 && b[3] == 0)
}

func readPEM(content []byte, password string) (*Material, error) {
	blocks, err := decodePEM(content)
	if err != nil {
		return nil, err
	}
	m := &Material{Format: PEM, LeafHint: -1}
	var curve []byte // of the EC PARAMETERS met so far
	for _, b := range blocks {
		if b.Type == "EC PARAMETERS" {
			curve = b.Bytes
			continue
		}
		certs, err := certificatesIn(b)
		if err != nil {
			return nil, refusal(msgPEMUnreadable, err)
		}
		m.Certificates = append(m.Certificates, certs...)
		if !isKey(b) {
			continue
		}
		if m.KeyPKCS8 != nil {
			return nil, refusal(msgPEMUnexpected, errTwoKeys)
		}
		if m.KeyPKCS8, err = readKey(b, password, curve); err != nil {
			return nil, err
		}
	}
	switch {
	case m.KeyPKCS8 == nil && len(m.Certificates) == 0:
		return nil, refusal(msgPEMUnexpected, errBlockType)
	case m.KeyPKCS8 == nil:
		return nil, &Error{Msg: msgPEMNoKey}
	case len(m.Certificates) == 0:
		return nil, refusal(msgPEMUnreadable, errNoCertificate)
	}
	return m, nil
}

// certificatesIn returns the certificates of a block as OpenSSL reads it; none of a
// block that is not known to hold any.
func certificatesIn(b *pem.Block) ([][]byte, error) {
	switch b.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		switch kindOf(b.Bytes) {
		case aPKCS7: // as AD CS labels a chain
			return readPKCS7(b.Bytes)
		case aPFX:
			return nil, errPFXArmour
		}
		if !isSequence(b.Bytes) {
			return nil, errCertificate
		}
		return [][]byte{b.Bytes}, nil
	case "TRUSTED CERTIFICATE": // a certificate, then whom it is trusted for
		s := cryptobyte.String(b.Bytes)
		var cert, trust cryptobyte.String
		if !s.ReadASN1Element(&cert, cbasn1.SEQUENCE) || !s.Empty() && (!s.ReadASN1(&trust, cbasn1.SEQUENCE) || !s.Empty()) {
			return nil, errCertificate
		}
		return [][]byte{cert}, nil
	case "PKCS7", "PKCS #7 SIGNED DATA", "CMS": // RFC 7468, section 8
		return readPKCS7(b.Bytes)
	case "PKCS12", "PKCS #12", "PFX":
		return nil, errPFXArmour
	}
	return nil, nil
}

// isKey tells the blocks that hold a private key, readable or not.
func isKey(b *pem.Block) bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }

// readKey puts the private key of a block into PKCS#8. Every error is an *Error.
func readKey(b *pem.Block, password string, curve []byte) (key []byte, err error) {
	if len(b.Headers) > 0 {
		if strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") { // RFC 1421, section 4.6.1.1
			return nil, refusal(msgPEMUnexpected, errTraditional)
		}
		return nil, refusal(msgPEMUnexpected, errHeaders)
	}
	switch b.Type {
	case "PRIVATE KEY":
		return b.Bytes, nil
	case "ENCRYPTED PRIVATE KEY":
		key, err = pkcs12.DecryptPKCS8(b.Bytes, password)
	case "RSA PRIVATE KEY":
		key, err = fromPKCS1(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = fromSEC1(b.Bytes, curve)
	case "OPENSSH PRIVATE KEY":
		return nil, refusal(msgPEMUnexpected, errOpenSSHKey)
	case "DSA PRIVATE KEY":
		return nil, refusal(msgPEMUnexpected, errDSAKey)
	default:
		return nil, refusal(msgPEMUnexpected, errOtherKey)
	}
	if err != nil {
		return nil, refusal(msgPEMUnreadable, err)
	}
	return key, nil
}

// isSequence reports whether der is one SEQUENCE and nothing else.
func isSequence(der []byte) bool {
	s := cryptobyte.String(der)
	var inner cryptobyte.String
	return s.ReadASN1(&inner, cbasn1.SEQUENCE) && s.Empty()
}
