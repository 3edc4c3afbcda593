package issuance

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"coffer/internal/fault"
	"coffer/internal/pki"
)

// Derive makes the policy of an import from the certificate itself and what the
// caller gave (contract certificates.md, 8.2). Given values that only steer the
// future replace the derived ones; given values that contradict the material are
// refused.
func Derive(leaf *pki.Certificate, contentType string, patch *Patch, now time.Time) (*Policy, error) {
	spec, err := pki.SpecOf(leaf.PublicKey)
	if err != nil {
		return nil, fault.InvalidField("value", "The key is not RSA of 2048, 3072 or 4096 bits, nor EC on P-256, P-384, P-521 or P-256K.")
	}
	p := &Policy{
		Key:         KeyProps{Type: string(spec.Algorithm), Size: spec.Size, Curve: spec.Curve, Exportable: true},
		ContentType: contentType,
		X509: X509Props{
			Subject:        leaf.Subject(),
			EKUs:           orEmpty(leaf.EKUs),
			KeyUsage:       orEmpty(leaf.KeyUsage),
			ValidityMonths: pki.MonthsBetween(leaf.NotBefore, leaf.NotAfter),
			CA:             leaf.CA,
			PathLen:        leaf.PathLen,
		},
		Issuer:  IssuerRef{Name: Unknown},
		Enabled: true,
		Created: now, Updated: now,
	}
	if leaf.HasSANs {
		sans := leaf.SANs
		p.X509.SANs = &sans
	}
	if patch == nil {
		p.Actions = []LifetimeAction{defaultAction(p.Issuer)}
		return p, nil
	}
	derived := p.Clone()
	// The certificate says what it says: only what the caller gave is checked.
	given := *patch
	if err := contradicts(derived, &given.X509, leaf); err != nil {
		return nil, err
	}
	given.X509 = spoken(given.X509)
	if err := p.apply(&given); err != nil {
		return nil, err
	}
	if err := p.Key.complete(); err != nil {
		return nil, err
	}
	if p.Key.Spec() != derived.Key.Spec() || p.ContentType != derived.ContentType {
		return nil, contradiction()
	}
	months := p.X509.ValidityMonths
	if given.X509.ValidityMonths != nil && (months < 1 || months > maxValidityMonths) {
		return nil, fault.InvalidField("policy.x509_props", "validity_months is 1 to 1200.")
	}
	if given.Actions == nil {
		p.Actions = []LifetimeAction{defaultAction(p.Issuer)}
	}
	for _, a := range p.Actions {
		if a.Days > max(months, 1)*daysPerMonth {
			return nil, fault.InvalidField("policy.lifetime_actions", "days_before_expiry is at most validity_months times 27.")
		}
	}
	return p, nil
}

// spoken is what x509_props really gives: text that is not contradicted is kept as
// it was sent; empty text and lists give nothing.
func spoken(x X509Patch) X509Patch {
	if x.Subject != nil && strings.TrimSpace(*x.Subject) == "" {
		x.Subject = nil
	}
	if len(x.EKUs) == 0 {
		x.EKUs = nil
	}
	if len(x.KeyUsage) == 0 {
		x.KeyUsage = nil
	}
	if x.SANs != nil {
		s := *x.SANs
		for _, l := range []*[]string{&s.Emails, &s.DNSNames, &s.UPNs, &s.URIs, &s.IPAddresses} {
			if len(*l) == 0 {
				*l = nil
			}
		}
		if x.SANs = &s; noSANs(&s) {
			x.SANs = nil
		}
	}
	x.CA, x.PathLen = nil, nil // they agree, or were refused
	return x
}

// contradiction is the recorded answer to a policy that does not fit the
// imported material (contract certificates.md, 15.3).
func contradiction() error { return fault.InvalidField("policy", "") }

// contradicts compares what the caller gave of x509_props with the certificate.
// Lists compare without order; empty ones say nothing.
func contradicts(p *Policy, x *X509Patch, leaf *pki.Certificate) error {
	if x.Subject != nil && strings.TrimSpace(*x.Subject) != "" {
		der, err := pki.ParseName(*x.Subject)
		if err != nil {
			return fault.InvalidField("policy.x509_props", "Invalid X.500 distinguished name")
		}
		text, err := pki.FormatName(der)
		if err != nil || text != leaf.Subject() {
			return contradiction()
		}
	}
	have := SANs{}
	if p.X509.SANs != nil {
		have = *p.X509.SANs
	}
	want := SANs{}
	if x.SANs != nil {
		want = *x.SANs
	}
	usage := make([]string, 0, len(x.KeyUsage))
	for _, w := range x.KeyUsage {
		c, _ := pki.CanonicalKeyUsage(w)
		usage = append(usage, c)
	}
	for _, l := range []struct {
		given, have []string
		canonical   func(string) string
	}{
		{want.Emails, have.Emails, strings.ToLower},
		{want.DNSNames, have.DNSNames, strings.ToLower},
		{want.UPNs, have.UPNs, strings.ToLower},
		{want.URIs, have.URIs, func(s string) string { return strings.TrimSuffix(s, "/") }},
		{want.IPAddresses, have.IPAddresses, canonicalIP},
		{x.EKUs, p.X509.EKUs, nil},
		{usage, p.X509.KeyUsage, nil},
	} {
		if len(l.given) > 0 && !sameSet(l.given, l.have, l.canonical) {
			return contradiction()
		}
	}
	if x.CA != nil && *x.CA != p.X509.CA {
		return contradiction()
	}
	if x.PathLen != nil && (p.X509.PathLen == nil || *x.PathLen != *p.X509.PathLen) {
		return contradiction()
	}
	return nil
}

func canonicalIP(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return s
}

func sameSet(a, b []string, canonical func(string) string) bool {
	norm := func(in []string) []string {
		out := slices.Clone(in)
		if canonical != nil {
			for i := range out {
				out[i] = canonical(out[i])
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(norm(a), norm(b))
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
