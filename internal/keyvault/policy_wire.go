package keyvault

import (
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/pki"
	"coffer/internal/rest"
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

func newPolicyBody(r pipeline.Request, cert *certificate.Certificate) policyBody {
	p := cert.Policy
	b := policyBody{
		ID: objectID(r, object.Certificates, cert.Head.Name, "") + "/policy",
		Key: keyProps{
			Exportable: p.Key.Exportable, Type: p.Key.Type, Size: p.Key.Size, Reuse: p.Key.Reuse,
			Curve: curveName(r, p.Key.Curve),
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
	if m := p.PlatformManage; m != nil && r.Version().Has(platformManaged) {
		b.PlatformManaged = &platformManagedBody{m.CertificateUsage, m.Metadata}
	}
	return b
}

func curveName(r pipeline.Request, curve pki.Curve) string {
	if curve == pki.P256K && !r.Version().Has(modernNames) {
		return oldP256K
	}
	return string(curve)
}

func renderPolicy(r pipeline.Request, cert *certificate.Certificate) rest.Reply {
	return rest.OK(newPolicyBody(r, cert))
}

// parsePolicyBody reads a body that is a policy. Its members are named as those
// of a create: that is how the rules name them too.
func parsePolicyBody(r pipeline.Request, in *rest.Input) *issuance.Patch {
	return parsePolicy(r, in.Under("policy."))
}

// parsePolicy reads a policy; nil when it is absent.
func parsePolicy(r pipeline.Request, in *rest.Input) *issuance.Patch {
	if in == nil {
		return nil
	}
	k := in.Object("key_props")
	p := &issuance.Patch{
		Key: issuance.KeyPatch{
			Type: k.Text("kty"), Size: k.Integer("key_size"), Curve: k.Text("crv"),
			Exportable: k.Boolean("exportable"), Reuse: k.Boolean("reuse_key"),
		},
		ContentType: in.Object("secret_props").Text("contentType"),
		X509:        parseX509(r, in.Object("x509_props")),
	}
	if actions := in.Objects("lifetime_actions"); actions != nil {
		p.Actions = make([]issuance.ActionPatch, len(actions))
		for i, a := range actions {
			t := a.Object("trigger")
			p.Actions[i] = issuance.ActionPatch{Percentage: t.Integer("lifetime_percentage"), Days: t.Integer("days_before_expiry"),
				ActionType: a.Object("action").Text("action_type")}
		}
	}
	i := in.Object("issuer")
	p.Issuer = issuance.IssuerPatch{Name: i.Text("name"), CertificateType: i.Text("cty")}
	if r.Version().Has(modernNames) {
		p.Issuer.Transparency = i.Boolean("cert_transparency")
	}
	p.Enabled = enabled(in)
	if r.Version().Has(platformManaged) { // older versions ignore it, whatever it is
		if m := in.Object("platform_managed"); m != nil {
			p.PlatformManaged = &issuance.PlatformManaged{CertificateUsage: m.NeedText("certificate_usage"), Metadata: deref(m.Text("metadata"))}
		}
	}
	return p
}

func parseX509(r pipeline.Request, in *rest.Input) issuance.X509Patch {
	x := issuance.X509Patch{
		Subject: in.Text("subject"), EKUs: in.Texts("ekus"), KeyUsage: in.Texts("key_usage"),
		ValidityMonths: in.Integer("validity_months"),
	}
	if s := in.Object("sans"); s != nil {
		x.SANs = &issuance.SANs{Emails: s.Texts("emails"), DNSNames: s.Texts("dns_names"), UPNs: s.Texts("upns")}
		if r.Version().Has(uriAndIPNames) {
			x.SANs.URIs, x.SANs.IPAddresses = s.Texts("uris"), s.Texts("ipAddresses")
		}
	}
	b := in.Object("basic_constraints")
	x.CA, x.PathLen = b.Boolean("ca"), b.Integer("path_len_constraint")
	return x
}
