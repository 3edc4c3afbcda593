package pkcs12

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// writeIterations is the count of the recorded layout. The password is empty,
	// so that a higher one would protect nothing.
	writeIterations = 2000
	// macSaltSize is in bytes, as recorded.
	macSaltSize = 20
	// cspName is what Windows names the provider of a key by.
	cspName = "Microsoft Software Key Storage Provider"
)

// leafKeyID ties the key to its certificate (contract certificates.md, 7.4).
var leafKeyID = []byte{1, 0, 0, 0}

// layout is a set of algorithms to write with.
type layout struct {
	encryption func(b *cryptobyte.Builder) // writes an AlgorithmIdentifier
	macOID     asn1.ObjectIdentifier
	macHash    func() hash.Hash
}

var legacy = layout{
	encryption: func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBEWithSHAAnd3KeyTripleDESCBC, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(random(8))
				b.AddASN1Int64(writeIterations)
			})
		})
	},
	macOID:  oidSHA1,
	macHash: sha1.New,
}

var modern = layout{
	encryption: func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBES2, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1OctetString(random(16))
						b.AddASN1Int64(writeIterations)
						addAlgorithm(b, oidHMACWithSHA256, (*cryptobyte.Builder).AddASN1NULL)
					})
				})
				addAlgorithm(b, oidAES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(random(16)) })
			})
		})
	},
	macOID:  oidSHA256,
	macHash: sha256.New,
}

// EncodeLegacy writes the layout of the service that we match (contract
// certificates.md, 7.4): 3DES and SHA-1, which every reader knows, with the empty
// password in its zero-length form.
//
// keyPKCS8 is a PrivateKeyInfo in DER, or nil for a file of certificates only. The
// certificates are written in the order given; that at index leaf is the key's.
func EncodeLegacy(keyPKCS8 []byte, certificates [][]byte, leaf int) ([]byte, error) {
	return legacy.encode(keyPKCS8, certificates, leaf)
}

// EncodeModern is EncodeLegacy with AES-256-CBC, PBKDF2 and HMAC-SHA-256, which
// Windows before Server 2019, Java before 12 and macOS before 13 do not read.
func EncodeModern(keyPKCS8 []byte, certificates [][]byte, leaf int) ([]byte, error) {
	return modern.encode(keyPKCS8, certificates, leaf)
}

func (l layout) encode(key []byte, ders [][]byte, leaf int) ([]byte, error) {
	if 1+len(ders) > maxBags {
		return nil, fmt.Errorf("pkcs12: over %d certificates", maxBags-1)
	}
	if leaf < 0 || leaf >= len(ders) {
		return nil, errors.New("pkcs12: no leaf")
	}
	if key == nil {
		leaf = -1
	}
	certificates, err := certificateBags(ders, leaf)
	if err != nil {
		return nil, fmt.Errorf("pkcs12: writing the certificates: %w", err)
	}
	var keys []byte
	if key != nil {
		if keys, err = l.keyBag(key); err != nil {
			return nil, fmt.Errorf("pkcs12: writing the key: %w", err)
		}
	}
	encryption, ciphertext, err := l.seal(certificates)
	if err != nil {
		return nil, fmt.Errorf("pkcs12: encrypting the certificates: %w", err)
	}

	var safe cryptobyte.Builder
	safe.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if keys != nil {
			addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(keys) })
		}
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
	authSafe, err := safe.Bytes()
	if err != nil {
		return nil, fmt.Errorf("pkcs12: writing the authenticated safe: %w", err)
	}
	out, err := l.pfx(authSafe)
	if err != nil {
		return nil, fmt.Errorf("pkcs12: writing the PFX: %w", err)
	}
	return out, nil
}

// pfx puts the MAC around an AuthenticatedSafe.
func (l layout) pfx(authSafe []byte) ([]byte, error) {
	var macData cryptobyte.Builder
	salt := random(macSaltSize)
	addMAC := func(b *cryptobyte.Builder, digest []byte) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, l.macOID, (*cryptobyte.Builder).AddASN1NULL)
			b.AddASN1OctetString(digest)
		})
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(writeIterations)
	}
	// As with seal: what is computed is what a reader of the parameters computes.
	addMAC(&macData, nil)
	parameters, err := macData.Bytes()
	if err != nil {
		return nil, err
	}
	m, err := parseMAC(parameters)
	if err != nil {
		return nil, err
	}
	digest, err := m.sum(password{}, authSafe)
	if err != nil {
		return nil, err
	}

	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(pfxVersion)
		addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(authSafe) })
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addMAC(b, digest) })
	})
	return out.Bytes()
}

// keyBag writes SafeContents of one PKCS8ShroudedKeyBag.
func (l layout) keyBag(key []byte) ([]byte, error) {
	if _, err := readSequence(key); err != nil {
		return nil, err
	}
	encryption, ciphertext, err := l.seal(key)
	if err != nil {
		return nil, err
	}
	id := random(16)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a random UUID (RFC 9562, section 5.4)
	guid := fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addBag(b, oidShroudedKeyBag, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(encryption)
				b.AddASN1OctetString(ciphertext)
			})
		}, func(b *cryptobyte.Builder) {
			// In the order of DER, which is that of their lengths.
			addLeafKeyID(b)
			addBMPAttribute(b, oidFriendlyName, guid)
			addBMPAttribute(b, oidMicrosoftCSPName, cspName)
		})
	})
	return b.Bytes()
}

// certificateBags writes SafeContents of CertBags; that at index leaf, if any,
// carries the localKeyId that points to the key.
func certificateBags(ders [][]byte, leaf int) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i, der := range ders {
			if _, err := readSequence(der); err != nil {
				b.SetError(fmt.Errorf("certificate %d: %w", i, err))
				return
			}
			var attributes func(b *cryptobyte.Builder)
			if i == leaf {
				attributes = addLeafKeyID
			}
			addBag(b, oidCertBag, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidCertTypeX509)
					b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(der) })
				})
			}, attributes)
		}
	})
	return b.Bytes()
}

// seal encrypts with the empty password under fresh parameters. The key comes from
// the parameters as the reader parses them, so that the two cannot disagree.
func (l layout) seal(plain []byte) (encryption, ciphertext []byte, err error) {
	var b cryptobyte.Builder
	l.encryption(&b)
	if encryption, err = b.Bytes(); err != nil {
		return nil, nil, err
	}
	s := cryptobyte.String(encryption)
	scheme, err := parseScheme(&s)
	if err != nil {
		return nil, nil, err
	}
	block, iv, err := scheme.key(password{})
	if err != nil {
		return nil, nil, err
	}
	pad := block.BlockSize() - len(plain)%block.BlockSize()
	ciphertext = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
	return encryption, ciphertext, nil
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, parameters cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		parameters(b)
	})
}

func addContentInfo(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, content cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(tagExplicit0, content)
	})
}

// addBag writes a SafeBag; attributes may be nil.
func addBag(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value, attributes cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(tagExplicit0, value)
		if attributes != nil {
			b.AddASN1(cbasn1.SET, attributes)
		}
	})
}

func addLeafKeyID(b *cryptobyte.Builder) {
	addAttribute(b, oidLocalKeyID, func(b *cryptobyte.Builder) { b.AddASN1OctetString(leafKeyID) })
}

func addBMPAttribute(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, s string) {
	addAttribute(b, oid, func(b *cryptobyte.Builder) {
		b.AddASN1(tagBMPString, func(b *cryptobyte.Builder) { b.AddBytes(bmpString(s)) })
	})
}

func addAttribute(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
}

// random returns n random bytes; crypto/rand does not fail.
func random(n int) []byte {
	out := make([]byte, n)
	rand.Read(out)
	return out
}
