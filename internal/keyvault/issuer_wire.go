package keyvault

import (
	"coffer/internal/certificate"
	"coffer/internal/object"
)

// issuerBody is contract certificates.md, 5.6. The password is never shown.
type issuerBody struct {
	ID           string           `json:"id"`
	Provider     string           `json:"provider"`
	Credentials  *credentials     `json:"credentials,omitempty"`
	Organization organization     `json:"org_details"`
	Attributes   issuerAttributes `json:"attributes"`
}

type credentials struct {
	AccountID string `json:"account_id"`
}

// organization has a zip that is always zero (recorded); the administrators are
// shown when the caller sent some, an empty array included.
type organization struct {
	ID     *string     `json:"id,omitempty"`
	Zip    int         `json:"zip"`
	Admins []adminBody `json:"admin_details,omitzero"`
}

type adminBody struct {
	FirstName *string `json:"first_name,omitempty"`
	LastName  *string `json:"last_name,omitempty"`
	Email     *string `json:"email,omitempty"`
	Phone     *string `json:"phone,omitempty"`
}

type issuerAttributes struct {
	Enabled bool  `json:"enabled"`
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`
}

type issuerItem struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
}

func (c *call) issuerID(n object.Name) string { return c.id("/certificates/issuers/" + n.String()) }

func newIssuerBody(c *call, i *certificate.Issuer) issuerBody {
	b := issuerBody{
		ID: c.issuerID(i.Name), Provider: i.Provider,
		Organization: organization{ID: i.OrganizationID},
		Attributes:   issuerAttributes{i.Enabled, i.Created.Unix(), i.Updated.Unix()},
	}
	if i.AccountID != nil {
		b.Credentials = &credentials{*i.AccountID}
	}
	if i.Admins != nil {
		b.Organization.Admins = make([]adminBody, len(i.Admins))
		for n, a := range i.Admins {
			b.Organization.Admins[n] = adminBody(a)
		}
	}
	return b
}

func renderIssuer(c *call, i *certificate.Issuer) reply { return ok(newIssuerBody(c, i)) }

func renderIssuerChanged(c *call, i *certificate.Issuer) reply {
	describeIssuer(c, i)
	return renderIssuer(c, i)
}

func issuerLine(c *call, i *certificate.Issuer) issuerItem {
	return issuerItem{c.issuerID(i.Name), i.Provider}
}

func parseIssuer(_ *call, in *input) certificate.IssuerParams {
	p := certificate.IssuerParams{Provider: in.text("provider"), Enabled: enabled(in)}
	if cr := in.object("credentials"); cr != nil {
		p.AccountID, p.Password = cr.text("account_id"), cr.text("pwd")
	}
	if o := in.object("org_details"); o != nil {
		p.OrganizationID = o.text("id")
		if admins := o.objects("admin_details"); admins != nil {
			p.Admins = make([]certificate.Admin, len(admins))
			for i, a := range admins {
				p.Admins[i] = certificate.Admin{
					FirstName: a.text("first_name"), LastName: a.text("last_name"), Email: a.text("email"), Phone: a.text("phone"),
				}
			}
		}
	}
	return p
}

// parseNewIssuer is parseIssuer for PUT, where the provider is required.
func parseNewIssuer(c *call, in *input) certificate.IssuerParams {
	if in.raw("provider") == nil {
		in.required("provider")
	}
	return parseIssuer(c, in)
}
