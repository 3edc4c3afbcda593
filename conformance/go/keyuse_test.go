package conformance

import (
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// curvesOfOpenSSL are the names and algorithms of the curves, and the octets of a coordinate.
var curvesOfOpenSSL = map[azkeys.CurveName]struct {
	name, digest string
	algorithm    azkeys.SignatureAlgorithm
	octets       int
}{
	"P-256":  {"prime256v1", "-sha256", "ES256", 32},
	"P-384":  {"secp384r1", "-sha384", "ES384", 48},
	"P-521":  {"secp521r1", "-sha512", "ES512", 66},
	"P-256K": {"secp256k1", "-sha256", "ES256K", 32},
}

// ecPrivateKey is RFC 5915, section 3.
type ecPrivateKey struct {
	Version int
	D       []byte
	Curve   asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
	Public  asn1.BitString        `asn1:"optional,explicit,tag:1"`
}

// A key that openssl made signs in the vault what openssl verifies, on every curve.
func TestImportedKeySignsOnEveryCurve(t *testing.T) {
	t.Parallel()
	for curve, c := range curvesOfOpenSSL {
		t.Run(string(curve), func(t *testing.T) {
			t.Parallel()
			v := open(t)
			ctx, name, dir := t.Context(), v.keyName(), t.TempDir()
			made := openssl(t, nil, "ecparam", "-genkey", "-noout", "-name", c.name)
			var private ecPrivateKey
			_, err := asn1.Unmarshal(firstBlock(t, made), &private)
			check(t, err)
			x, y := private.Public.Bytes[1:1+c.octets], private.Public.Bytes[1+c.octets:]
			imported, err := v.keys.ImportKey(ctx, name, azkeys.ImportKeyParameters{Key: &azkeys.JSONWebKey{
				Kty: to.Ptr(azkeys.KeyTypeEC), Crv: &curve, X: x, Y: y, D: private.D,
			}}, nil)
			check(t, err)
			equal(t, "point", [][]byte{imported.Key.X, imported.Key.Y, imported.Key.D}, [][]byte{x, y, nil})

			message := []byte("to be signed")
			digest := openssl(t, message, "dgst", c.digest, "-binary")
			signed, err := v.keys.Sign(ctx, name, "", azkeys.SignParameters{Algorithm: &c.algorithm, Value: digest}, nil)
			check(t, err)
			signature, err := asn1.Marshal(struct{ R, S *big.Int }{
				new(big.Int).SetBytes(signed.Result[:c.octets]), new(big.Int).SetBytes(signed.Result[c.octets:])})
			check(t, err)
			write(t, filepath.Join(dir, "key"), made)
			write(t, filepath.Join(dir, "signature"), signature)
			openssl(t, message, "dgst", c.digest, "-prverify", filepath.Join(dir, "key"), "-signature", filepath.Join(dir, "signature"))
		})
	}
}

// An expired key does no more of what makes something new, and goes on with what reads it (keys.md, 5.1).
func TestExpiredKeyVerifiesAndDecrypts(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.keyName()
	v.makeKey(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)})
	digest := sha256.Sum256([]byte("to be signed"))
	ps256, oaep := to.Ptr(azkeys.SignatureAlgorithmPS256), to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP)
	signed, err := v.keys.Sign(ctx, name, "", azkeys.SignParameters{Algorithm: ps256, Value: digest[:]}, nil)
	check(t, err)
	sealed, err := v.keys.Encrypt(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: oaep, Value: digest[:]}, nil)
	check(t, err)
	_, err = v.keys.UpdateKey(ctx, name, "", azkeys.UpdateKeyParameters{
		KeyAttributes: &azkeys.KeyAttributes{NotBefore: to.Ptr(time.Unix(1, 0)), Expires: to.Ptr(time.Unix(2, 0))},
	}, nil)
	check(t, err)

	verified, err := v.keys.Verify(ctx, name, "", azkeys.VerifyParameters{Algorithm: ps256, Digest: digest[:], Signature: signed.Result}, nil)
	check(t, err)
	equal(t, "verified", *verified.Value, true)
	opened := azkeys.KeyOperationParameters{Algorithm: oaep, Value: sealed.Result}
	decrypted, err := v.keys.Decrypt(ctx, name, "", opened, nil)
	check(t, err)
	unwrapped, err := v.keys.UnwrapKey(ctx, name, "", opened, nil)
	check(t, err)
	equal(t, "opened", [][]byte{decrypted.Result, unwrapped.Result}, [][]byte{digest[:], digest[:]})
	_, err = v.keys.Encrypt(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: oaep, Value: digest[:]}, nil)
	refused(t, err, 403, "Forbidden", "KeyExpired")
	_, err = v.keys.WrapKey(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: oaep, Value: digest[:]}, nil)
	refused(t, err, 403, "Forbidden", "KeyExpired")
}
