package pkcs12

import (
	"bytes"
	"crypto/cipher"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"coffer/internal/pkcs12/ber"
)

// Bundle is what a file holds. Its bytes are not parsed beyond their outermost
// element.
type Bundle struct {
	KeyPKCS8     []byte // PrivateKeyInfo in DER, decrypted; nil when the file has none
	LocalKeyID   []byte // of the key; nil when absent
	Certificates []Certificate
}

// Certificate is one certificate of a file, in file order.
type Certificate struct {
	DER          []byte
	LocalKeyID   []byte // equal to the key's on the certificate that belongs to it; nil when absent
	FriendlyName string
}

// Decode reads a file in DER or BER, of at most 200 KiB. An empty password and none
// are the same. A file without MAC is taken as it is.
//
// The error wraps [ErrPassword], [ErrTooCostly] or [ErrFormat]; more than one
// private key is [ErrTwoKeys]. CRLs and other bags are passed over.
func Decode(pfx []byte, password string) (*Bundle, error) {
	forms, err := passwordForms(password)
	if err != nil {
		return nil, err
	}
	p := parser{budget: MaxCost}
	f, err := p.parseFile(pfx)
	if err != nil {
		return nil, err
	}
	o := opener{forms: forms, budget: MaxCost}
	if f.mac != nil {
		if err := o.verify(f.mac, f.authSafe); err != nil {
			return nil, err
		}
	}
	var out Bundle
	for _, c := range f.contents {
		bags := c.bags
		if c.sealed != nil {
			plain, err := o.open(c.sealed)
			if err != nil {
				return nil, err
			}
			if bags, err = p.parseSafeContents(plain, 0); err != nil {
				return nil, err
			}
		}
		for _, b := range bags {
			if err := out.add(b, &o); err != nil {
				return nil, err
			}
		}
	}
	return &out, nil
}

// DecryptPKCS8 opens an EncryptedPrivateKeyInfo (RFC 5958, section 3) in DER or BER,
// of at most 200 KiB, and returns the PrivateKeyInfo in DER. Errors are as of
// [Decode].
func DecryptPKCS8(encrypted []byte, password string) ([]byte, error) {
	forms, err := passwordForms(password)
	if err != nil {
		return nil, err
	}
	der, err := toDER(encrypted)
	if err != nil {
		return nil, err
	}
	p := parser{budget: MaxCost}
	s := cryptobyte.String(der)
	info, err := p.parseEncryptedKey(&s)
	if err != nil {
		return nil, err
	}
	o := opener{forms: forms, budget: MaxCost}
	return o.open(info)
}

// add puts a bag's content into b.
func (b *Bundle) add(bag bag, o *opener) error {
	if bag.certificate != nil {
		b.Certificates = append(b.Certificates, Certificate{
			DER:          bag.certificate,
			LocalKeyID:   bag.localKeyID,
			FriendlyName: bag.friendlyName,
		})
		return nil
	}
	if b.KeyPKCS8 != nil {
		return ErrTwoKeys
	}
	key := bag.key
	if bag.sealedKey != nil {
		var err error
		if key, err = o.open(bag.sealedKey); err != nil {
			return err
		}
	}
	b.KeyPKCS8, b.LocalKeyID = key, bag.localKeyID
	return nil
}

// opener checks and decrypts with one password.
type opener struct {
	forms  []password // the forms to try, the likeliest first
	budget budget
}

// verify checks the MAC over the authSafe, and puts the form that it was made with
// in front.
func (o *opener) verify(m *mac, authSafe []byte) error {
	for i, form := range o.forms {
		if err := o.budget.spend(m.cost); err != nil {
			return err
		}
		ok, err := m.matches(form, authSafe)
		if err != nil {
			return err
		}
		if ok {
			o.forms[0], o.forms[i] = o.forms[i], o.forms[0]
			return nil
		}
	}
	return ErrPassword
}

// open decrypts s. The right password leaves one element, a SEQUENCE, in DER or
// BER; a wrong one passes the padding once in 256 times, and hardly ever both.
func (o *opener) open(s *sealed) ([]byte, error) {
	for _, form := range o.forms {
		if err := o.budget.spend(s.scheme.cost); err != nil {
			return nil, err
		}
		block, iv, err := s.scheme.key(form)
		if err != nil {
			return nil, err
		}
		plain, ok := decryptCBC(block, iv, s.ciphertext)
		if !ok || len(plain) == 0 || plain[0] != byte(cbasn1.SEQUENCE) {
			continue
		}
		if der, err := ber.ToDER(plain); err == nil {
			return der, nil
		}
	}
	return nil, ErrPassword
}

// decryptCBC decrypts and takes off the padding (RFC 8018, section 6.1.1).
func decryptCBC(block cipher.Block, iv, ciphertext []byte) (plain []byte, ok bool) {
	size := block.BlockSize()
	if len(ciphertext) == 0 || len(ciphertext)%size != 0 {
		return nil, false
	}
	plain = make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, ciphertext)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size {
		return nil, false
	}
	plain, padding := plain[:len(plain)-pad], plain[len(plain)-pad:]
	return plain, bytes.Count(padding, []byte{byte(pad)}) == pad
}

// toDER converts what a caller gave, within the size that we take.
func toDER(in []byte) ([]byte, error) {
	if len(in) > maxSize {
		return nil, badFormat("over %d bytes", maxSize)
	}
	der, err := ber.ToDER(in)
	if err != nil {
		return nil, badFormat("%v", err)
	}
	return der, nil
}
