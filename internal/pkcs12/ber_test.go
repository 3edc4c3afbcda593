package pkcs12

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// toBER writes DER again as loosely as BER allows: constructed elements get an
// indefinite length, and octet strings come in pieces of 100 bytes.
func toBER(t *testing.T, in []byte) []byte {
	t.Helper()
	var out []byte
	for s := cryptobyte.String(in); !s.Empty(); {
		var element, value cryptobyte.String
		var tag cbasn1.Tag
		if !s.ReadAnyASN1Element(&element, &tag) {
			t.Fatal("not DER")
		}
		whole := element
		element.ReadAnyASN1(&value, &tag)
		switch {
		case tag&0x20 != 0:
			out = append(append(append(out, byte(tag), 0x80), toBER(t, value)...), 0, 0)
		case tag == cbasn1.OCTET_STRING:
			out = append(append(append(out, 0x24, 0x80), pieces(value)...), 0, 0)
		case tag == tagOctetsImplicit0:
			out = append(append(append(out, 0xa0, 0x80), pieces(value)...), 0, 0)
		default:
			out = append(out, whole...)
		}
	}
	return out
}

func pieces(value []byte) []byte {
	var out []byte
	for len(value) > 0 {
		n := min(len(value), 100)
		out = append(append(out, 0x04, byte(n)), value[:n]...)
		value = value[n:]
	}
	return out
}

// TestDecodeTakesBER has BER at every level: the bags within the encryption, the
// authenticated safe, and the PFX. openssl confirms that it is a good file.
func TestDecodeTakesBER(t *testing.T) {
	for _, l := range []layout{legacy, modern} {
		certificates, err := certificateBags([][]byte{made.leaf, made.ca}, 0)
		if err != nil {
			t.Fatal(err)
		}
		key, err := l.keyBag(made.key)
		if err != nil {
			t.Fatal(err)
		}
		encryption, ciphertext, err := l.seal(toBER(t, certificates))
		if err != nil {
			t.Fatal(err)
		}
		pfx, err := l.pfx(toBER(t, build(t, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(toBER(t, key)) })
				addContentInfo(b, oidEncryptedData, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(0)
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(oidData)
							b.AddBytes(encryption)
							b.AddASN1(tagOctetsImplicit0, func(b *cryptobyte.Builder) { b.AddBytes(ciphertext) })
						})
					})
				})
			})
		})))
		if err != nil {
			t.Fatal(err)
		}
		pfx = toBER(t, pfx)

		name := write(t, "ber.pfx", pfx)
		mustOpenSSL(t, "pkcs12", "-in", name, "-legacy", "-passin", "pass:", "-nocerts", "-nodes", "-out", "ber.key")
		mustOpenSSL(t, "pkcs12", "-in", name, "-legacy", "-passin", "pass:", "-nokeys", "-clcerts", "-out", "ber.pem")
		if !bytes.Equal(der("ber.key"), made.key) || !bytes.Equal(der("ber.pem"), made.leaf) {
			t.Fatal("openssl reads another key or leaf")
		}

		b, err := Decode(pfx, "")
		if err != nil {
			t.Fatal(err)
		}
		checkBundle(t, b)
	}
}

func TestDecryptPKCS8TakesBER(t *testing.T) {
	mustOpenSSL(t, "pkcs8", "-topk8", "-in", "leaf.key", "-passout", "pass:x", "-outform", "DER", "-out", "enc.der")
	got, err := DecryptPKCS8(toBER(t, read(t, "enc.der")), "x")
	if err != nil || !bytes.Equal(got, made.key) {
		t.Errorf("%v", err)
	}
}
