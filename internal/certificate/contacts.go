package certificate

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
)

// Bounds of contacts; no source gives any.
const (
	maxContacts    = 100
	maxContactText = 320 // characters: the longest mail address (RFC 3696, erratum 1690)
)

func contactsNotFound() error {
	return &fault.Error{Kind: fault.NotFound, Subject: fault.Contacts, Msg: "Contacts not found"}
}

// Contacts reads the list of a vault.
func (s *Service) Contacts(ctx context.Context, g access.Grant) (list []Contact, err error) {
	g.Must(access.CertificateContactsGet)
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		list, err = contacts(ctx, tx, g.Vault().ID)
		return err
	})
	return list, err
}

func contacts(ctx context.Context, tx ContactTx, v object.VaultID) ([]Contact, error) {
	list, err := tx.Contacts(ctx, v)
	if errors.Is(err, object.ErrNotFound) {
		return nil, contactsNotFound()
	}
	return list, err
}

// SetContacts replaces the list; an empty one sets it to none.
func (s *Service) SetContacts(ctx context.Context, g access.Grant, list []Contact) error {
	g.Must(access.CertificateContactsSet)
	if len(list) > maxContacts {
		return fault.InvalidField("contacts", fmt.Sprintf("At most %d contacts are allowed.", maxContacts))
	}
	for _, c := range list {
		if c.Email == "" {
			return fault.MissingField("contacts.email")
		}
		for _, text := range []*string{&c.Email, c.Name, c.Phone} {
			if text != nil && len([]rune(*text)) > maxContactText {
				return fault.InvalidField("contacts", fmt.Sprintf("Texts have at most %d characters.", maxContactText))
			}
		}
	}
	return s.cfg.DB.Update(ctx, func(tx Tx) error {
		if len(list) == 0 {
			return tx.DeleteContacts(ctx, g.Vault().ID)
		}
		return tx.SetContacts(ctx, g.Vault().ID, list)
	})
}

// DeleteContacts removes the list and answers what it was.
func (s *Service) DeleteContacts(ctx context.Context, g access.Grant) (list []Contact, err error) {
	g.Must(access.CertificateContactsDelete)
	err = s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if list, err = contacts(ctx, tx, g.Vault().ID); err != nil {
			return err
		}
		return tx.DeleteContacts(ctx, g.Vault().ID)
	})
	return list, err
}
