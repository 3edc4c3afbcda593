package conformance

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// keyName hands out an unused name, of which nothing is left after the test.
func (v *vault) keyName() string {
	random := make([]byte, 10)
	rand.Read(random)
	name := "go-key-" + hex.EncodeToString(random)
	v.t.Cleanup(func() {
		// Not there, or not deleted, is what the test may have seen to.
		if _, err := v.keys.DeleteKey(context.Background(), name, nil); err != nil && !is(err, 404) {
			v.t.Errorf("tidying up: %v", err)
		}
		if _, err := v.keys.PurgeDeletedKey(context.Background(), name, nil); err != nil && !is(err, 404) {
			v.t.Errorf("tidying up: %v", err)
		}
	})
	return name
}

func (v *vault) makeKey(name string, p azkeys.CreateKeyParameters) azkeys.KeyBundle {
	v.t.Helper()
	if p.Kty == nil {
		p.Kty = to.Ptr(azkeys.KeyTypeEC)
	}
	made, err := v.keys.CreateKey(v.t.Context(), name, p, nil)
	check(v.t, err)
	return made.KeyBundle
}

func (v *vault) key(name, version string) azkeys.KeyBundle {
	v.t.Helper()
	got, err := v.keys.GetKey(v.t.Context(), name, version, nil)
	check(v.t, err)
	return got.KeyBundle
}

func (v *vault) removeKey(name string) azkeys.DeletedKey {
	v.t.Helper()
	gone, err := v.keys.DeleteKey(v.t.Context(), name, nil)
	check(v.t, err)
	return gone.DeletedKey
}

func rsaOf(k *azkeys.JSONWebKey) *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBytes(k.N), E: int(new(big.Int).SetBytes(k.E).Int64())}
}

func ecOf(t *testing.T, k *azkeys.JSONWebKey, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, k.X, k.Y))
	check(t, err)
	return public
}

func TestKeysOfEveryKindAreMade(t *testing.T) {
	t.Parallel()
	v := open(t)
	for _, size := range []int32{2048, 3072, 4096} {
		made := v.makeKey(v.keyName(), azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: &size})
		equal(t, "bits", rsaOf(made.Key).N.BitLen(), int(size))
		equal(t, "operations", len(made.Key.KeyOps), 6)
	}
	for curve, octets := range map[azkeys.CurveName]int{"P-256": 32, "P-384": 48, "P-521": 66, "P-256K": 32} {
		made := v.makeKey(v.keyName(), azkeys.CreateKeyParameters{Curve: &curve})
		equal(t, "curve", *made.Key.Crv, curve)
		equal(t, "coordinates", []int{len(made.Key.X), len(made.Key.Y)}, []int{octets, octets})
		equal(t, "operations", len(made.Key.KeyOps), 2)
	}
}

func TestKeyIsReadBackAndUpdated(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.keyName()
	from, until := time.Now().UTC().Truncate(time.Second), time.Now().AddDate(30, 0, 0).UTC().Truncate(time.Second)
	made := v.makeKey(name, azkeys.CreateKeyParameters{
		KeyOps:        to.SliceOfPtrs(azkeys.KeyOperationVerify, azkeys.KeyOperationSign),
		KeyAttributes: &azkeys.KeyAttributes{Enabled: to.Ptr(true), NotBefore: &from, Expires: &until},
		Tags:          tags("team", "a"),
	})
	equal(t, "read", v.key(name, ""), made)
	equal(t, "read by version", v.key(name, made.Key.KID.Version()), made)
	equal(t, "dates", []time.Time{made.Attributes.NotBefore.UTC(), made.Attributes.Expires.UTC()}, []time.Time{from, until})

	second := v.makeKey(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)})
	got, err := v.keys.UpdateKey(t.Context(), name, made.Key.KID.Version(), azkeys.UpdateKeyParameters{
		KeyOps: to.SliceOfPtrs(azkeys.KeyOperationVerify), KeyAttributes: &azkeys.KeyAttributes{Enabled: to.Ptr(false)}, Tags: tags("b", "c"),
	}, nil)
	check(t, err)
	equal(t, "enabled", *got.Attributes.Enabled, false)
	equal(t, "operations", *got.Key.KeyOps[0], azkeys.KeyOperationVerify)
	equal(t, "expires", got.Attributes.Expires.UTC(), until)
	equal(t, "tags", got.Tags, tags("b", "c"))
	equal(t, "the latest", v.key(name, ""), second)

	var versions []string
	for pager := v.keys.NewListKeyPropertiesVersionsPager(name, nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		check(t, err)
		for _, item := range page.Value {
			versions = append(versions, item.KID.Version())
		}
	}
	equal(t, "versions", versions, []string{made.Key.KID.Version(), second.Key.KID.Version()})
	found := 0
	for pager := v.keys.NewListKeyPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		check(t, err)
		for _, item := range page.Value {
			if item.KID.Name() == name {
				found++
			}
		}
	}
	equal(t, "listed", found, 1)
}

func TestDeletedKeyComesBackOrIsPurged(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.keyName()
	made := v.makeKey(name, azkeys.CreateKeyParameters{})
	backup, err := v.keys.BackupKey(ctx, name, nil)
	check(t, err)

	gone := v.removeKey(name)
	equal(t, "kid", string(*gone.Key.KID), string(*made.Key.KID))
	equal(t, "purge", gone.ScheduledPurgeDate.Sub(*gone.DeletedDate), time.Duration(*made.Attributes.RecoverableDays)*24*time.Hour)
	later, err := v.keys.GetDeletedKey(ctx, name, nil)
	check(t, err)
	equal(t, "deleted, later", later.DeletedKey, gone)
	listed := 0
	for pager := v.keys.NewListDeletedKeyPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		check(t, err)
		for _, item := range page.Value {
			if item.KID.Name() == name {
				listed++
			}
		}
	}
	equal(t, "listed as deleted", listed, 1)
	_, err = v.keys.GetKey(ctx, name, "", nil)
	refused(t, err, 404, "KeyNotFound")
	_, err = v.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeEC)}, nil)
	refused(t, err, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	_, err = v.keys.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: backup.Value}, nil)
	refused(t, err, 409, "Conflict")
	back, err := v.keys.RecoverDeletedKey(ctx, name, nil)
	check(t, err)
	equal(t, "recovered", back.KeyBundle, made)

	v.removeKey(name)
	_, err = v.keys.PurgeDeletedKey(ctx, name, nil)
	check(t, err)
	_, err = v.keys.GetDeletedKey(ctx, name, nil)
	refused(t, err, 404, "KeyNotFound")
	restored, err := v.keys.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: backup.Value}, nil)
	check(t, err)
	equal(t, "restored", restored.KeyBundle, made)
	backup.Value[len(backup.Value)-1] ^= 1
	_, err = v.keys.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: backup.Value}, nil)
	refused(t, err, 400, "Malformed backup blob")
}

func TestSignaturesAreThoseOfTheKey(t *testing.T) {
	t.Parallel()
	v := open(t)
	digests := map[int][]byte{}
	for hash, size := range map[crypto.Hash]int{crypto.SHA256: 32, crypto.SHA384: 48, crypto.SHA512: 64} {
		h := hash.New()
		h.Write([]byte("to be signed"))
		digests[size] = h.Sum(nil)
	}
	rsaName := v.keyName()
	public := rsaOf(v.makeKey(rsaName, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)}).Key)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	ec := func(curve elliptic.Curve) (string, func(digest, signature []byte) bool) {
		name := v.keyName()
		made := v.makeKey(name, azkeys.CreateKeyParameters{Curve: to.Ptr(azkeys.CurveName(curve.Params().Name))})
		public := ecOf(t, made.Key, curve)
		return name, func(digest, signature []byte) bool {
			half := len(signature) / 2
			return ecdsa.Verify(public, digest, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
		}
	}
	p256, good256 := ec(elliptic.P256())
	p384, good384 := ec(elliptic.P384())
	p521, good521 := ec(elliptic.P521())
	for _, c := range []struct {
		name   string
		alg    azkeys.SignatureAlgorithm
		digest int
		good   func(digest, signature []byte) bool
	}{
		{rsaName, "RS256", 32, func(d, s []byte) bool { return rsa.VerifyPKCS1v15(public, crypto.SHA256, d, s) == nil }},
		{rsaName, "RS384", 48, func(d, s []byte) bool { return rsa.VerifyPKCS1v15(public, crypto.SHA384, d, s) == nil }},
		{rsaName, "RS512", 64, func(d, s []byte) bool { return rsa.VerifyPKCS1v15(public, crypto.SHA512, d, s) == nil }},
		{rsaName, "RSNULL", 32, func(d, s []byte) bool { return rsa.VerifyPKCS1v15(public, 0, d, s) == nil }},
		{rsaName, "PS256", 32, func(d, s []byte) bool { return rsa.VerifyPSS(public, crypto.SHA256, d, s, pss) == nil }},
		{rsaName, "PS384", 48, func(d, s []byte) bool { return rsa.VerifyPSS(public, crypto.SHA384, d, s, pss) == nil }},
		{rsaName, "PS512", 64, func(d, s []byte) bool { return rsa.VerifyPSS(public, crypto.SHA512, d, s, pss) == nil }},
		{p256, "ES256", 32, good256},
		{p384, "ES384", 48, good384},
		{p521, "ES512", 64, good521},
	} {
		t.Run(string(c.alg), func(t *testing.T) {
			digest := digests[c.digest]
			signed, err := v.keys.Sign(t.Context(), c.name, "", azkeys.SignParameters{Algorithm: &c.alg, Value: digest}, nil)
			check(t, err)
			equal(t, "name", signed.KID.Name(), c.name)
			if !c.good(digest, signed.Result) {
				t.Error("it does not verify")
			}
			verified := func(digest, signature []byte) bool {
				got, err := v.keys.Verify(t.Context(), c.name, signed.KID.Version(), azkeys.VerifyParameters{Algorithm: &c.alg, Digest: digest, Signature: signature}, nil)
				check(t, err)
				return *got.Value
			}
			broken := bytes.Clone(signed.Result)
			broken[len(broken)/2] ^= 1
			equal(t, "verified", []bool{verified(digest, signed.Result), verified(digest, broken), verified(digest, broken[1:])}, []bool{true, false, false})
		})
	}
	_, err := v.keys.Sign(t.Context(), p256, "", azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: make([]byte, 44)}, nil)
	refused(t, err, 400, "BadParameter", "Invalid length of 'value': 44 bytes. ES256 requires 32 bytes")
	_, err = v.keys.Sign(t.Context(), p384, "", azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: digests[32]}, nil)
	refused(t, err, 400, "BadParameter", "uses curve 'P-384'")
}

func TestWhatIsEncryptedElsewhereIsDecryptedAndTheOtherWay(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.keyName()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	number := func(i *big.Int) []byte { return i.Bytes() }
	imported, err := v.keys.ImportKey(ctx, name, azkeys.ImportKeyParameters{Key: &azkeys.JSONWebKey{
		Kty: to.Ptr(azkeys.KeyTypeRSA), N: number(private.N), E: []byte{1, 0, 1}, D: number(private.D),
		P: number(private.Primes[0]), Q: number(private.Primes[1]),
		DP: number(private.Precomputed.Dp), DQ: number(private.Precomputed.Dq), QI: number(private.Precomputed.Qinv),
	}}, nil)
	check(t, err)
	equal(t, "n", imported.Key.N, number(private.N))
	equal(t, "private", [][]byte{imported.Key.D, imported.Key.P, imported.Key.Q}, [][]byte{nil, nil, nil})
	plain := []byte("attack at dawn")
	for alg, c := range map[azkeys.EncryptionAlgorithm]struct {
		encrypt func() ([]byte, error)
		decrypt func([]byte) ([]byte, error)
	}{
		"RSA1_5": {func() ([]byte, error) { return rsa.EncryptPKCS1v15(rand.Reader, &private.PublicKey, plain) },
			func(b []byte) ([]byte, error) { return rsa.DecryptPKCS1v15(nil, private, b) }},
		"RSA-OAEP": {func() ([]byte, error) {
			return rsa.EncryptOAEP(sha1.New(), rand.Reader, &private.PublicKey, plain, nil)
		},
			func(b []byte) ([]byte, error) { return rsa.DecryptOAEP(sha1.New(), nil, private, b, nil) }},
		"RSA-OAEP-256": {func() ([]byte, error) {
			return rsa.EncryptOAEP(sha256.New(), rand.Reader, &private.PublicKey, plain, nil)
		},
			func(b []byte) ([]byte, error) { return rsa.DecryptOAEP(sha256.New(), nil, private, b, nil) }},
	} {
		t.Run(string(alg), func(t *testing.T) {
			params := func(b []byte) azkeys.KeyOperationParameters {
				return azkeys.KeyOperationParameters{Algorithm: &alg, Value: b}
			}
			there, err := c.encrypt()
			check(t, err)
			decrypted, err := v.keys.Decrypt(ctx, name, "", params(there), nil)
			check(t, err)
			unwrapped, err := v.keys.UnwrapKey(ctx, name, "", params(there), nil)
			check(t, err)
			encrypted, err := v.keys.Encrypt(ctx, name, "", params(plain), nil)
			check(t, err)
			wrapped, err := v.keys.WrapKey(ctx, name, "", params(plain), nil)
			check(t, err)
			one, err := c.decrypt(encrypted.Result)
			check(t, err)
			two, err := c.decrypt(wrapped.Result)
			check(t, err)
			equal(t, "results", [][]byte{decrypted.Result, unwrapped.Result, one, two}, [][]byte{plain, plain, plain, plain})
			there[100] ^= 1
			_, err = v.keys.Decrypt(ctx, name, "", params(there), nil)
			refused(t, err, 400, "BadParameter")
		})
	}
}

func TestWhatAKeyMayDoIsEnforced(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.keyName()
	v.makeKey(name, azkeys.CreateKeyParameters{KeyOps: to.SliceOfPtrs(azkeys.KeyOperationVerify)})
	sign := func() error {
		_, err := v.keys.Sign(ctx, name, "", azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: make([]byte, 32)}, nil)
		return err
	}
	update := func(p azkeys.UpdateKeyParameters) {
		t.Helper()
		_, err := v.keys.UpdateKey(ctx, name, "", p, nil)
		check(t, err)
	}
	refused(t, sign(), 403, "Forbidden", "KeyOperationForbidden")
	update(azkeys.UpdateKeyParameters{KeyOps: to.SliceOfPtrs(azkeys.KeyOperationSign)})
	check(t, sign())
	update(azkeys.UpdateKeyParameters{KeyAttributes: &azkeys.KeyAttributes{NotBefore: to.Ptr(time.Now().Add(time.Hour))}})
	refused(t, sign(), 403, "Forbidden", "KeyNotYetValid")
	update(azkeys.UpdateKeyParameters{KeyAttributes: &azkeys.KeyAttributes{NotBefore: to.Ptr(time.Unix(1, 0)), Expires: to.Ptr(time.Unix(2, 0))}})
	refused(t, sign(), 403, "Forbidden", "KeyExpired")
	update(azkeys.UpdateKeyParameters{KeyAttributes: &azkeys.KeyAttributes{Enabled: to.Ptr(false)}})
	refused(t, sign(), 403, "Forbidden", "KeyDisabled")
	for _, kind := range []azkeys.KeyType{azkeys.KeyTypeRSAHSM, azkeys.KeyTypeECHSM, azkeys.KeyTypeOctHSM} {
		_, err := v.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: &kind}, nil)
		refused(t, err, 403, "Forbidden", "Hardware key operation not allowed on standard vault")
	}
	_, err := v.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeOct)}, nil)
	refused(t, err, 400, "BadParameter", "KeyTypeNotSupported")
	_, err = v.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr[int32](1024)}, nil)
	refused(t, err, 400, "BadParameter", "KeySizeNotSupported")
}

func TestKeysRotateByPolicy(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.keyName()
	made := v.makeKey(name, azkeys.CreateKeyParameters{Tags: tags("a", "b")})
	before, err := v.keys.GetKeyRotationPolicy(ctx, name, nil)
	check(t, err)
	equal(t, "default", []any{len(before.LifetimeActions), *before.LifetimeActions[0].Trigger.TimeBeforeExpiry}, []any{1, "P30D"})
	set, err := v.keys.UpdateKeyRotationPolicy(ctx, name, azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P2M")},
		LifetimeActions: []*azkeys.LifetimeAction{{
			Action:  &azkeys.LifetimeActionType{Type: to.Ptr(azkeys.KeyRotationPolicyActionRotate)},
			Trigger: &azkeys.LifetimeActionTrigger{TimeBeforeExpiry: to.Ptr("P30D")},
		}},
	}, nil)
	check(t, err)
	equal(t, "actions", []string{string(*set.LifetimeActions[0].Action.Type), string(*set.LifetimeActions[1].Action.Type)}, []string{"Rotate", "Notify"})
	if !strings.HasSuffix(*set.ID, "/keys/"+name+"/rotationpolicy") || *set.Attributes.ExpiryTime != "P2M" {
		t.Errorf("%s, %s", *set.ID, *set.Attributes.ExpiryTime)
	}
	read, err := v.keys.GetKeyRotationPolicy(ctx, name, nil)
	check(t, err)
	equal(t, "read", read.KeyRotationPolicy, set.KeyRotationPolicy)
	rotated, err := v.keys.RotateKey(ctx, name, nil)
	check(t, err)
	if rotated.Key.KID.Version() == made.Key.KID.Version() || bytes.Equal(rotated.Key.X, made.Key.X) || rotated.Attributes.Expires == nil {
		t.Errorf("%+v", rotated)
	}
	equal(t, "tags", rotated.Tags, made.Tags)
	_, err = v.keys.UpdateKeyRotationPolicy(ctx, name, azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P27D")}}, nil)
	refused(t, err, 400, "BadParameter")
}

func TestRandomBytesAreGiven(t *testing.T) {
	t.Parallel()
	v := open(t)
	got, err := v.keys.GetRandomBytes(t.Context(), azkeys.GetRandomBytesParameters{Count: to.Ptr[int32](128)}, nil)
	check(t, err)
	equal(t, "bytes", len(got.Value), 128)
	_, err = v.keys.GetRandomBytes(t.Context(), azkeys.GetRandomBytesParameters{Count: to.Ptr[int32](129)}, nil)
	refused(t, err, 400, "BadParameter")
}
