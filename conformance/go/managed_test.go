package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

func TestSecretHoldsTheCertificateAndItsKeyUnlessItMayNotLeave(t *testing.T) {
	t.Parallel()
	for _, curve := range []azcertificates.CurveName{"", "P-256", "P-384", "P-521", "P-256K"} {
		for _, contentType := range []string{"application/x-pkcs12", "application/x-pem-file"} {
			for _, exportable := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s %v", curve, contentType, exportable), func(t *testing.T) {
					t.Parallel()
					v := open(t)
					name := v.name()
					p := small("Self")
					p.KeyProperties = &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSA), Exportable: &exportable}
					if curve != "" {
						p.KeyProperties.KeyType, p.KeyProperties.Curve = to.Ptr(azcertificates.KeyTypeEC), &curve
					}
					p.SecretProperties = &azcertificates.SecretProperties{ContentType: &contentType}
					made := v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
					if exportable {
						v.secret(name, "").holds(t, made.CER)
					} else {
						v.secret(name, "").holdsNoKey(t, made.CER)
					}
				})
			}
		}
	}
}

func TestPFXIsConvertedToPEMWhenAskedFor(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	got, err := v.secrets.GetSecret(t.Context(), name, "", &azsecrets.GetSecretOptions{OutContentType: to.Ptr(azsecrets.ContentTypePEM)})
	check(t, err)
	equal(t, "contentType", *got.ContentType, "application/x-pem-file")
	openValue(t, *got.ContentType, *got.Value).holds(t, made.CER)
}

func TestAttributesMirrorTheCertificate(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	first := v.create(name, azcertificates.CreateCertificateParameters{Tags: tags("only", "here")})
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	secret, err := v.secrets.GetSecret(t.Context(), name, "", nil)
	check(t, err)
	key, err := v.keys.GetKey(t.Context(), name, "", nil)
	check(t, err)

	equal(t, "sid", string(*secret.ID), string(*made.SID))
	equal(t, "secret's kid", string(*secret.KID), string(*made.KID))
	equal(t, "kid", string(*key.Key.KID), string(*made.KID))
	equal(t, "managed", []bool{*secret.Managed, *key.Managed}, []bool{true, true})
	equal(t, "tags", len(secret.Tags)+len(key.Tags), 0)
	// New with the api-version of this client (secrets.md, 3.1).
	equal(t, "previousVersion", *secret.PreviousVersion, first.ID.Version())
	a := made.Attributes
	equal(t, "secret's attributes", *secret.Attributes, azsecrets.SecretAttributes{
		Enabled: a.Enabled, NotBefore: a.NotBefore, Expires: a.Expires, Created: a.Created, Updated: a.Updated,
		RecoverableDays: a.RecoverableDays, RecoveryLevel: a.RecoveryLevel,
	})
	equal(t, "key's dates", []any{key.Attributes.NotBefore, key.Attributes.Expires, key.Attributes.Created, key.Attributes.Updated},
		[]any{a.NotBefore, a.Expires, a.Created, a.Updated})
}

func TestKeyOperationsFollowTheKeyUsage(t *testing.T) {
	t.Parallel()
	for usage, want := range map[azcertificates.KeyUsageType][]azkeys.KeyOperation{
		azcertificates.KeyUsageTypeDigitalSignature: {azkeys.KeyOperationSign, azkeys.KeyOperationVerify},
		azcertificates.KeyUsageTypeKeyEncipherment:  {azkeys.KeyOperationUnwrapKey, azkeys.KeyOperationWrapKey},
		azcertificates.KeyUsageTypeDataEncipherment: {azkeys.KeyOperationDecrypt, azkeys.KeyOperationEncrypt},
	} {
		t.Run(string(usage), func(t *testing.T) {
			t.Parallel()
			v := open(t)
			name := v.name()
			p := small("Self")
			p.KeyProperties = &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSA)}
			p.X509CertificateProperties.KeyUsage = []*azcertificates.KeyUsageType{&usage}
			v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
			key, err := v.keys.GetKey(t.Context(), name, "", nil)
			check(t, err)
			var got []azkeys.KeyOperation
			for _, operation := range key.Key.KeyOps {
				got = append(got, *operation)
			}
			slices.Sort(got)
			equal(t, "key_ops", got, want)
		})
	}
}

func TestManagedSecretAndKeyCannotBeChangedOnTheirOwn(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	for what, attempt := range map[string]func() error{
		"set": func() error {
			_, err := v.secrets.SetSecret(ctx, name, azsecrets.SetSecretParameters{Value: to.Ptr("other")}, nil)
			return err
		},
		"update": func() error {
			_, err := v.secrets.UpdateSecretProperties(ctx, name, "", azsecrets.UpdateSecretPropertiesParameters{}, nil)
			return err
		},
		"delete": func() error { _, err := v.secrets.DeleteSecret(ctx, name, nil); return err },
		"backup": func() error { _, err := v.secrets.BackupSecret(ctx, name, nil); return err },
	} {
		t.Run("secret "+what, func(t *testing.T) { refused(t, attempt(), 403, "Forbidden", "SecretManagedByKeyVault") })
	}
	for what, attempt := range map[string]func() error{
		"create": func() error {
			_, err := v.keys.CreateKey(ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeEC)}, nil)
			return err
		},
		"update": func() error {
			_, err := v.keys.UpdateKey(ctx, name, "", azkeys.UpdateKeyParameters{}, nil)
			return err
		},
		"delete": func() error { _, err := v.keys.DeleteKey(ctx, name, nil); return err },
		"rotate": func() error { _, err := v.keys.RotateKey(ctx, name, nil); return err },
		"backup": func() error { _, err := v.keys.BackupKey(ctx, name, nil); return err },
	} {
		t.Run("key "+what, func(t *testing.T) { refused(t, attempt(), 403, "Forbidden", "KeyManagedByKeyVault") })
	}
	v.secret(name, "").holds(t, made.CER)
}
