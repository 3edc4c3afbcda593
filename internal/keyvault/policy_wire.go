package keyvault

import (
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pki"
)

// policyBody is contract certificates.md, 6.1. A nil list was never given and
// is left out; an empty one was given empty and is shown.
type policyBody struct {
	ID              string               `json:"id"`
	Key             keyProps             `json:"key_props"`
	Secret          secretProps          `json:"secret_props"`
	X509            x509Props            `json:"x509_props"`
	Actions         []lifetimeAction     `json:"lifetime_actions"`
	Issuer          issuerRef            `json:"issuer"`
	Attributes      attributes           `json:"attributes"`
	PlatformManaged *platformManagedBody `json:"platform_managed,omitempty"`
}

type keyProps struct {
	Exportable bool   `json:"exportable"`
	Type       string `json:"kty"`
	Size       int    `json:"key_size"`
	Reuse      bool   `json:"reuse_key"`
	Curve      string `json:"crv,omitempty"` // absent for RSA: clients compare
}

type secretProps struct {
	ContentType string `json:"contentType"`
}

type x509Props struct {
	Subject        string           `json:"subject,omitempty"`
	SANs           *sansBody        `json:"sans,omitempty"`
	EKUs           []string         `json:"ekus,omitzero"`
	KeyUsage       []string         `json:"key_usage,omitzero"`
	ValidityMonths int              `json:"validity_months"`
	Constraints    basicConstraints `json:"basic_constraints"`
}

type sansBody struct {
	Emails      []string `json:"emails,omitzero"`
	DNSNames    []string `json:"dns_names,omitzero"`
	UPNs        []string `json:"upns,omitzero"`
	URIs        []string `json:"uris,omitzero"`
	IPAddresses []string `json:"ipAddresses,omitzero"`
}

type basicConstraints struct {
	CA      bool `json:"ca"`
	PathLen *int `json:"path_len_constraint,omitempty"`
}

type lifetimeAction struct {
	Trigger trigger    `json:"trigger"`
	Action  actionBody `json:"action"`
}

type trigger struct {
	Percentage int `json:"lifetime_percentage,omitempty"`
	Days       int `json:"days_before_expiry,omitempty"`
}

type actionBody struct {
	Type string `json:"action_type"`
}

type issuerRef struct {
	Name            string  `json:"name"`
	CertificateType *string `json:"cty,omitempty"`
	Transparency    *bool   `json:"cert_transparency,omitempty"`
}

type platformManagedBody struct {
	CertificateUsage string `json:"certificate_usage"`
	Metadata         string `json:"metadata,omitempty"`
}

// oldP256K is the name of P-256K before 7.0; input is understood under either.
const oldP256K = "SECP256K1"

func newPolicyBody(c *call, cert *certificate.Certificate) policyBody {
	p := cert.Policy
	b := policyBody{
		ID: c.objectID(object.Certificates, cert.Head.Name, "") + "/policy",
		Key: keyProps{
			Exportable: p.Key.Exportable, Type: p.Key.Type, Size: p.Key.Size, Reuse: p.Key.Reuse,
			Curve: curveName(c, p.Key.Curve),
		},
		Secret: secretProps{p.ContentType},
		X509: x509Props{
			Subject: p.X509.Subject, EKUs: p.X509.EKUs, KeyUsage: p.X509.KeyUsage,
			ValidityMonths: p.X509.ValidityMonths,
			Constraints:    basicConstraints{p.X509.CA, p.X509.PathLen},
		},
		Actions:    make([]lifetimeAction, len(p.Actions)),
		Issuer:     issuerRef{p.Issuer.Name, p.Issuer.CertificateType, p.Issuer.Transparency},
		Attributes: attributes{Enabled: p.Enabled, Created: p.Created.Unix(), Updated: p.Updated.Unix()},
	}
	if s := p.X509.SANs; s != nil {
		b.X509.SANs = &sansBody{s.Emails, s.DNSNames, s.UPNs, s.URIs, s.IPAddresses}
	}
	for i, a := range p.Actions {
		b.Actions[i] = lifetimeAction{trigger{a.Percentage, a.Days}, actionBody{string(a.Action)}}
	}
	if m := p.PlatformManage; m != nil && c.version.has(platformManaged) {
		b.PlatformManaged = &platformManagedBody{m.CertificateUsage, m.Metadata}
	}
	return b
}

func curveName(c *call, curve pki.Curve) string {
	if curve == pki.P256K && !c.version.has(modernNames) {
		return oldP256K
	}
	return string(curve)
}

func renderPolicy(c *call, cert *certificate.Certificate) reply { return ok(newPolicyBody(c, cert)) }

func renderPolicyUpdated(c *call, cert *certificate.Certificate) reply {
	describePolicy(c, cert.Policy)
	return renderPolicy(c, cert)
}

// policyOf reads the member policy of a body.
func policyOf(c *call, in *input) *issuance.Patch {
	p := in.object("policy")
	if p == nil {
		return nil
	}
	return parsePolicy(c, p)
}

// parsePolicyBody reads a body that is a policy. Its members are named as those
// of a create: that is how the rules name them too.
func parsePolicyBody(c *call, in *input) *issuance.Patch {
	p := *in
	p.path = "policy."
	return parsePolicy(c, &p)
}

func parsePolicy(c *call, in *input) *issuance.Patch {
	p := &issuance.Patch{}
	if k := in.object("key_props"); k != nil {
		p.Key = &issuance.KeyPatch{
			Type: k.text("kty"), Size: k.integer("key_size"), Curve: k.text("crv"),
			Exportable: k.boolean("exportable"), Reuse: k.boolean("reuse_key"),
		}
	}
	if s := in.object("secret_props"); s != nil {
		p.Secret = &issuance.SecretPatch{ContentType: s.text("contentType")}
	}
	if x := in.object("x509_props"); x != nil {
		p.X509 = parseX509(c, x)
	}
	if actions := in.objects("lifetime_actions"); actions != nil {
		p.Actions = make([]issuance.ActionPatch, len(actions))
		for i, a := range actions {
			p.Actions[i] = parseAction(a)
		}
	}
	if i := in.object("issuer"); i != nil {
		p.Issuer = &issuance.IssuerPatch{Name: i.text("name"), CertificateType: i.text("cty")}
		if c.version.has(modernNames) {
			p.Issuer.Transparency = i.boolean("cert_transparency")
		}
	}
	if a := in.object("attributes"); a != nil {
		p.Attributes = &issuance.AttributesPatch{Enabled: a.boolean("enabled")}
	}
	if m := in.objectSince(c, "platform_managed", platformManaged); m != nil {
		p.PlatformManaged = parsePlatformManaged(m)
	}
	return p
}

func parseX509(c *call, in *input) *issuance.X509Patch {
	x := &issuance.X509Patch{
		Subject: in.text("subject"), EKUs: in.texts("ekus"), KeyUsage: in.texts("key_usage"),
		ValidityMonths: in.integer("validity_months"),
	}
	if s := in.object("sans"); s != nil {
		x.SANs = &issuance.SANs{Emails: s.texts("emails"), DNSNames: s.texts("dns_names"), UPNs: s.texts("upns")}
		if c.version.has(uriAndIPNames) {
			x.SANs.URIs, x.SANs.IPAddresses = s.texts("uris"), s.texts("ipAddresses")
		}
	}
	if b := in.object("basic_constraints"); b != nil {
		x.BasicConstraints = &issuance.ConstraintsPatch{CA: b.boolean("ca"), PathLen: b.integer("path_len_constraint")}
	}
	return x
}

func parseAction(in *input) issuance.ActionPatch {
	var p issuance.ActionPatch
	if t := in.object("trigger"); t != nil {
		p.Trigger = &issuance.TriggerPatch{Percentage: t.integer("lifetime_percentage"), Days: t.integer("days_before_expiry")}
	}
	if a := in.object("action"); a != nil {
		p.ActionType = a.text("action_type")
	}
	return p
}

func parsePlatformManaged(in *input) *issuance.PlatformManaged {
	m := &issuance.PlatformManaged{}
	if usage := in.text("certificate_usage"); usage != nil {
		m.CertificateUsage = *usage
	} else if in.raw("certificate_usage") == nil {
		in.required("certificate_usage")
	}
	if metadata := in.text("metadata"); metadata != nil {
		m.Metadata = *metadata
	}
	return m
}
