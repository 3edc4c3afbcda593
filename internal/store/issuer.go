package store

import (
	"context"

	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/seal"
)

const (
	selectContacts = `SELECT list FROM contacts WHERE vault = $1`
	putContacts    = `INSERT INTO contacts (vault, list) VALUES ($1, $2) ON CONFLICT (vault) DO UPDATE SET list = excluded.list`
	deleteContacts = `DELETE FROM contacts WHERE vault = $1`

	issuerColumns = `display, settings, enabled, created, updated, password`
	selectIssuer  = `SELECT ` + issuerColumns + ` FROM issuers WHERE vault = $1 AND name = $2`
	listIssuers   = `SELECT ` + issuerColumns + ` FROM issuers WHERE vault = $1 AND name > $2 ORDER BY name LIMIT $3`
	putIssuer     = `INSERT INTO issuers (vault, name, display, settings, enabled, created, updated, password)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (vault, name) DO UPDATE SET display = excluded.display, settings = excluded.settings,
			enabled = excluded.enabled, created = excluded.created, updated = excluded.updated, password = excluded.password`
	deleteIssuer = `DELETE FROM issuers WHERE vault = $1 AND name = $2`
)

// Contacts implements certificate.Tx.
func (tx *Tx) Contacts(ctx context.Context, v object.VaultID) ([]certificate.Contact, error) {
	var text string
	if err := tx.row(ctx, selectContacts, []any{string(v)}, &text); err != nil {
		return nil, err
	}
	var stored []contact
	if err := fromJSON(text, &stored); err != nil {
		return nil, err
	}
	return convertList(stored, func(c contact) certificate.Contact { return certificate.Contact(c) }), nil
}

// SetContacts implements certificate.Tx.
func (tx *Tx) SetContacts(ctx context.Context, v object.VaultID, c []certificate.Contact) error {
	list, err := toJSON(convertList(c, func(c certificate.Contact) contact { return contact(c) }))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, "SetContacts", putContacts, string(v), list)
	return err
}

// DeleteContacts implements certificate.Tx; absent is not an error.
func (tx *Tx) DeleteContacts(ctx context.Context, v object.VaultID) error {
	_, err := tx.exec(ctx, "DeleteContacts", deleteContacts, string(v))
	return err
}

// contact is an item of the list column of contacts (stored shapes: column.go).
type contact struct {
	Email string  `json:"Email"`
	Name  *string `json:"Name"`
	Phone *string `json:"Phone"`
}

// issuerSettings is the settings column of an issuer (stored shapes: column.go).
type issuerSettings struct {
	Provider       string        `json:"Provider"`
	AccountID      *string       `json:"AccountID"`
	OrganizationID *string       `json:"OrganizationID"`
	Admins         []issuerAdmin `json:"Admins"`
}

type issuerAdmin struct {
	FirstName *string `json:"FirstName"`
	LastName  *string `json:"LastName"`
	Email     *string `json:"Email"`
	Phone     *string `json:"Phone"`
}

func issuerSettingsOf(i *certificate.Issuer) issuerSettings {
	return issuerSettings{i.Provider, i.AccountID, i.OrganizationID,
		convertList(i.Admins, func(a issuance.Admin) issuerAdmin { return issuerAdmin(a) })}
}

// fill gives an issuer what was stored of it.
func (s issuerSettings) fill(i *certificate.Issuer) {
	i.Provider, i.AccountID, i.OrganizationID = s.Provider, s.AccountID, s.OrganizationID
	i.Admins = convertList(s.Admins, func(a issuerAdmin) issuance.Admin { return issuance.Admin(a) })
}

// Issuer implements certificate.Tx.
func (tx *Tx) Issuer(ctx context.Context, v object.VaultID, n object.Name) (i *certificate.Issuer, err error) {
	err = tx.rows(ctx, selectIssuer, []any{string(v), n.Key()}, func(s scanner) error {
		i, err = scanIssuer(s, v)
		return err
	})
	if err == nil && i == nil {
		err = object.ErrNotFound
	}
	return i, err
}

// PutIssuer implements certificate.Tx. The casing of the last use is what
// answers show.
func (tx *Tx) PutIssuer(ctx context.Context, i *certificate.Issuer) error {
	settings, err := toJSON(issuerSettingsOf(i))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, "PutIssuer", putIssuer, string(i.Vault), i.Name.Key(), i.Name.String(), settings,
		i.Enabled, second(i.Created), second(i.Updated), blob(i.Password))
	return err
}

// DeleteIssuer implements certificate.Tx; absent is not an error.
func (tx *Tx) DeleteIssuer(ctx context.Context, v object.VaultID, n object.Name) error {
	_, err := tx.exec(ctx, "DeleteIssuer", deleteIssuer, string(v), n.Key())
	return err
}

// Issuers implements certificate.Tx.
func (tx *Tx) Issuers(ctx context.Context, v object.VaultID, page object.Page) (list []*certificate.Issuer, err error) {
	err = tx.rows(ctx, listIssuers, []any{string(v), page.After, page.Limit}, func(s scanner) error {
		i, err := scanIssuer(s, v)
		list = append(list, i)
		return err
	})
	return list, err
}

// scanIssuer receives issuerColumns.
func scanIssuer(s scanner, v object.VaultID) (*certificate.Issuer, error) {
	i := &certificate.Issuer{Vault: v}
	var display, text string
	var created, updated int64
	var password []byte
	if err := s.Scan(&display, &text, &i.Enabled, &created, &updated, &password); err != nil {
		return nil, err
	}
	var err error
	if i.Name, err = storedName(display); err != nil {
		return nil, err
	}
	var settings issuerSettings
	if err := fromJSON(text, &settings); err != nil {
		return nil, err
	}
	settings.fill(i)
	i.Password = seal.Box(password)
	i.Created, i.Updated = fromSecond(created), fromSecond(updated)
	return i, nil
}
