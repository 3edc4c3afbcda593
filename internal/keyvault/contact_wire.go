package keyvault

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/certificate"
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

func renderContacts(c *call, list []certificate.Contact) reply {
	b := contactsBody{ID: c.id("/certificates/contacts"), Contacts: make([]contactBody, len(list))}
	for i, contact := range list {
		b.Contacts[i] = contactBody(contact)
	}
	return ok(b)
}

func parseContacts(_ *call, in *input) []certificate.Contact {
	list := []certificate.Contact{}
	for _, o := range in.objects("contacts") {
		contact := certificate.Contact{Name: o.text("name"), Phone: o.text("phone")}
		if email := o.text("email"); email != nil {
			contact.Email = *email
		} else if o.raw("email") == nil {
			o.required("email")
		}
		list = append(list, contact)
	}
	if in.raw("contacts") == nil {
		in.required("contacts")
	}
	return list
}

// setContacts answers what was stored.
func (s *Server) setContacts(ctx context.Context, g access.Grant, list []certificate.Contact) ([]certificate.Contact, error) {
	return list, s.cfg.Certificates.SetContacts(ctx, g, list)
}
