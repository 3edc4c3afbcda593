package keyvault

import (
	"encoding/base64"
	"net/http"

	"coffer/internal/certificate"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/pki"
	"coffer/internal/rest"
	"coffer/internal/seal"
)

// certificateBundle is contract certificates.md, 5.1, in the service's order.
type certificateBundle struct {
	ID         string            `json:"id"`
	KeyID      string            `json:"kid,omitempty"`
	SecretID   string            `json:"sid,omitempty"`
	Thumbprint string            `json:"x5t,omitempty"`
	Cer        []byte            `json:"cer,omitempty"`
	Attributes attributes        `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`

	// Only in GET by version.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Serial  string `json:"serialnumber,omitempty"`

	Policy        *policyBody `json:"policy,omitempty"`
	Pending       *pendingRef `json:"pending,omitempty"`
	PreserveOrder *bool       `json:"preserveCertOrder,omitempty"`
}

type pendingRef struct {
	ID string `json:"id"`
}

type deletedCertificateBundle struct {
	deletion
	certificateBundle
}

// certificateItem is one line of a list; the subject is written and empty, as
// the service does (contract certificates.md, 5.3).
type certificateItem struct {
	ID         string            `json:"id"`
	Thumbprint string            `json:"x5t,omitempty"`
	Attributes attributes        `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
	Subject    string            `json:"subject"`
}

type deletedCertificateItem struct {
	deletion
	ID         string            `json:"id"`
	Thumbprint string            `json:"x5t,omitempty"`
	Attributes attributes        `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
}

// versionBody is what a version shows wherever it is shown in full.
func versionBody(r pipeline.Request, v *certificate.Version) certificateBundle {
	b := certificateBundle{
		ID:         objectID(r, object.Certificates, v.Name, v.Version),
		Thumbprint: thumbprint(v.Thumbprint),
		Cer:        v.Leaf,
		Attributes: fullAttributes(r, v.Attributes, customizedLevels),
		Tags:       v.Tags,
	}
	if v.Completed {
		b.KeyID = objectID(r, object.Keys, v.Name, v.Version)
		b.SecretID = objectID(r, object.Secrets, v.Name, v.Version)
	}
	if r.Version().Has(preserveCertOrder) {
		b.PreserveOrder = &v.PreserveOrder
	}
	return b
}

// bundleBody adds policy and pending, which belong to the name and not to the
// version.
func bundleBody(r pipeline.Request, b *certificate.Bundle) certificateBundle {
	out := versionBody(r, b.Version)
	policy := newPolicyBody(r, b.Certificate)
	out.Policy = &policy
	if b.Certificate.Pending {
		out.Pending = &pendingRef{pendingID(r, b.Certificate.Head.Name)}
	}
	return out
}

func pendingID(r pipeline.Request, n object.Name) string {
	return objectID(r, object.Certificates, n, "") + "/pending"
}

func renderBundle(r pipeline.Request, b *certificate.Bundle) rest.Reply {
	if pinned(r) {
		return rest.OK(versionBody(r, b.Version))
	}
	return rest.OK(bundleBody(r, b))
}

// renderRead is renderBundle for GET, which by version names the certificate
// (recorded 2021).
func renderRead(r pipeline.Request, b *certificate.Bundle) rest.Reply {
	if !pinned(r) {
		return rest.OK(bundleBody(r, b))
	}
	out := versionBody(r, b.Version)
	if leaf, err := pki.ParseCertificate(b.Version.Leaf); b.Version.Completed && err == nil {
		out.Subject, out.Issuer, out.Serial = leaf.Subject(), leaf.Issuer(), leaf.SerialHex()
	}
	return rest.OK(out)
}

func renderMerged(r pipeline.Request, b *certificate.Bundle) rest.Reply {
	return rest.Reply{Status: http.StatusCreated, Body: bundleBody(r, b),
		Location: objectID(r, object.Certificates, b.Version.Name, "") + "?api-version=" + r.Version().Text()}
}

func renderDeleted(r pipeline.Request, b *certificate.Bundle) rest.Reply {
	return rest.OK(deletedCertificateBundle{newDeletion(r, object.Certificates, b.Certificate.Head), bundleBody(r, b)})
}

func renderNothing(pipeline.Request, pipeline.None) rest.Reply {
	return rest.Reply{Status: http.StatusNoContent}
}

func certificateLine(r pipeline.Request, l certificate.Listed) certificateItem {
	return certificateItem{
		ID:         objectID(r, object.Certificates, l.Head.Name, ""),
		Thumbprint: thumbprint(l.Version.Thumbprint),
		Attributes: itemAttributes(l.Version.Attributes),
		Tags:       l.Version.Tags,
	}
}

func certificateVersionLine(r pipeline.Request, v *certificate.Version) certificateItem {
	return certificateItem{
		ID:         objectID(r, object.Certificates, v.Name, v.Version),
		Thumbprint: thumbprint(v.Thumbprint),
		Attributes: itemAttributes(v.Attributes),
		Tags:       v.Tags,
	}
}

func deletedCertificateLine(r pipeline.Request, l certificate.Listed) deletedCertificateItem {
	return deletedCertificateItem{
		deletion:   newDeletion(r, object.Certificates, l.Head),
		ID:         objectID(r, object.Certificates, l.Head.Name, ""),
		Thumbprint: thumbprint(l.Version.Thumbprint),
		Attributes: fullAttributes(r, l.Version.Attributes, customizedLevels),
		Tags:       l.Version.Tags,
	}
}

// thumbprint is base64url without padding: 27 characters for SHA-1.
func thumbprint(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum) }

func parseCreate(r pipeline.Request, in *rest.Input) certificate.CreateParams {
	p := certificate.CreateParams{Policy: parsePolicy(r, in.Object("policy")), Enabled: enabled(in), Tags: in.Tags("tags")}
	p.PreserveOrder = parsePreserveOrder(r, in)
	return p
}

func parseImport(r pipeline.Request, in *rest.Input) certificate.ImportParams {
	p := certificate.ImportParams{Policy: parsePolicy(r, in.Object("policy")), Enabled: enabled(in), Tags: in.Tags("tags")}
	p.PreserveOrder = parsePreserveOrder(r, in)
	p.Value = seal.NewValue([]byte(in.NeedText("value")))
	if password := in.Text("pwd"); password != nil {
		p.Password = seal.NewValue([]byte(*password))
	}
	return p
}

// parsePreserveOrder ignores the member below the version that brought it.
func parsePreserveOrder(r pipeline.Request, in *rest.Input) bool {
	return r.Version().Has(preserveCertOrder) && in.Is("preserveCertOrder")
}

func parseUpdate(r pipeline.Request, in *rest.Input) certificate.UpdateParams {
	p := certificate.UpdateParams{Enabled: enabled(in), Tags: in.Tags("tags")}
	if !pinned(r) { // by version the policy is ignored (contract certificates.md, 17.14)
		p.Policy = parsePolicy(r, in.Object("policy"))
	}
	return p
}

func parseMerge(_ pipeline.Request, in *rest.Input) certificate.MergeParams {
	p := certificate.MergeParams{X5C: in.Texts("x5c"), Enabled: enabled(in), Tags: in.Tags("tags")}
	if in.Raw("x5c") == nil {
		in.Required("x5c")
	}
	return p
}
