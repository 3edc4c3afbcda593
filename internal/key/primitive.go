package key

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"coffer/internal/hsm"
	"coffer/internal/pki"
)

// The cryptography of key pairs. Keys and algorithms go together: Service.ready has
// looked.

// The bytes that a padding needs of the block.
const (
	pkcs1v15Overhead = 11 // RFC 8017, 7.2.1 and 9.2
	oaepExtra        = 2  // beside two digests; RFC 8017, 7.1.1
)

// room is how many bytes an RSA key of that many takes with an algorithm.
func (a *Algorithm) room(k int) int {
	if a.padding == oaep {
		return k - 2*a.hash.Size() - oaepExtra
	}
	return k - pkcs1v15Overhead
}

// checkDigest checks the length of what is signed; field is the member.
func checkDigest(field string, v *Version, p UseParams) error {
	a, got := p.Algorithm, len(p.Value)
	if a.family == pki.Oct { // HMAC takes any message, of some length (contract keys.md, question 6)
		if got == 0 {
			return invalid(field, fmt.Sprintf("Invalid length of '%s': 0 bytes. %s requires at least one.", field, a))
		}
		return nil
	}
	if a.hash != 0 {
		if want := a.hash.Size(); got != want {
			return invalid(field, fmt.Sprintf("Invalid length of '%s': %d bytes. %s requires %d bytes, encoded with base64url.", field, got, a, want))
		}
		return nil
	}
	return checkRoom(field, got, v.Spec.Size/8, a)
}

func checkRoom(field string, got, k int, a *Algorithm) error {
	if most := a.room(k); got > most {
		return invalid(field, fmt.Sprintf("Invalid length of '%s': %d bytes. %s with a key of %d bits takes at most %d bytes.", field, got, a, 8*k, most))
	}
	return nil
}

func sign(k crypto.Signer, a *Algorithm, digest []byte) ([]byte, error) {
	switch {
	case a.family == pki.EC:
		return pki.SignRaw(k, digest)
	case a.padding == pss:
		return k.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash})
	}
	return k.Sign(rand.Reader, digest, a.hash)
}

func verify(k crypto.PublicKey, a *Algorithm, digest, signature []byte) bool {
	public, ok := k.(*rsa.PublicKey)
	switch {
	case a.family == pki.EC:
		return pki.VerifyRaw(k, digest, signature)
	case !ok:
		return false
	case a.padding == pss:
		return rsa.VerifyPSS(public, a.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	return rsa.VerifyPKCS1v15(public, a.hash, digest, signature) == nil
}

func encrypt(k crypto.PublicKey, a *Algorithm, plain []byte) ([]byte, error) {
	public, ok := k.(*rsa.PublicKey)
	if !ok {
		return nil, pki.ErrKeyType
	}
	if err := checkRoom("value", len(plain), public.Size(), a); err != nil {
		return nil, err
	}
	if a.padding == oaep {
		return rsa.EncryptOAEP(a.hash.New(), rand.Reader, public, plain, nil)
	}
	//lint:ignore SA1019 RSA1_5 is an algorithm of the contract; callers choose it
	return rsa.EncryptPKCS1v15(rand.Reader, public, plain)
}

// The one refusal of each padding. Which check a value failed must not be told, in
// words or in time: crypto/rsa takes the same time for all of them, and what is
// not even a block is answered alike.
const (
	msgOAEP     = "Error occurred while decoding OAEP padding."
	msgPKCS1v15 = "Unable to decrypt specified value with this key"
)

func decrypt(k crypto.Signer, a *Algorithm, value []byte) ([]byte, error) {
	private, ok := k.(crypto.Decrypter)
	if !ok {
		return nil, pki.ErrKeyType
	}
	if a.padding == oaep {
		plain, err := private.Decrypt(rand.Reader, value, &rsa.OAEPOptions{Hash: a.hash})
		return plain, refused(k, err, msgOAEP)
	}
	//lint:ignore SA1019 as above
	plain, err := private.Decrypt(rand.Reader, value, &rsa.PKCS1v15DecryptOptions{})
	return plain, refused(k, err, msgPKCS1v15)
}

// refused is the refusal of a value that does not decrypt. In memory nothing else
// can fail; an HSM can, and that is not the caller's mistake.
func refused(k crypto.Signer, err error, msg string) error {
	_, inMemory := k.(*rsa.PrivateKey)
	if err != nil && inMemory || errors.Is(err, hsm.ErrRefused) {
		return invalid("value", msg)
	}
	return err
}
