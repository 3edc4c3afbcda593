package conformance

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math/big"
	"os"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// openPremium gives a test the clients of the premium vault, whose keys of HSM types are in an HSM.
func openPremium(t *testing.T) *vault {
	t.Helper()
	cred, err := credential()
	check(t, err)
	return openAt(t, os.Getenv("PREMIUM_VAULT_URL"), cred)
}

func (v *vault) sign(name string, algorithm azkeys.SignatureAlgorithm, digest []byte) []byte {
	v.t.Helper()
	signed, err := v.keys.Sign(v.t.Context(), name, "", azkeys.SignParameters{Algorithm: &algorithm, Value: digest}, nil)
	check(v.t, err)
	verified, err := v.keys.Verify(v.t.Context(), name, "", azkeys.VerifyParameters{Algorithm: &algorithm, Digest: digest, Signature: signed.Result}, nil)
	check(v.t, err)
	equal(v.t, "verified", *verified.Value, true)
	return signed.Result
}

func TestRSAKeyInTheHSMSignsAndDecrypts(t *testing.T) {
	t.Parallel()
	v := openPremium(t)
	ctx, name := t.Context(), v.keyName()
	made := v.makeKey(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSAHSM), KeySize: to.Ptr[int32](2048)})
	equal(t, "type", []any{*made.Key.Kty, *made.Attributes.HSMPlatform != "0"}, []any{azkeys.KeyTypeRSAHSM, true})
	public, digest := rsaOf(made.Key), sha256.Sum256([]byte("to be signed"))
	check(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], v.sign(name, "RS256", digest[:])))
	check(t, rsa.VerifyPKCS1v15(public, 0, digest[:], v.sign(name, "RSNULL", digest[:])))
	check(t, rsa.VerifyPSS(public, crypto.SHA256, digest[:], v.sign(name, "PS256", digest[:]), &rsa.PSSOptions{SaltLength: 32}))

	there, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, digest[:], nil)
	check(t, err)
	params := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: there}
	decrypted, err := v.keys.Decrypt(ctx, name, "", params, nil)
	check(t, err)
	equal(t, "decrypted", decrypted.Result, digest[:])
	there[9] ^= 1
	_, err = v.keys.Decrypt(ctx, name, "", params, nil)
	refused(t, err, 400, "BadParameter")
	_, err = v.keys.BackupKey(ctx, name, nil)
	if !is(err, 400) {
		t.Errorf("a backup of a key that cannot leave: %v", err)
	}
}

func TestECKeyInTheHSMSigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		curve     elliptic.Curve
		algorithm azkeys.SignatureAlgorithm
		hash      func() hash.Hash
	}{
		{elliptic.P256(), "ES256", sha256.New}, {elliptic.P384(), "ES384", sha512.New384}, {elliptic.P521(), "ES512", sha512.New},
	} {
		t.Run(string(c.algorithm), func(t *testing.T) {
			t.Parallel()
			v := openPremium(t)
			name := v.keyName()
			made := v.makeKey(name, azkeys.CreateKeyParameters{
				Kty: to.Ptr(azkeys.KeyTypeECHSM), Curve: to.Ptr(azkeys.CurveName(c.curve.Params().Name))})
			equal(t, "type", *made.Key.Kty, azkeys.KeyTypeECHSM)
			h := c.hash()
			h.Write([]byte("to be signed"))
			digest := h.Sum(nil)
			signature := v.sign(name, c.algorithm, digest)
			r, s := new(big.Int).SetBytes(signature[:len(signature)/2]), new(big.Int).SetBytes(signature[len(signature)/2:])
			if !ecdsa.Verify(ecOf(t, made.Key, c.curve), digest, r, s) {
				t.Error("it does not verify")
			}
		})
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	check(t, err)
	return b
}

// importSecret puts a symmetric key into the HSM, of which the test knows the bytes.
func (v *vault) importSecret(raw []byte, operations ...azkeys.KeyOperation) string {
	v.t.Helper()
	name := v.keyName()
	imported, err := v.keys.ImportKey(v.t.Context(), name, azkeys.ImportKeyParameters{HSM: to.Ptr(true),
		Key: &azkeys.JSONWebKey{Kty: to.Ptr(azkeys.KeyTypeOctHSM), K: raw, KeyOps: to.SliceOfPtrs(operations...)}}, nil)
	check(v.t, err)
	equal(v.t, "key", []any{*imported.Key.Kty, imported.Key.K}, []any{azkeys.KeyTypeOctHSM, []byte(nil)})
	return name
}

func TestSymmetricKeyInTheHSMEncryptsAsOthersDo(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{128, 192, 256} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			t.Parallel()
			v := openPremium(t)
			raw := random(bits / 8)
			name, plain := v.importSecret(raw), []byte("attack at dawn, or when it rains")
			block, err := aes.NewCipher(raw)
			check(t, err)
			gcm, err := cipher.NewGCM(block)
			check(t, err)
			alg := to.Ptr(azkeys.EncryptionAlgorithm(fmt.Sprintf("A%dGCM", bits)))
			sealed, err := v.keys.Encrypt(t.Context(), name, "", azkeys.KeyOperationParameters{
				Algorithm: alg, Value: plain, AdditionalAuthenticatedData: []byte("aad")}, nil)
			check(t, err)
			opened, err := gcm.Open(nil, sealed.IV, slices.Concat(sealed.Result, sealed.AuthenticationTag), []byte("aad"))
			check(t, err)
			equal(t, "opened", opened, plain)
			decrypt := azkeys.KeyOperationParameters{Algorithm: alg, Value: sealed.Result, IV: sealed.IV,
				AuthenticationTag: sealed.AuthenticationTag, AdditionalAuthenticatedData: []byte("aad")}
			decrypted, err := v.keys.Decrypt(t.Context(), name, "", decrypt, nil)
			check(t, err)
			equal(t, "decrypted", decrypted.Result, plain)
			decrypt.AdditionalAuthenticatedData = []byte("other")
			_, err = v.keys.Decrypt(t.Context(), name, "", decrypt, nil)
			refused(t, err, 400, "BadParameter")

			iv, there := random(16), make([]byte, len(plain))
			cipher.NewCBCEncrypter(block, iv).CryptBlocks(there, plain)
			cbc := to.Ptr(azkeys.EncryptionAlgorithm(fmt.Sprintf("A%dCBC", bits)))
			encrypted, err := v.keys.Encrypt(t.Context(), name, "", azkeys.KeyOperationParameters{Algorithm: cbc, Value: plain, IV: iv}, nil)
			check(t, err)
			equal(t, "CBC", encrypted.Result, there)
		})
	}
}

// The vectors of RFC 3394, section 4.1, and RFC 5649, section 6.
func TestSymmetricKeyInTheHSMWrapsAsTheStandardsSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		algorithm            azkeys.EncryptionAlgorithm
		key, plain, expected string
	}{
		{"A128KW", "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{"CKM_AES_KEY_WRAP", "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{"CKM_AES_KEY_WRAP_PAD", "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		t.Run(string(c.algorithm), func(t *testing.T) {
			t.Parallel()
			v := openPremium(t)
			name := v.importSecret(unhex(t, c.key))
			wrapped, err := v.keys.WrapKey(t.Context(), name, "", azkeys.KeyOperationParameters{Algorithm: &c.algorithm, Value: unhex(t, c.plain)}, nil)
			check(t, err)
			equal(t, "wrapped", wrapped.Result, unhex(t, c.expected))
			given := azkeys.KeyOperationParameters{Algorithm: &c.algorithm, Value: bytes.Clone(wrapped.Result)}
			unwrapped, err := v.keys.UnwrapKey(t.Context(), name, "", given, nil)
			check(t, err)
			equal(t, "unwrapped", unwrapped.Result, unhex(t, c.plain))
			given.Value[3] ^= 1
			_, err = v.keys.UnwrapKey(t.Context(), name, "", given, nil)
			refused(t, err, 400, "BadParameter")
		})
	}
}

func TestSymmetricKeyInTheHSMAuthenticates(t *testing.T) {
	t.Parallel()
	v := openPremium(t)
	raw, digest := random(32), sha256.Sum256([]byte("to be signed"))
	name := v.importSecret(raw, azkeys.KeyOperationSign, azkeys.KeyOperationVerify)
	mac := hmac.New(sha256.New, raw)
	mac.Write(digest[:])
	equal(t, "HS256", v.sign(name, "HS256", digest[:]), mac.Sum(nil))
}

// A key that another HSM's tools wrapped for a key of this one (keys.md, 9.2).
func TestOwnKeyIsBroughtIntoTheHSM(t *testing.T) {
	t.Parallel()
	v := openPremium(t)
	ctx, name := t.Context(), v.keyName()
	kek := v.makeKey(v.keyName(), azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSAHSM), KeyOps: to.SliceOfPtrs(azkeys.KeyOperationImport)})
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	target, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	transfer := random(32)
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, rsaOf(kek.Key), transfer, nil)
	check(t, err)
	wrapped = append(wrapped, openssl(t, target, "enc", "-id-aes256-wrap-pad", "-e", "-iv", "A65959A6", "-K", fmt.Sprintf("%x", transfer))...)
	blob, err := json.Marshal(map[string]any{
		"schema_version": "1.0.0", "generator": "conformance", "ciphertext": base64.RawURLEncoding.EncodeToString(wrapped),
		"header": map[string]string{"kid": string(*kek.Key.KID), "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
	})
	check(t, err)
	imported, err := v.keys.ImportKey(ctx, name, azkeys.ImportKeyParameters{HSM: to.Ptr(true),
		Key: &azkeys.JSONWebKey{Kty: to.Ptr(azkeys.KeyTypeECHSM), Crv: to.Ptr(azkeys.CurveNameP256), T: blob}}, nil)
	check(t, err)
	if !private.PublicKey.Equal(ecOf(t, imported.Key, elliptic.P256())) {
		t.Error("it is another key")
	}
	digest := sha256.Sum256([]byte("to be signed"))
	signature := v.sign(name, "ES256", digest[:])
	if !ecdsa.Verify(&private.PublicKey, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("it does not verify")
	}
}

func TestServerSignsWithAKeyInTheHSM(t *testing.T) {
	t.Parallel()
	serve(openPremium(t), azcertificates.KeyTypeECHSM)
}
