package keyvault

import (
	"encoding/base64"
	"net/http"

	"coffer/internal/certificate"
	"coffer/internal/object"
	"coffer/internal/pki"
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
func versionBody(c *call, v *certificate.Version) certificateBundle {
	c.attempt.ObjectVersion(v.Version)
	b := certificateBundle{
		ID:         c.objectID(object.Certificates, v.Name, v.Version),
		Thumbprint: thumbprint(v.Thumbprint),
		Cer:        v.Leaf,
		Attributes: fullAttributes(c, v.Attributes, customizedLevels),
		Tags:       v.Tags,
	}
	if v.Completed {
		b.KeyID = c.objectID(object.Keys, v.Name, v.Version)
		b.SecretID = c.objectID(object.Secrets, v.Name, v.Version)
	}
	if c.version.has(preserveCertOrder) {
		b.PreserveOrder = &v.PreserveOrder
	}
	return b
}

// bundleBody adds policy and pending, which belong to the name and not to the
// version.
func bundleBody(c *call, b *certificate.Bundle) certificateBundle {
	out := versionBody(c, b.Version)
	policy := newPolicyBody(c, b.Certificate)
	out.Policy = &policy
	if b.Certificate.Pending {
		out.Pending = &pendingRef{c.pendingID(b.Certificate.Head.Name)}
	}
	return out
}

func (c *call) pendingID(n object.Name) string {
	return c.objectID(object.Certificates, n, "") + "/pending"
}

func renderBundle(c *call, b *certificate.Bundle) reply {
	if c.pinned != "" {
		return ok(versionBody(c, b.Version))
	}
	return ok(bundleBody(c, b))
}

// renderRead is renderBundle for GET, which by version names the certificate
// (recorded 2021).
func renderRead(c *call, b *certificate.Bundle) reply {
	if c.pinned == "" {
		return ok(bundleBody(c, b))
	}
	out := versionBody(c, b.Version)
	if leaf, err := pki.ParseCertificate(b.Version.Leaf); b.Version.Completed && err == nil {
		out.Subject, out.Issuer, out.Serial = leaf.Subject(), leaf.Issuer(), leaf.SerialHex()
	}
	return ok(out)
}

func renderImported(c *call, b *certificate.Bundle) reply {
	describeCertificate(c, b.Version)
	describeGivenPolicy(c, b.Certificate.Policy)
	return ok(bundleBody(c, b))
}

func renderUpdated(c *call, b *certificate.Bundle) reply {
	describeCertificate(c, b.Version)
	if c.policyGiven {
		describePolicy(c, b.Certificate.Policy)
	}
	return renderBundle(c, b)
}

func renderMerged(c *call, b *certificate.Bundle) reply {
	describeCertificate(c, b.Version)
	return reply{status: http.StatusCreated, body: bundleBody(c, b),
		location: c.objectID(object.Certificates, b.Version.Name, "") + "?api-version=" + c.version.text}
}

func renderDeleted(c *call, b *certificate.Bundle) reply {
	return ok(deletedCertificateBundle{c.deletion(b.Certificate.Head), bundleBody(c, b)})
}

func renderNothing(*call, none) reply { return reply{status: http.StatusNoContent} }

func certificateLine(c *call, l certificate.Listed) certificateItem {
	return certificateItem{
		ID:         c.objectID(object.Certificates, l.Head.Name, ""),
		Thumbprint: thumbprint(l.Version.Thumbprint),
		Attributes: itemAttributes(l.Version.Attributes),
		Tags:       l.Version.Tags,
	}
}

func certificateVersionLine(c *call, v *certificate.Version) certificateItem {
	return certificateItem{
		ID:         c.objectID(object.Certificates, v.Name, v.Version),
		Thumbprint: thumbprint(v.Thumbprint),
		Attributes: itemAttributes(v.Attributes),
		Tags:       v.Tags,
	}
}

func deletedCertificateLine(c *call, l certificate.Listed) deletedCertificateItem {
	return deletedCertificateItem{
		deletion:   c.deletion(l.Head),
		ID:         c.objectID(object.Certificates, l.Head.Name, ""),
		Thumbprint: thumbprint(l.Version.Thumbprint),
		Attributes: fullAttributes(c, l.Version.Attributes, customizedLevels),
		Tags:       l.Version.Tags,
	}
}

// thumbprint is base64url without padding: 27 characters for SHA-1.
func thumbprint(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum) }

func parseCreate(c *call, in *input) certificate.CreateParams {
	p := certificate.CreateParams{Policy: policyOf(c, in), Enabled: enabled(in), Tags: in.tags("tags")}
	p.PreserveOrder = parsePreserveOrder(c, in)
	c.policyGiven = p.Policy != nil
	return p
}

func parseImport(c *call, in *input) certificate.ImportParams {
	p := certificate.ImportParams{Policy: policyOf(c, in), Enabled: enabled(in), Tags: in.tags("tags")}
	p.PreserveOrder = parsePreserveOrder(c, in)
	if value := in.text("value"); value != nil {
		p.Value = *value
	} else if in.raw("value") == nil {
		in.required("value")
	}
	if password := in.text("pwd"); password != nil {
		p.Password = *password
	}
	c.policyGiven = p.Policy != nil
	return p
}

// parsePreserveOrder ignores the member below the version that brought it.
func parsePreserveOrder(c *call, in *input) bool {
	return c.version.has(preserveCertOrder) && in.is("preserveCertOrder")
}

func parseUpdate(c *call, in *input) certificate.UpdateParams {
	p := certificate.UpdateParams{Enabled: enabled(in), Tags: in.tags("tags")}
	if c.pinned == "" { // by version the policy is ignored (contract certificates.md, 17.14)
		p.Policy = policyOf(c, in)
		c.policyGiven = p.Policy != nil
	}
	return p
}

func parseMerge(_ *call, in *input) certificate.MergeParams {
	p := certificate.MergeParams{X5C: in.texts("x5c"), Enabled: enabled(in), Tags: in.tags("tags")}
	if in.raw("x5c") == nil {
		in.required("x5c")
	}
	return p
}
