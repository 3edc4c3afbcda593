package pki

import (
	"crypto"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var oidExtensionRequest = mustOID("1.2.840.113549.1.9.14") // RFC 2985, section 5.4.2

// CreateCSR makes a certificate request (RFC 2986) in DER, with the extensions
// in the recorded order: KeyUsage, EKU, SAN, BasicConstraints (contract
// certificates.md, 10.1). Its signature has been verified.
func CreateCSR(t Template, key crypto.Signer) ([]byte, error) {
	p, err := t.profile(key)
	if err != nil {
		return nil, err
	}
	var info cryptobyte.Builder
	info.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(p.subject)
		b.AddBytes(p.spki)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addOID(b, oidExtensionRequest)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						p.addKeyUsage(b)
						p.addEKUs(b)
						p.addSANs(b)
						p.addBasicConstraints(b)
					})
				})
			})
		})
	})
	content, err := info.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding certificate request: %w", err)
	}
	return sign(key, content)
}
