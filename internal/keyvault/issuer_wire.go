package keyvault

import (
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/seal"
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

func issuerID(r pipeline.Request, n object.Name) string {
	return r.Base() + "/certificates/issuers/" + n.String()
}

func newIssuerBody(r pipeline.Request, i *certificate.Issuer) issuerBody {
	b := issuerBody{
		ID: issuerID(r, i.Name), Provider: i.Provider,
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

func renderIssuer(r pipeline.Request, i *certificate.Issuer) rest.Reply {
	return rest.OK(newIssuerBody(r, i))
}

func issuerLine(r pipeline.Request, i *certificate.Issuer) issuerItem {
	return issuerItem{issuerID(r, i.Name), i.Provider}
}

func parseIssuer(_ pipeline.Request, in *rest.Input) certificate.IssuerParams {
	p := certificate.IssuerParams{Provider: in.Text("provider"), Enabled: enabled(in)}
	cr := in.Object("credentials")
	p.AccountID = cr.Text("account_id")
	if password := cr.Text("pwd"); password != nil {
		p.Password = new(seal.NewValue([]byte(*password)))
	}
	o := in.Object("org_details")
	p.OrganizationID = o.Text("id")
	if admins := o.Objects("admin_details"); admins != nil {
		p.Admins = make([]issuance.Admin, len(admins))
		for i, a := range admins {
			p.Admins[i] = issuance.Admin{
				FirstName: a.Text("first_name"), LastName: a.Text("last_name"), Email: a.Text("email"), Phone: a.Text("phone"),
			}
		}
	}
	return p
}

// parseNewIssuer is parseIssuer for PUT, where the provider is required.
func parseNewIssuer(r pipeline.Request, in *rest.Input) certificate.IssuerParams {
	if in.Raw("provider") == nil {
		in.Required("provider")
	}
	return parseIssuer(r, in)
}
