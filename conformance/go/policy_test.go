package conformance

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

func (v *vault) policy(name string) azcertificates.CertificatePolicy {
	v.t.Helper()
	got, err := v.GetCertificatePolicy(v.t.Context(), name, nil)
	check(v.t, err)
	return got.CertificatePolicy
}

func (v *vault) updatePolicy(name string, p azcertificates.CertificatePolicy) (azcertificates.CertificatePolicy, error) {
	updated, err := v.UpdateCertificatePolicy(v.t.Context(), name, p, nil)
	return updated.CertificatePolicy, err
}

func action(kind azcertificates.CertificatePolicyAction, percent, days int32) []*azcertificates.LifetimeAction {
	a := &azcertificates.LifetimeAction{
		Action:  &azcertificates.LifetimeActionType{ActionType: &kind},
		Trigger: &azcertificates.LifetimeActionTrigger{},
	}
	if percent != 0 {
		a.Trigger.LifetimePercentage = &percent
	}
	if days != 0 {
		a.Trigger.DaysBeforeExpiry = &days
	}
	return []*azcertificates.LifetimeAction{a}
}

// full are policies in which every field is set; key usages are in alphabetical
// order, which is how the service answers.
func full() map[string]*azcertificates.CertificatePolicy {
	return map[string]*azcertificates.CertificatePolicy{
		"RSA": {
			IssuerParameters: &azcertificates.IssuerParameters{
				Name: to.Ptr("Unknown"), CertificateType: to.Ptr("OV-SSL"), CertificateTransparency: to.Ptr(false),
			},
			KeyProperties: &azcertificates.KeyProperties{
				Exportable: to.Ptr(true), KeySize: to.Ptr[int32](2048), KeyType: to.Ptr(azcertificates.KeyTypeRSA), ReuseKey: to.Ptr(true),
			},
			LifetimeActions:  action("EmailContacts", 0, 60),
			SecretProperties: &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pem-file")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{
				Subject:          to.Ptr("CN=full.example.net, O=Example, C=DE"),
				EnhancedKeyUsage: to.SliceOfPtrs("1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.311.20.2.2"),
				KeyUsage: to.SliceOfPtrs(azcertificates.KeyUsageTypeCRLSign, azcertificates.KeyUsageTypeDataEncipherment,
					azcertificates.KeyUsageTypeDigitalSignature, azcertificates.KeyUsageTypeKeyEncipherment),
				SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{
					DNSNames: to.SliceOfPtrs("full.example.net"), Emails: to.SliceOfPtrs("a@example.net"),
					UserPrincipalNames: to.SliceOfPtrs("u@corp.example.net"),
					URIs:               to.SliceOfPtrs("https://example.com"), IPAddresses: to.SliceOfPtrs("2001:0db8::1"),
				},
				ValidityInMonths: to.Ptr[int32](24),
			},
		},
		"EC": {
			IssuerParameters: &azcertificates.IssuerParameters{Name: to.Ptr("Unknown")},
			KeyProperties: &azcertificates.KeyProperties{
				Curve: to.Ptr(azcertificates.CurveNameP384), Exportable: to.Ptr(false), KeySize: to.Ptr[int32](384),
				KeyType: to.Ptr(azcertificates.KeyTypeEC), ReuseKey: to.Ptr(false),
			},
			LifetimeActions:  action("AutoRenew", 50, 0),
			SecretProperties: &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pkcs12")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{
				Subject:          to.Ptr("CN=full.example.net"),
				EnhancedKeyUsage: to.SliceOfPtrs("1.3.6.1.5.5.7.3.2"),
				KeyUsage:         to.SliceOfPtrs(azcertificates.KeyUsageTypeDigitalSignature),
				ValidityInMonths: to.Ptr[int32](1),
			},
		},
		// An empty list is not an absent one: it asks for no such extension.
		"empty lists": {
			IssuerParameters: &azcertificates.IssuerParameters{Name: to.Ptr("Unknown")},
			KeyProperties: &azcertificates.KeyProperties{
				Curve: to.Ptr(azcertificates.CurveNameP256), Exportable: to.Ptr(true), KeySize: to.Ptr[int32](256),
				KeyType: to.Ptr(azcertificates.KeyTypeEC), ReuseKey: to.Ptr(false),
			},
			LifetimeActions:  action("AutoRenew", 0, 1),
			SecretProperties: &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pkcs12")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{
				Subject:                 to.Ptr("CN=empty.example.net"),
				EnhancedKeyUsage:        []*string{},
				KeyUsage:                []*azcertificates.KeyUsageType{},
				SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{DNSNames: to.SliceOfPtrs("only.example.net"), Emails: []*string{}},
				ValidityInMonths:        to.Ptr[int32](12),
			},
		},
	}
}

// sameFields compares the five parts of a policy that a caller sets.
func sameFields(t *testing.T, got, want azcertificates.CertificatePolicy) {
	t.Helper()
	equal(t, "issuer", got.IssuerParameters, want.IssuerParameters)
	equal(t, "key_props", got.KeyProperties, want.KeyProperties)
	equal(t, "lifetime_actions", got.LifetimeActions, want.LifetimeActions)
	equal(t, "secret_props", got.SecretProperties, want.SecretProperties)
	equal(t, "x509_props", got.X509CertificateProperties, want.X509CertificateProperties)
}

func TestCreateKeepsEveryFieldOfThePolicy(t *testing.T) {
	t.Parallel()
	for what, p := range full() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := open(t)
			name := v.name()
			v.begin(name, p)
			sameFields(t, v.policy(name), *p)
			sameFields(t, *v.get(name).Policy, *p)
		})
	}
}

func TestUpdateOfThePolicyMerges(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	want := *full()["RSA"]
	v.begin(name, full()["RSA"])
	before := v.policy(name)

	step := func(what string, change azcertificates.CertificatePolicy) {
		t.Helper()
		after, err := v.updatePolicy(name, change)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		sameFields(t, after, want)
		sameFields(t, *v.get(name).Policy, want)
		if !after.Attributes.Created.Equal(*before.Attributes.Created) || after.Attributes.Updated.Before(*before.Attributes.Updated) {
			t.Errorf("%s: attributes %+v", what, after.Attributes)
		}
	}
	step("nothing", azcertificates.CertificatePolicy{})
	step("empty parts", azcertificates.CertificatePolicy{
		KeyProperties:             &azcertificates.KeyProperties{},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{},
	})

	x := want.X509CertificateProperties
	x.ValidityInMonths = to.Ptr[int32](6)
	step("validity", azcertificates.CertificatePolicy{X509CertificateProperties: &azcertificates.X509CertificateProperties{ValidityInMonths: x.ValidityInMonths}})

	x.KeyUsage = to.SliceOfPtrs(azcertificates.KeyUsageTypeDataEncipherment)
	step("key usage", azcertificates.CertificatePolicy{X509CertificateProperties: &azcertificates.X509CertificateProperties{KeyUsage: x.KeyUsage}})

	x.SubjectAlternativeNames.DNSNames = to.SliceOfPtrs("other.example.net")
	step("dns names", azcertificates.CertificatePolicy{X509CertificateProperties: &azcertificates.X509CertificateProperties{
		SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{DNSNames: x.SubjectAlternativeNames.DNSNames},
	}})

	want.LifetimeActions = action("AutoRenew", 90, 0)
	step("lifetime actions", azcertificates.CertificatePolicy{LifetimeActions: want.LifetimeActions})

	// From RSA to EC with a key usage that EC cannot have (certificates.md, 6.9).
	want.KeyProperties = &azcertificates.KeyProperties{
		Curve: to.Ptr(azcertificates.CurveNameP256K), Exportable: to.Ptr(true), KeySize: to.Ptr[int32](256),
		KeyType: to.Ptr(azcertificates.KeyTypeEC), ReuseKey: to.Ptr(false),
	}
	step("kind of key", azcertificates.CertificatePolicy{KeyProperties: want.KeyProperties})
}

func TestCreateReplacesThePolicy(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	p := small("Self")
	p.KeyProperties.ReuseKey = to.Ptr(true)
	p.X509CertificateProperties.ValidityInMonths = to.Ptr[int32](3)
	v.create(name, azcertificates.CreateCertificateParameters{CertificatePolicy: p})
	second := v.create(name, azcertificates.CreateCertificateParameters{})
	if *second.Policy.KeyProperties.ReuseKey || *second.Policy.X509CertificateProperties.ValidityInMonths != 12 {
		t.Error("missing fields are to take the defaults, not the former values")
	}
}

func TestCreateWithoutAPolicyUsesTheStoredOne(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	_, err := v.CreateCertificate(t.Context(), name, azcertificates.CreateCertificateParameters{}, nil)
	refused(t, err, 400, "BadParameter", "policy")
	first := v.create(name, azcertificates.CreateCertificateParameters{})
	_, err = v.CreateCertificate(t.Context(), name, azcertificates.CreateCertificateParameters{}, nil)
	check(t, err)
	v.wait(name)
	second := v.get(name)
	if second.ID.Version() == first.ID.Version() {
		t.Error("no new version")
	}
	sameFields(t, *second.Policy, *first.Policy)
}

func TestPolicyIsRefused(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(p *azcertificates.CertificatePolicy){
		"size": func(p *azcertificates.CertificatePolicy) {
			p.KeyProperties = &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSA), KeySize: to.Ptr[int32](1024)}
		},
		"curve and size": func(p *azcertificates.CertificatePolicy) { p.KeyProperties.KeySize = to.Ptr[int32](521) },
		"curve": func(p *azcertificates.CertificatePolicy) {
			p.KeyProperties.Curve = to.Ptr(azcertificates.CurveName("P-192"))
		},
		"symmetric key": func(p *azcertificates.CertificatePolicy) { p.KeyProperties.KeyType = to.Ptr(azcertificates.KeyTypeOct) },
		"content type": func(p *azcertificates.CertificatePolicy) {
			p.SecretProperties = &azcertificates.SecretProperties{ContentType: to.Ptr("text/plain")}
		},
		"subject": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.Subject = to.Ptr("no equals sign")
		},
		"long subject": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.Subject = to.Ptr("CN=" + strings.Repeat("x", 198))
		},
		"no name at all": func(p *azcertificates.CertificatePolicy) { p.X509CertificateProperties.Subject = to.Ptr("") },
		"usage": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.KeyUsage = to.SliceOfPtrs(azcertificates.KeyUsageType("everything"))
		},
		"extended usage": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.EnhancedKeyUsage = to.SliceOfPtrs("not.an.oid")
		},
		"IP address": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.SubjectAlternativeNames = &azcertificates.SubjectAlternativeNames{IPAddresses: to.SliceOfPtrs("192.0.2.300")}
		},
		"validity": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.ValidityInMonths = to.Ptr[int32](0)
		},
		"endless": func(p *azcertificates.CertificatePolicy) {
			p.X509CertificateProperties.ValidityInMonths = to.Ptr[int32](1201)
		},
		"two actions": func(p *azcertificates.CertificatePolicy) {
			p.LifetimeActions = append(action("AutoRenew", 80, 0), action("EmailContacts", 0, 9)...)
		},
		"two triggers":   func(p *azcertificates.CertificatePolicy) { p.LifetimeActions = action("AutoRenew", 80, 9) },
		"no trigger":     func(p *azcertificates.CertificatePolicy) { p.LifetimeActions = action("AutoRenew", 0, 0) },
		"percentage":     func(p *azcertificates.CertificatePolicy) { p.LifetimeActions = action("AutoRenew", 100, 0) },
		"days":           func(p *azcertificates.CertificatePolicy) { p.LifetimeActions = action("AutoRenew", 0, 12*27+1) },
		"unknown action": func(p *azcertificates.CertificatePolicy) { p.LifetimeActions = action("Nothing", 80, 0) },
		"HSM, exportable": func(p *azcertificates.CertificatePolicy) {
			p.KeyProperties = &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeRSAHSM), Exportable: to.Ptr(true)}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := open(t)
			name := v.name()
			p := small("Unknown")
			spoil(p)
			_, err := v.CreateCertificate(t.Context(), name, azcertificates.CreateCertificateParameters{CertificatePolicy: p}, nil)
			refused(t, err, 400, "BadParameter")
			_, err = v.GetCertificate(t.Context(), name, "", nil)
			refused(t, err, 404, "CertificateNotFound")
		})
	}
}

func TestPolicyOfAnUnknownNameIs404(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	_, err := v.GetCertificatePolicy(t.Context(), name, nil)
	refused(t, err, 404, "CertificateNotFound")
	_, err = v.updatePolicy(name, azcertificates.CertificatePolicy{})
	refused(t, err, 404, "CertificateNotFound")
}
