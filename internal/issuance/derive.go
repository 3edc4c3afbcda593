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
// refused with the name of the member.
func Derive(leaf *pki.Certificate, contentType string, patch *Patch, now time.Time) (*Policy, error) {
	spec, err := pki.SpecOf(leaf.PublicKey)
	if err != nil {
		return nil, fault.InvalidField("value", "The key is not RSA of 2048, 3072 or 4096 bits, nor EC on P-256, P-384, P-521 or P-256K.")
	}
	exactMonths := pki.MonthsBetween(leaf.NotBefore, leaf.NotAfter)
	p := &Policy{
		Key:         KeyProps{Type: string(spec.Algorithm), Size: spec.Size, Curve: spec.Curve, Exportable: true},
		ContentType: contentType,
		X509: X509Props{
			Subject:        leaf.Subject(),
			EKUs:           orEmpty(leaf.EKUs),
			KeyUsage:       orEmpty(leaf.KeyUsage),
			ValidityMonths: min(max(exactMonths, 1), maxValidityMonths),
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
	if m := given.X509.ValidityMonths; m != nil && *m == exactMonths {
		given.X509.ValidityMonths = nil // the answer of a service that does not cut it
	}
	if err := p.apply(&given); err != nil {
		return nil, err
	}
	if err := p.Key.complete(); err != nil {
		return nil, err
	}
	switch now, is := p.Key.Spec(), derived.Key.Spec(); {
	case now.Algorithm != is.Algorithm:
		return nil, contradiction("key_props.kty")
	case given.Key.Curve != nil && now.Curve != is.Curve:
		return nil, contradiction("key_props.crv")
	case now != is:
		return nil, contradiction("key_props.key_size")
	case p.ContentType != derived.ContentType:
		return nil, contradiction("secret_props.contentType")
	}
	if given.Actions == nil {
		p.Actions = []LifetimeAction{defaultAction(p.Issuer)}
	}
	derived.X509.Subject, derived.X509.SANs = p.X509.Subject, p.X509.SANs // they are the certificate's, in the caller's words
	return p, p.check(derived)
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
// imported material (contract certificates.md, 15.3), and which member does not.
func contradiction(member string) error {
	e := fault.InvalidField("policy", "")
	e.Msg += "policy." + member + " contradicts the certificate.\r\n"
	return e
}

// contradicts compares what the caller gave of x509_props with the certificate.
// Lists compare without order; empty ones say nothing.
func contradicts(p *Policy, x *X509Patch, leaf *pki.Certificate) error {
	if x.Subject != nil && strings.TrimSpace(*x.Subject) != "" && *x.Subject != leaf.Subject() {
		der, err := pki.ParseName(*x.Subject)
		if err != nil {
			return fault.InvalidField("policy.x509_props", "Invalid X.500 distinguished name")
		}
		text, err := pki.FormatName(der)
		if err != nil || text != leaf.Subject() {
			return contradiction("x509_props.subject")
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
	for _, l := range nameLists {
		if given := l.of(&want); len(given) > 0 && !sameSet(given, l.of(&have), l.canonical) {
			return contradiction("x509_props.sans." + l.member)
		}
	}
	if len(x.EKUs) > 0 && !sameSet(x.EKUs, p.X509.EKUs, nil) {
		return contradiction("x509_props.ekus")
	}
	if len(usage) > 0 && !sameSet(usage, p.X509.KeyUsage, nil) {
		return contradiction("x509_props.key_usage")
	}
	if x.CA != nil && *x.CA != p.X509.CA {
		return contradiction("x509_props.basic_constraints.ca")
	}
	if x.PathLen != nil && (p.X509.PathLen == nil || *x.PathLen != *p.X509.PathLen) {
		return contradiction("x509_props.basic_constraints.path_len_constraint")
	}
	return nil
}

// nameLists are the lists of alternative names, with the form in which their names
// compare; nil: as they are.
var nameLists = []struct {
	member    string
	of        func(*SANs) []string
	canonical func(string) string
}{
	{"emails", func(s *SANs) []string { return s.Emails }, strings.ToLower},
	{"dns_names", func(s *SANs) []string { return s.DNSNames }, strings.ToLower},
	{"upns", func(s *SANs) []string { return s.UPNs }, strings.ToLower},
	{"uris", func(s *SANs) []string { return s.URIs }, func(s string) string { return strings.TrimSuffix(s, "/") }},
	{"ipAddresses", func(s *SANs) []string { return s.IPAddresses }, canonicalIP},
}

func canonicalIP(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return s
}

func sameSet(a, b []string, form func(string) string) bool {
	return slices.Equal(canonical(a, form), canonical(b, form))
}

// canonical is a list as a set of names in the form in which they compare: sorted.
func canonical(list []string, form func(string) string) []string {
	out := slices.Clone(list)
	if form != nil {
		for i := range out {
			out[i] = form(out[i])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
