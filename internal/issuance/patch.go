package issuance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coffer/internal/fault"
	"coffer/internal/fips"
	"coffer/internal/pki"
)

// Patch is a policy as a caller sends it. nil means absent, which is the same as
// null; an empty list that is not nil was given empty.
type Patch struct {
	Key             KeyPatch
	ContentType     *string
	X509            X509Patch
	Actions         []ActionPatch // replaced as a whole
	Issuer          IssuerPatch
	Enabled         *bool
	PlatformManaged *PlatformManaged
}

// KeyPatch is key_props.
type KeyPatch struct {
	Type       *string
	Size       *int
	Curve      *string
	Exportable *bool
	Reuse      *bool
}

// X509Patch is x509_props.
type X509Patch struct {
	Subject        *string
	SANs           *SANs
	EKUs           []string
	KeyUsage       []string
	ValidityMonths *int
	CA             *bool
	PathLen        *int
}

// ActionPatch is one of lifetime_actions.
type ActionPatch struct {
	Percentage *int
	Days       *int
	ActionType *string
}

// IssuerPatch is issuer.
type IssuerPatch struct {
	Name            *string
	CertificateType *string
	Transparency    *bool
}

// Bounds of a policy (contract certificates.md, 6 and 14).
const (
	maxSubject        = 200 // characters
	maxValidityMonths = 1200
	maxEKUs           = 100
	maxIssuerName     = 127
	maxTypeText       = 256 // characters of cty and of platform_managed
	defaultPercentage = 80
	defaultMonths     = 12
	daysPerMonth      = 27 // days_before_expiry is at most validity_months times this
)

var (
	defaultEKUs     = []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"} // server and client authentication
	defaultRSAUsage = []string{"digitalSignature", "keyEncipherment"}
	defaultECUsage  = []string{"digitalSignature"}
)

// NewPolicy makes the policy of a create: what the patch gives, defaults for the
// rest (contract certificates.md, 6.9). Errors are *fault.Error, Invalid with the
// field. Whether the vault has an HSM for the key type is not looked at.
func NewPolicy(p *Patch, now time.Time) (*Policy, error) {
	if p == nil {
		return nil, fault.InvalidField("policy", "")
	}
	out := &Policy{
		Key:         KeyProps{Type: "RSA", Exportable: true},
		ContentType: PKCS12,
		X509:        X509Props{ValidityMonths: defaultMonths},
		Issuer:      IssuerRef{Name: Unknown},
		Enabled:     true,
		Created:     now, Updated: now,
	}
	if err := out.apply(p); err != nil {
		return nil, err
	}
	if out.X509.EKUs == nil {
		out.X509.EKUs = slices.Clone(defaultEKUs)
	}
	if out.X509.KeyUsage == nil {
		out.X509.KeyUsage = slices.Clone(defaultRSAUsage)
		if out.Key.algorithm() == pki.EC {
			out.X509.KeyUsage = slices.Clone(defaultECUsage)
		}
	}
	if p.Actions == nil {
		out.Actions = []LifetimeAction{defaultAction(out.Issuer)}
	}
	return out, out.check(nil)
}

// defaultAction is what a policy without lifetime_actions does.
func defaultAction(i IssuerRef) LifetimeAction {
	a := LifetimeAction{Percentage: defaultPercentage, Action: AutoRenew}
	if i.IsUnknown() {
		a.Action = EmailContacts
	}
	return a
}

// Merge is the policy after a PATCH: present values replace, absent ones stay,
// objects merge field by field (contract certificates.md, 6.9). Only what changes is
// checked: what an import derived stays, also where a create would refuse it.
func (p *Policy) Merge(patch *Patch, now time.Time) (*Policy, error) {
	out := p.Clone()
	out.Updated = now
	if patch != nil {
		if err := out.apply(patch); err != nil {
			return nil, err
		}
	}
	return out, out.check(p)
}

// apply overwrites what the patch gives. It checks what one value alone can say;
// check looks at the whole.
func (p *Policy) apply(patch *Patch) error {
	if err := p.applyKey(&patch.Key); err != nil {
		return err
	}
	if patch.ContentType != nil {
		switch ct := strings.ToLower(*patch.ContentType); ct {
		case PKCS12, PEM:
			p.ContentType = ct
		default:
			return fault.InvalidField("policy.secret_props", "contentType is "+PKCS12+" or "+PEM+".")
		}
	}
	if err := p.applyX509(&patch.X509); err != nil {
		return err
	}
	if err := p.applyIssuer(&patch.Issuer); err != nil {
		return err
	}
	if patch.Actions != nil {
		actions, err := parseActions(patch.Actions)
		if err != nil {
			return err
		}
		p.Actions = actions
	}
	if patch.Enabled != nil {
		p.Enabled = *patch.Enabled
	}
	if m := patch.PlatformManaged; m != nil {
		if len(m.CertificateUsage) == 0 || len(m.CertificateUsage) > maxTypeText || len(m.Metadata) > maxTypeText {
			return fault.InvalidField("policy.platform_managed", "certificate_usage is required; texts have at most 256 characters.")
		}
		c := *m
		p.PlatformManage = &c
	}
	return nil
}

func (p *Policy) applyKey(k *KeyPatch) error {
	const field = "policy.key_props"
	if k.Type != nil {
		switch kty := strings.ToUpper(*k.Type); kty {
		case "RSA", "EC", "RSA-HSM", "EC-HSM":
			before := p.Key.algorithm()
			if p.Key.Type = kty; p.Key.algorithm() != before {
				p.Key.Size, p.Key.Curve = 0, "" // the sizes of the other type are stale
			}
			if p.Key.HSM() {
				p.Key.Exportable = false // what it was by default, or for a key in software
			}
		default:
			return fault.InvalidField(field, "kty is RSA, EC, RSA-HSM or EC-HSM.")
		}
	}
	if k.Curve != nil {
		c, ok := parseCurve(*k.Curve)
		if !ok {
			return fault.InvalidField(field, "crv is P-256, P-384, P-521 or P-256K.")
		}
		if c == pki.P256K && fips.Enforced() {
			return fault.InvalidField(field, fips.Excludes("P-256K")+".")
		}
		p.Key.Curve, p.Key.Size = c, 0
	}
	if k.Size != nil {
		if *k.Size <= 0 { // zero would pass for absent
			return fault.InvalidField(field, "key_size is a number of bits.")
		}
		if k.Curve == nil {
			p.Key.Curve = keepCurve(p.Key, *k.Size)
		}
		p.Key.Size = *k.Size
	}
	if k.Exportable != nil {
		p.Key.Exportable = *k.Exportable
	}
	if p.Key.HSM() && p.Key.Exportable {
		return fault.InvalidField(field, "A key of type "+p.Key.Type+" cannot be exportable.")
	}
	if k.Reuse != nil {
		p.Key.Reuse = *k.Reuse
	}
	return nil
}

// keepCurve is the curve after a patch of key_size alone: the old one if it has
// that size, else none, so that the size selects.
func keepCurve(k KeyProps, size int) pki.Curve {
	if k.Curve != "" && curveSize(k.Curve) == size {
		return k.Curve
	}
	return ""
}

func (p *Policy) applyX509(x *X509Patch) error {
	const field = "policy.x509_props"
	if x.Subject != nil {
		p.X509.Subject = *x.Subject
	}
	if x.SANs != nil {
		merged := SANs{}
		if p.X509.SANs != nil {
			merged = *p.X509.SANs
		}
		for _, l := range []struct {
			to   *[]string
			from []string
		}{
			{&merged.Emails, x.SANs.Emails}, {&merged.DNSNames, x.SANs.DNSNames}, {&merged.UPNs, x.SANs.UPNs},
			{&merged.URIs, x.SANs.URIs}, {&merged.IPAddresses, x.SANs.IPAddresses},
		} {
			if l.from != nil {
				*l.to = l.from
			}
		}
		p.X509.SANs = &merged
	}
	if x.EKUs != nil && !slices.Equal(x.EKUs, p.X509.EKUs) {
		if len(x.EKUs) > maxEKUs {
			return fault.InvalidField(field, fmt.Sprintf("At most %d ekus are allowed.", maxEKUs))
		}
		for _, oid := range x.EKUs {
			if pki.CheckOID(oid) != nil {
				return fault.InvalidField(field, "ekus holds dotted object identifiers.")
			}
		}
	}
	if x.EKUs != nil {
		p.X509.EKUs = x.EKUs
	}
	if x.KeyUsage != nil {
		usage := []string{}
		for _, word := range x.KeyUsage {
			c, ok := pki.CanonicalKeyUsage(word)
			if !ok {
				return fault.InvalidField(field, "key_usage holds words of "+strings.Join(pki.KeyUsages, ", ")+".")
			}
			if !slices.Contains(usage, c) {
				usage = append(usage, c)
			}
		}
		slices.SortFunc(usage, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
		p.X509.KeyUsage = usage
	}
	if x.ValidityMonths != nil {
		p.X509.ValidityMonths = *x.ValidityMonths
	}
	if x.CA != nil {
		p.X509.CA = *x.CA
		if !*x.CA {
			p.X509.PathLen = nil // a stale length makes no sense without ca
		}
	}
	if x.PathLen != nil {
		p.X509.PathLen = clone(x.PathLen)
	}
	return nil
}

func (p *Policy) applyIssuer(i *IssuerPatch) error {
	const field = "policy.issuer"
	if i.Name != nil && *i.Name != "" {
		if len(*i.Name) > maxIssuerName {
			return fault.InvalidField(field, "name has at most 127 characters.")
		}
		p.Issuer.Name = *i.Name
	}
	if i.CertificateType != nil {
		if len(*i.CertificateType) > maxTypeText {
			return fault.InvalidField(field, "cty has at most 256 characters.")
		}
		p.Issuer.CertificateType = i.CertificateType
	}
	if i.Transparency != nil {
		p.Issuer.Transparency = i.Transparency
	}
	return nil
}

func parseActions(in []ActionPatch) ([]LifetimeAction, error) {
	const field = "policy.lifetime_actions"
	if len(in) > 1 {
		return nil, &fault.Error{Kind: fault.Invalid, Field: field, Msg: "At most one action is allowed"}
	}
	out := []LifetimeAction{}
	for _, a := range in {
		var l LifetimeAction
		switch {
		case a.ActionType == nil:
			return nil, fault.InvalidField(field, "action.action_type is required.")
		case strings.EqualFold(*a.ActionType, string(AutoRenew)):
			l.Action = AutoRenew
		case strings.EqualFold(*a.ActionType, string(EmailContacts)):
			l.Action = EmailContacts
		default:
			return nil, fault.InvalidField(field, "action_type is AutoRenew or EmailContacts.")
		}
		if (a.Percentage == nil) == (a.Days == nil) {
			return nil, fault.InvalidField(field, "trigger has exactly one of lifetime_percentage and days_before_expiry.")
		}
		if a.Percentage != nil {
			if *a.Percentage < 1 || *a.Percentage > 99 {
				return nil, fault.InvalidField(field, "lifetime_percentage is 1 to 99.")
			}
			l.Percentage = *a.Percentage
		} else {
			if *a.Days < 1 {
				return nil, fault.InvalidField(field, "days_before_expiry is 1 or more.")
			}
			l.Days = *a.Days
		}
		out = append(out, l)
	}
	return out, nil
}

// Check reports why the policy cannot be used for a next version: a policy that
// was derived from an imported certificate may hold what a create refuses.
func (p *Policy) Check() error { return p.Clone().check(nil) }

// check completes key_props and looks at what differs from old, each part in itself
// and with those that it belongs to (contract certificates.md, 6.10); nil is no
// policy, from which all differs.
func (p *Policy) check(old *Policy) error {
	if err := p.Key.complete(); err != nil {
		return err
	}
	all := old == nil
	if all {
		old = &Policy{}
	}
	x, was := &p.X509, &old.X509
	const field = "policy.x509_props"
	subject := all || x.Subject != was.Subject
	if subject && len([]rune(x.Subject)) > maxSubject {
		return fault.InvalidField(field, fmt.Sprintf("The subject has at most %d characters.", maxSubject))
	}
	if _, err := pki.ParseName(x.Subject); subject && err != nil {
		return fault.InvalidField(field, "Invalid X.500 distinguished name")
	}
	sans, differ := changedSANs(x.SANs, was.SANs)
	if (subject || differ) && strings.TrimSpace(x.Subject) == "" && noSANs(x.SANs) {
		return fault.InvalidField(field, "A subject or a subject alternative name is required.")
	}
	if list, err := sans.Check(); err != nil {
		return fault.InvalidField(strings.TrimSuffix(field+".sans."+list, "."), capitalize(err.Error())+".")
	}
	months := all || x.ValidityMonths != was.ValidityMonths
	if months && (x.ValidityMonths < 1 || x.ValidityMonths > maxValidityMonths) {
		return fault.InvalidField(field, fmt.Sprintf("validity_months is 1 to %d.", maxValidityMonths))
	}
	constraints := all || x.CA != was.CA || !equal(x.PathLen, was.PathLen)
	if constraints && x.PathLen != nil && (!x.CA || *x.PathLen < 0 || *x.PathLen > 255) {
		return fault.InvalidField(field, "path_len_constraint is 0 to 255 and needs ca true.")
	}
	if !months && slices.Equal(p.Actions, old.Actions) {
		return nil
	}
	for _, a := range p.Actions {
		if a.Days > x.ValidityMonths*daysPerMonth {
			return fault.InvalidField("policy.lifetime_actions",
				fmt.Sprintf("days_before_expiry is at most validity_months times %d.", daysPerMonth))
		}
	}
	return nil
}

// changedSANs gives the lists of now that differ from those before, and whether any
// does. Either may be nil.
func changedSANs(now, before *SANs) (changed SANs, differ bool) {
	if now == nil {
		now = &SANs{}
	}
	if before == nil {
		before = &SANs{}
	}
	for _, l := range []struct{ to, now, before *[]string }{
		{&changed.Emails, &now.Emails, &before.Emails}, {&changed.DNSNames, &now.DNSNames, &before.DNSNames},
		{&changed.UPNs, &now.UPNs, &before.UPNs}, {&changed.URIs, &now.URIs, &before.URIs},
		{&changed.IPAddresses, &now.IPAddresses, &before.IPAddresses},
	} {
		if !slices.Equal(*l.now, *l.before) {
			*l.to, differ = *l.now, true
		}
	}
	return changed, differ
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// complete fills in what type, size and curve say of one another.
func (k *KeyProps) complete() error {
	const field = "policy.key_props"
	if k.algorithm() == pki.RSA {
		if k.Curve != "" {
			return fault.InvalidField(field, "crv does not go with kty RSA.")
		}
		switch k.Size {
		case 0:
			k.Size = 2048
		case 2048, 3072, 4096:
		default:
			return fault.InvalidField(field, "key_size of RSA is 2048, 3072 or 4096.")
		}
		return nil
	}
	if k.Curve == "" {
		switch k.Size {
		case 0, 256:
			k.Curve = pki.P256
		case 384:
			k.Curve = pki.P384
		case 521:
			k.Curve = pki.P521
		}
	}
	if k.Curve == "" || k.Size != 0 && k.Size != curveSize(k.Curve) {
		return fault.InvalidField(field, "key_size does not go with the curve.")
	}
	k.Size = curveSize(k.Curve)
	return nil
}

// parseCurve reads a curve's name, also the one that 2016-10-01 uses for P-256K.
func parseCurve(s string) (pki.Curve, bool) {
	switch c := pki.Curve(strings.ToUpper(s)); c {
	case pki.P256, pki.P384, pki.P521, pki.P256K:
		return c, true
	case "SECP256K1":
		return pki.P256K, true
	}
	return "", false
}

func noSANs(s *SANs) bool {
	return s == nil || len(s.Emails)+len(s.DNSNames)+len(s.UPNs)+len(s.URIs)+len(s.IPAddresses) == 0
}

func curveSize(c pki.Curve) int {
	switch c {
	case pki.P384:
		return 384
	case pki.P521:
		return 521
	}
	return 256
}

// capitalize makes a sentence of an error's text.
func capitalize(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
