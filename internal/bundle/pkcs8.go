package bundle

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidRSAEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1} // RFC 8017, appendix A.1
	oidECPublicKey   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}     // RFC 5480, section 2.1.1
)

// isPrivateKeyInfo reports whether der has the outer form of PKCS#8 (RFC 5958,
// section 2). Attributes and a public key may follow.
func isPrivateKeyInfo(der []byte) bool {
	s := cryptobyte.String(der)
	var seq, algorithm, key cryptobyte.String
	var version int64
	return s.ReadASN1(&seq, cbasn1.SEQUENCE) && s.Empty() &&
		seq.ReadASN1Integer(&version) && (version == 0 || version == 1) &&
		seq.ReadASN1(&algorithm, cbasn1.SEQUENCE) &&
		seq.ReadASN1(&key, cbasn1.OCTET_STRING)
}

// fromPKCS1 puts an RSAPrivateKey (RFC 8017, appendix A.1.2) into PKCS#8.
func fromPKCS1(der []byte) ([]byte, error) {
	if !isSequence(der) {
		return nil, errPKCS1
	}
	return privateKeyInfo(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidRSAEncryption)
		b.AddASN1NULL()
	}, der)
}

// fromSEC1 puts an ECPrivateKey (RFC 5915, section 3) into PKCS#8. params is the
// content of the EC PARAMETERS before it, or nil. The curve moves to where PKCS#8
// has it.
func fromSEC1(der, params []byte) ([]byte, error) {
	s := cryptobyte.String(der)
	var seq, secret, public, curve cryptobyte.String
	var version int64
	var hasCurve, hasPublic bool
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1(&secret, cbasn1.OCTET_STRING) ||
		!seq.ReadOptionalASN1(&curve, &hasCurve, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!seq.ReadOptionalASN1(&public, &hasPublic, cbasn1.Tag(1).Constructed().ContextSpecific()) ||
		!seq.Empty() {
		return nil, errSEC1
	}
	var named asn1.ObjectIdentifier
	for _, from := range []cryptobyte.String{curve, params} {
		if len(from) == 0 {
			continue
		}
		var oid asn1.ObjectIdentifier
		if !from.ReadASN1ObjectIdentifier(&oid) || !from.Empty() {
			return nil, errExplicitCurve // RFC 5480, section 2.1.1, forbids those
		}
		if named != nil && !named.Equal(oid) {
			return nil, errTwoCurves
		}
		named = oid
	}
	if named == nil {
		return nil, errCurve
	}
	var key cryptobyte.Builder
	key.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(secret)
		if hasPublic {
			b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(public) })
		}
	})
	inner, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	return privateKeyInfo(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidECPublicKey)
		b.AddASN1ObjectIdentifier(named)
	}, inner)
}

// privateKeyInfo writes a PrivateKeyInfo of version 0.
func privateKeyInfo(algorithm cryptobyte.BuilderContinuation, key []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, algorithm)
		b.AddASN1OctetString(key)
	})
	return b.Bytes()
}
