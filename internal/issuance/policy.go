package issuance

import (
	"slices"
	"strings"
	"time"

	"coffer/internal/pki"
)

// Policy says how the next version of a certificate is made. There is one for
// each name, shared by all versions (contract certificates.md, 6). Text is kept
// as the caller wrote it. nil lists were never given; empty lists were given
// empty: answers tell them apart. StoredPolicy is the form that is stored.
type Policy struct {
	Key            KeyProps
	ContentType    string // of the secret: PKCS12 or PEM
	X509           X509Props
	Actions        []LifetimeAction // empty: none
	Issuer         IssuerRef
	Enabled        bool // false: no renewal and no mail
	Created        time.Time
	Updated        time.Time
	PlatformManage *PlatformManaged
}

// KeyProps describes the key pair.
type KeyProps struct {
	Type       string    // kty: RSA, EC, RSA-HSM, EC-HSM
	Size       int       // bits
	Curve      pki.Curve // "" for RSA
	Exportable bool
	Reuse      bool // the next version keeps the key pair
}

// X509Props describes the certificate.
type X509Props struct {
	Subject        string // X.500 text; "" when only SANs were given
	SANs           *SANs  // nil: none given
	EKUs           []string
	KeyUsage       []string // canonical words, sorted
	ValidityMonths int
	CA             bool
	PathLen        *int // only with CA
}

// SANs are the subject alternative names of a policy.
type SANs = pki.SANs

// LifetimeAction is what happens before a certificate expires: exactly one of
// Percentage and Days is not zero.
type LifetimeAction struct {
	Percentage int // 1 to 99 of the lifetime
	Days       int // before expiry
	Action     ActionType
}

// ActionType is what a lifetime action does.
type ActionType string

// The action types.
const (
	AutoRenew     ActionType = "AutoRenew"
	EmailContacts ActionType = "EmailContacts"
)

// IssuerRef names the issuer of a policy.
type IssuerRef struct {
	Name            string  // as the caller wrote it
	CertificateType *string // cty; nil when not given
	Transparency    *bool   // cert_transparency; nil when not given
}

// PlatformManaged is stored and shown at the versions that know it; it has no
// effect (contract certificates.md, 6.8).
type PlatformManaged struct {
	CertificateUsage string
	Metadata         string
}

// The built-in issuers; names compare without case.
const (
	Self    = "Self"
	Unknown = "Unknown"
)

// IsSelf reports whether the vault signs by itself.
func (r IssuerRef) IsSelf() bool { return strings.EqualFold(r.Name, Self) }

// IsUnknown reports whether a caller brings the certificate by merging.
func (r IssuerRef) IsUnknown() bool { return strings.EqualFold(r.Name, Unknown) }

// The content types of a certificate's secret.
const (
	PKCS12 = "application/x-pkcs12"
	PEM    = "application/x-pem-file"
)

// hsmSuffix ends the types of keys that are in the HSM.
const hsmSuffix = "-HSM"

// HSM tells whether the policy asks for a key in the HSM.
func (k KeyProps) HSM() bool { return strings.HasSuffix(k.Type, hsmSuffix) }

func (k KeyProps) algorithm() pki.Algorithm {
	return pki.Algorithm(strings.TrimSuffix(k.Type, hsmSuffix))
}

// Spec is the key pair that the policy asks for.
func (k KeyProps) Spec() pki.KeySpec {
	return pki.KeySpec{Algorithm: k.algorithm(), Size: k.Size, Curve: k.Curve}
}

// Template is what the policy asks of the certificate.
func (x X509Props) Template() pki.Template {
	return pki.Template{Subject: x.Subject, SANs: x.SANs, EKUs: x.EKUs, KeyUsage: x.KeyUsage, CA: x.CA, PathLen: x.PathLen}
}

// NextAction is when the policy's lifetime action is due for a certificate with
// these dates, zero when there is none (contract certificates.md, 12.1).
func (p *Policy) NextAction(notBefore, notAfter time.Time) time.Time {
	if !p.Enabled || len(p.Actions) == 0 {
		return time.Time{}
	}
	a := p.Actions[0]
	if a.Days > 0 {
		return notAfter.UTC().AddDate(0, 0, -a.Days)
	}
	life := notAfter.Unix() - notBefore.Unix() // seconds: a duration of nanoseconds overflows after 292 years
	return time.Unix(notBefore.Unix()+life/100*int64(a.Percentage)+life%100*int64(a.Percentage)/100, 0).UTC()
}

// backdate is how long before its issuance a certificate's validity begins, so that
// clocks which are a little behind accept it at once (contract certificates.md, 10.2).
const backdate = 10 * time.Minute

// Validity is that of a certificate which the vault issues at a time: of Self, and
// of the placeholder that stands in for the first version.
func (p *Policy) Validity(issued time.Time) (notBefore, notAfter time.Time) {
	return issued.Add(-backdate), pki.AddMonths(issued, p.X509.ValidityMonths)
}

// Clone copies the policy so that a change of the copy leaves p alone.
func (p *Policy) Clone() *Policy {
	c := *p
	if p.X509.SANs != nil {
		s := *p.X509.SANs
		for _, list := range []*[]string{&s.Emails, &s.DNSNames, &s.UPNs, &s.URIs, &s.IPAddresses} {
			*list = slices.Clone(*list)
		}
		c.X509.SANs = &s
	}
	c.X509.PathLen = clone(p.X509.PathLen)
	c.Issuer.CertificateType = clone(p.Issuer.CertificateType)
	c.Issuer.Transparency = clone(p.Issuer.Transparency)
	c.PlatformManage = clone(p.PlatformManage)
	c.X509.EKUs = slices.Clone(p.X509.EKUs)
	c.X509.KeyUsage = slices.Clone(p.X509.KeyUsage)
	c.Actions = slices.Clone(p.Actions)
	return &c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
