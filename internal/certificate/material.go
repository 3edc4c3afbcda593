package certificate

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"coffer/internal/bundle"
	"coffer/internal/fault"
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

// content turns what a codec refuses of what was brought, its private key included,
// into the refusal of a field: the contract's sentence, then the cause.
func content(field string, err error) error {
	if e, ok := errors.AsType[*bundle.Error](err); ok {
		return refused(field, e.Text(), e)
	}
	var detail string
	if e, ok := errors.AsType[*certificateError](err); ok {
		detail = fmt.Sprintf("Certificate %d: %v.", e.number, e.err)
	} else if e, ok := errors.AsType[*pki.KeyTypeError](err); ok {
		detail = "The private key is " + e.Kind + ", which is not supported: " + supportedKeys
	} else if e, ok := errors.AsType[*pki.WeakKeyError](err); ok {
		detail = "The private key is weak: " + e.Error() + "."
	} else {
		detail = fmt.Sprintf("The private key: %v.", err) // holds nothing of it (pki.ParsePKCS8)
	}
	return refused(field, msgContent+" "+detail, err)
}

// refused is invalid with the cause, for the log.
func refused(field, msg string, err error) error {
	return &fault.Error{Kind: fault.Invalid, Field: field, Msg: msg, Err: err}
}

const supportedKeys = "keys are RSA of 2048, 3072 or 4096 bits, or EC on P-256, P-384, P-521 or P-256K."

// certificateError is why one of several certificates cannot be read.
type certificateError struct {
	number int // from 1, in the order of the input
	err    error
}

func (e *certificateError) Error() string { return fmt.Sprintf("certificate %d: %v", e.number, e.err) }

func (e *certificateError) Unwrap() error { return e.err }

// parseCertificates reads DER certificates; there is at least one.
func parseCertificates(ders [][]byte) ([]*pki.Certificate, error) {
	if len(ders) == 0 {
		return nil, errors.New("certificate: no certificate")
	}
	out := make([]*pki.Certificate, len(ders))
	for i, der := range ders {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, &certificateError{i + 1, err}
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

// match finds the certificate of the key among certs, which field held; it must not
// have expired.
func match(field string, certs []*pki.Certificate, public crypto.PublicKey, hint int, now time.Time) (*material, error) {
	m := pick(certs, public, hint)
	if m == nil {
		return nil, invalid(field, msgMismatch)
	}
	if now.After(m.leaf.NotAfter) {
		return nil, invalid(field, msgExpired)
	}
	return m, nil
}

// pick finds the certificate of the key among certs: that at hint if it fits, else the
// first that does; nil when none does.
func pick(certs []*pki.Certificate, public crypto.PublicKey, hint int) *material {
	at := -1
	for i, c := range certs {
		if c.PublicKey != nil && pki.PublicEqual(c.PublicKey, public) && (at < 0 || i == hint) {
			at = i
		}
	}
	if at < 0 {
		return nil
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
	return m
}

// only is the material with no others than those of chain, which are among them, in
// their order.
func (m *material) only(chain []*pki.Certificate) *material {
	before := 0
	for _, c := range m.others[:m.leafAt] {
		if slices.Contains(chain, c) {
			before++
		}
	}
	return &material{leaf: m.leaf, others: chain, leafAt: before}
}
