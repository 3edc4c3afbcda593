package keyvault

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// contactsBody is contract certificates.md, 5.7, in answers and requests alike.
type contactsBody struct {
	ID       string        `json:"id"`
	Contacts []contactBody `json:"contacts"`
}

type contactBody struct {
	Email string  `json:"email"`
	Name  *string `json:"name,omitempty"`
	Phone *string `json:"phone,omitempty"`
}

func renderContacts(r pipeline.Request, list []certificate.Contact) rest.Reply {
	b := contactsBody{ID: r.Base() + "/certificates/contacts", Contacts: make([]contactBody, len(list))}
	for i, contact := range list {
		b.Contacts[i] = contactBody(contact)
	}
	return rest.OK(b)
}

func parseContacts(_ pipeline.Request, in *rest.Input) []certificate.Contact {
	list := []certificate.Contact{}
	for _, o := range in.Objects("contacts") {
		list = append(list, certificate.Contact{Name: o.Text("name"), Phone: o.Text("phone"), Email: o.NeedText("email")})
	}
	if in.Raw("contacts") == nil {
		in.Required("contacts")
	}
	return list
}

// setContacts answers what was stored.
func (s *Server) setContacts(ctx context.Context, g access.Grant, list []certificate.Contact) ([]certificate.Contact, error) {
	return list, s.cfg.Certificates.SetContacts(ctx, g, list)
}
