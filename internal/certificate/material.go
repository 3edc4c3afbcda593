package certificate

import (
	"bytes"
	"crypto"
	"errors"
	"time"

	"coffer/internal/bundle"
	"coffer/internal/pki"
)

// The recorded texts about content (contract certificates.md, 15.3).
const (
	msgMismatch = "The public key of the end-entity certificate in the specified X.509 certificate content does not match" +
		" the public part of the specified private key. Please check if certificate is valid."
	msgTooLong = "The size of the X.509 certificate is too long"
	msgExpired = "X509 Certificate is already expired"
	msgContent = "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid."
)

// buildError is the error of build for certificates that the caller brought in
// a field.
func buildError(field string, err error) error {
	if errors.Is(err, errTooLong) {
		return invalid(field, msgTooLong)
	}
	return err
}

// content turns what the codec refuses into the refusal of a field.
func content(field string, err error) error {
	var e *bundle.Error
	if errors.As(err, &e) {
		return invalid(field, e.Msg)
	}
	return invalid(field, msgContent)
}

// parseCertificates reads DER certificates; there is at least one.
func parseCertificates(ders [][]byte) ([]*pki.Certificate, error) {
	if len(ders) == 0 {
		return nil, errors.New("certificate: no certificate")
	}
	out := make([]*pki.Certificate, len(ders))
	for i, der := range ders {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// material is a certificate for a key, with what came along.
type material struct {
	leaf   *pki.Certificate
	others []*pki.Certificate // in input order
	leafAt int
}

// match finds the certificate of the key among certs: that at hint if it fits,
// else the first that does. field is the member that held them.
func match(field string, certs []*pki.Certificate, public crypto.PublicKey, hint int, now time.Time) (*material, error) {
	at := -1
	for i, c := range certs {
		if c.PublicKey != nil && pki.PublicEqual(c.PublicKey, public) && (at < 0 || i == hint) {
			at = i
		}
	}
	if at < 0 {
		return nil, invalid(field, msgMismatch)
	}
	m := &material{leaf: certs[at]}
	for i, c := range certs {
		if i != at && !bytes.Equal(c.Raw, m.leaf.Raw) { // a P7B beside the leaf may hold it again
			m.others = append(m.others, c)
		}
		if i == at {
			m.leafAt = len(m.others)
		}
	}
	if now.After(m.leaf.NotAfter) {
		return nil, invalid(field, msgExpired)
	}
	return m, nil
}
