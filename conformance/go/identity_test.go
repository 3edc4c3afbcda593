package conformance

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

func TestCredentialsWithOnlyTheEnvironmentSet(t *testing.T) {
	for name, make := range map[string]func() (azcore.TokenCredential, error){
		"Default":         func() (azcore.TokenCredential, error) { return azidentity.NewDefaultAzureCredential(nil) },
		"Environment":     func() (azcore.TokenCredential, error) { return azidentity.NewEnvironmentCredential(nil) },
		"ManagedIdentity": func() (azcore.TokenCredential, error) { return azidentity.NewManagedIdentityCredential(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			cred, err := make()
			check(t, err)
			_, err = openAs(t, cred).NewListCertificatePropertiesPager(nil).NextPage(t.Context())
			check(t, err)
		})
	}
}

func TestDefaultCredentialFindsTheManagedIdentity(t *testing.T) {
	for _, variable := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"} {
		t.Setenv(variable, "") // puts it back afterwards
		os.Unsetenv(variable)
	}
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	check(t, err)
	_, err = openAs(t, cred).secrets.NewListSecretPropertiesPager(nil).NextPage(t.Context())
	check(t, err)
}

func TestWrongClientSecretGetsNoToken(t *testing.T) {
	cred, err := azidentity.NewClientSecretCredential(
		os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID"), "not-the-secret", nil)
	check(t, err)
	_, err = openAs(t, cred).GetCertificate(t.Context(), "any", "", nil)
	if err == nil {
		t.Fatal("a token for a wrong secret")
	}
	if strings.Contains(err.Error(), "not-the-secret") {
		t.Error("the answer repeats the secret")
	}
}

// token is a credential that hands out one fixed token.
type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestGarbageTokenIs401(t *testing.T) {
	for name, garbage := range map[string]token{
		"garbage": "garbage",
		"dots":    "a.b.c",
		// {"alg":"none"} with an empty signature.
		"none": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openAs(t, garbage).GetCertificate(t.Context(), "any", "", nil)
			refused(t, err, 401, "Unauthorized")
		})
	}
}

// openLimited opens the vault for the application that may only list certificates and use keys.
func openLimited(t *testing.T) *vault {
	t.Helper()
	cred, err := azidentity.NewClientSecretCredential(
		os.Getenv("AZURE_TENANT_ID"), os.Getenv("LIMITED_CLIENT_ID"), os.Getenv("LIMITED_CLIENT_SECRET"), nil)
	check(t, err)
	return openAs(t, cred)
}

func TestLimitedIdentityMayOnlyList(t *testing.T) {
	v, limited := open(t), openLimited(t)
	name := v.name()
	v.create(name, azcertificates.CreateCertificateParameters{})
	ctx := t.Context()

	_, err := limited.NewListCertificatePropertiesPager(nil).NextPage(ctx)
	check(t, err)

	for what, attempt := range map[string]func() error{
		"get":     func() error { _, err := limited.GetCertificate(ctx, name, "", nil); return err },
		"missing": func() error { _, err := limited.GetCertificate(ctx, name+"-missing", "", nil); return err },
		"create": func() error {
			_, err := limited.CreateCertificate(ctx, name,
				azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self")}, nil)
			return err
		},
		"import": func() error {
			value := "anything"
			_, err := limited.ImportCertificate(ctx, name,
				azcertificates.ImportCertificateParameters{Base64EncodedCertificate: &value}, nil)
			return err
		},
		"update": func() error {
			_, err := limited.UpdateCertificate(ctx, name, "", azcertificates.UpdateCertificateParameters{}, nil)
			return err
		},
		"delete":   func() error { _, err := limited.DeleteCertificate(ctx, name, nil); return err },
		"purge":    func() error { _, err := limited.PurgeDeletedCertificate(ctx, name, nil); return err },
		"backup":   func() error { _, err := limited.BackupCertificate(ctx, name, nil); return err },
		"contacts": func() error { _, err := limited.GetContacts(ctx, nil); return err },
		"issuers":  func() error { _, err := limited.NewListIssuerPropertiesPager(nil).NextPage(ctx); return err },
		"secret":   func() error { _, err := limited.secrets.GetSecret(ctx, name, "", nil); return err },
		"key":      func() error { _, err := limited.keys.GetKey(ctx, name, "", nil); return err },
	} {
		t.Run(what, func(t *testing.T) { refused(t, attempt(), 403, "Forbidden", "ForbiddenBy") })
	}
	if !*v.get(name).Attributes.Enabled {
		t.Error("the certificate has changed")
	}
}
