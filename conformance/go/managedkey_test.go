package conformance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

func TestKeySignsUnderTheCertificate(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	certificate, err := x509.ParseCertificate(made.CER)
	check(t, err)
	digest := sha256.Sum256([]byte("to be signed"))
	parameters := azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: digest[:]}
	signed, err := v.keys.Sign(t.Context(), name, "", parameters, nil)
	check(t, err)
	// RFC 7518, section 3.4: r and s side by side.
	r, s := new(big.Int).SetBytes(signed.Result[:32]), new(big.Int).SetBytes(signed.Result[32:])
	if !ecdsa.Verify(certificate.PublicKey.(*ecdsa.PublicKey), digest[:], r, s) {
		t.Error("the signature is not the certificate's")
	}
	verified, err := v.keys.Verify(t.Context(), name, made.KID.Version(), azkeys.VerifyParameters{
		Algorithm: parameters.Algorithm, Digest: digest[:], Signature: signed.Result,
	}, nil)
	check(t, err)
	equal(t, "verified", *verified.Value, true)

	v.update(name, "", azcertificates.UpdateCertificateParameters{CertificateAttributes: enabled(false)})
	_, err = v.keys.Sign(t.Context(), name, "", parameters, nil)
	refused(t, err, 403, "Forbidden", "KeyDisabled")
}

func TestKeyUnwrapsWhatTheCertificateWrapped(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	p := small("Self")
	p.KeyProperties = &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSA)}
	made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
	certificate, err := x509.ParseCertificate(made.CER)
	check(t, err)
	secret := bytes.Repeat([]byte{7}, 32)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, certificate.PublicKey.(*rsa.PublicKey), secret, nil)
	check(t, err)
	parameters := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: wrapped}
	unwrapped, err := v.keys.UnwrapKey(t.Context(), name, "", parameters, nil)
	check(t, err)
	equal(t, "unwrapped", unwrapped.Result, secret)
	_, err = v.keys.Decrypt(t.Context(), name, "", parameters, nil)
	refused(t, err, 403, "Forbidden", "KeyOperationForbidden")
}

// Outside a certificate's time its key only reads what was made within it (keys.md, 5.1 and 6).
func TestKeyOfACertificateThatIsNotValidYetVerifiesAndUnwraps(t *testing.T) {
	t.Parallel()
	v, a := open(t), newAuthority(t)
	ctx, name := t.Context(), v.name()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	leaf := a.issue(t, private.Public(), day, 90*day)
	_, err = v.importValue(name, base64.StdEncoding.EncodeToString(pfx(t, key, a.chain(leaf), "")), "", nil)
	check(t, err)

	digest := sha256.Sum256([]byte("to be signed"))
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	check(t, err)
	rs256 := to.Ptr(azkeys.SignatureAlgorithmRS256)
	verified, err := v.keys.Verify(ctx, name, "", azkeys.VerifyParameters{Algorithm: rs256, Digest: digest[:], Signature: signature}, nil)
	check(t, err)
	equal(t, "verified", *verified.Value, true)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &private.PublicKey, digest[:], nil)
	check(t, err)
	oaep := to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256)
	unwrapped, err := v.keys.UnwrapKey(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: oaep, Value: wrapped}, nil)
	check(t, err)
	equal(t, "unwrapped", unwrapped.Result, digest[:])

	_, err = v.keys.Sign(ctx, name, "", azkeys.SignParameters{Algorithm: rs256, Value: digest[:]}, nil)
	refused(t, err, 403, "Forbidden", "KeyNotYetValid")
	_, err = v.keys.WrapKey(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: oaep, Value: digest[:]}, nil)
	refused(t, err, 403, "Forbidden", "KeyNotYetValid")
}

func TestNameOfAKeyOfItsOwnIsTaken(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.keyName()
	made := v.makeKey(name, azkeys.CreateKeyParameters{})
	_, err := v.CreateCertificate(t.Context(), name, azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self")}, nil)
	refused(t, err, 409, "Conflict")
	equal(t, "the key", v.key(name, ""), made)
}
