package certificate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/issuance"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// IssuerParams is the body of a set or update. nil means absent; an empty Admins
// was given empty.
type IssuerParams struct {
	Provider       *string
	AccountID      *string
	Password       *seal.Value
	OrganizationID *string
	Admins         []issuance.Admin
	Enabled        *bool
}

// Bounds of an issuer; no source gives any.
const (
	maxIssuerText   = 1024 // characters
	maxIssuerAdmins = 100
)

func passwordPlace(v object.VaultID, n object.Name) seal.Place {
	return seal.Place{Kind: "issuer", Vault: v, Name: n.Key(), Column: "password"}
}

// check reports what is out of bounds, never repeating a value.
func (p IssuerParams) check() error {
	for _, t := range []struct {
		field string
		text  *string
	}{
		{"provider", p.Provider}, {"credentials.account_id", p.AccountID},
		{"org_details.id", p.OrganizationID},
	} {
		if t.text != nil && len([]rune(*t.text)) > maxIssuerText {
			return tooLong(t.field)
		}
	}
	if p.Password != nil && utf8.RuneCount(p.Password.Reveal()) > maxIssuerText {
		return tooLong("credentials.pwd")
	}
	if len(p.Admins) > maxIssuerAdmins {
		return fault.InvalidField("org_details.admin_details", fmt.Sprintf("At most %d administrators are allowed.", maxIssuerAdmins))
	}
	for _, a := range p.Admins {
		for _, text := range []*string{a.FirstName, a.LastName, a.Email, a.Phone} {
			if text != nil && len([]rune(*text)) > maxIssuerText {
				return fault.InvalidField("org_details.admin_details", fmt.Sprintf("Texts have at most %d characters.", maxIssuerText))
			}
		}
	}
	return nil
}

func tooLong(field string) error {
	return fault.InvalidField(field, fmt.Sprintf("It has at most %d characters.", maxIssuerText))
}

// Issuers lists the issuers of a vault by name; more tells that others follow.
func (s *Service) Issuers(ctx context.Context, g access.Grant, page object.Page) (list []*Issuer, more bool, err error) {
	g.Must(access.CertificateIssuersList)
	return lifecycle.List(ctx, s.cfg.DB, page, func(tx Tx, ahead object.Page) ([]*Issuer, error) {
		return tx.Issuers(ctx, g.Vault().ID, ahead)
	})
}

// Issuer reads one issuer.
func (s *Service) Issuer(ctx context.Context, g access.Grant, n object.Name) (i *Issuer, err error) {
	g.Must(access.CertificateIssuerGet)
	err = s.cfg.DB.View(ctx, func(tx Tx) (err error) {
		i, err = issuer(ctx, tx, g.Vault().ID, n)
		return err
	})
	return i, err
}

func issuer(ctx context.Context, tx IssuerTx, v object.VaultID, n object.Name) (*Issuer, error) {
	i, err := tx.Issuer(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) {
		return nil, issuerNotFound()
	}
	return i, err
}

// SetIssuer stores an issuer wholly; only the creation time of an existing one
// survives.
func (s *Service) SetIssuer(ctx context.Context, g access.Grant, n object.Name, p IssuerParams) (*Issuer, error) {
	g.Must(access.CertificateIssuerSet)
	if strings.EqualFold(n.String(), issuance.Self) || strings.EqualFold(n.String(), issuance.Unknown) {
		return nil, fault.InvalidField("issuer-name", "Self and Unknown are built in.")
	}
	if p.Provider == nil || *p.Provider == "" {
		return nil, fault.MissingField("provider")
	}
	return s.putIssuer(ctx, g, n, p, false)
}

// UpdateIssuer changes what is given and leaves the rest.
func (s *Service) UpdateIssuer(ctx context.Context, g access.Grant, n object.Name, p IssuerParams) (*Issuer, error) {
	g.Must(access.CertificateIssuerUpdate)
	if p.Provider != nil && *p.Provider == "" {
		return nil, fault.InvalidField("provider", "It cannot be empty.")
	}
	return s.putIssuer(ctx, g, n, p, true)
}

func (s *Service) putIssuer(ctx context.Context, g access.Grant, n object.Name, p IssuerParams, merge bool) (*Issuer, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	v := g.Vault().ID
	var box seal.Box
	if p.Password != nil {
		var err error
		if box, err = s.cfg.Sealer.Seal(ctx, passwordPlace(v, n), *p.Password); err != nil {
			return nil, err
		}
	}
	now := s.now()
	var out *Issuer
	err := s.cfg.DB.Update(ctx, func(tx Tx) error {
		old, err := tx.Issuer(ctx, v, n)
		if err != nil && !errors.Is(err, object.ErrNotFound) {
			return err
		}
		if err != nil && merge {
			return issuerNotFound()
		}
		next := &Issuer{Vault: v, Name: n, Enabled: true, Created: now}
		if old != nil {
			next.Name, next.Created = old.Name, old.Created
			if merge {
				next = old
			}
		}
		next.Updated = now
		next.apply(p, box)
		out = next
		return tx.PutIssuer(ctx, next)
	})
	if err != nil {
		return nil, err
	}
	describeIssuer(g, out)
	return out, nil
}

func (i *Issuer) apply(p IssuerParams, password seal.Box) {
	if p.Provider != nil {
		i.Provider = *p.Provider
	}
	if p.AccountID != nil {
		i.AccountID = p.AccountID
	}
	if password != nil {
		i.Password = password
	}
	if p.OrganizationID != nil {
		i.OrganizationID = p.OrganizationID
	}
	if p.Admins != nil {
		i.Admins = p.Admins
	}
	if p.Enabled != nil {
		i.Enabled = *p.Enabled
	}
}

// DeleteIssuer removes an issuer, in use or not, and answers what it was.
func (s *Service) DeleteIssuer(ctx context.Context, g access.Grant, n object.Name) (i *Issuer, err error) {
	g.Must(access.CertificateIssuerDelete)
	err = s.cfg.DB.Update(ctx, func(tx Tx) (err error) {
		if i, err = issuer(ctx, tx, g.Vault().ID, n); err != nil {
			return err
		}
		return tx.DeleteIssuer(ctx, g.Vault().ID, n)
	})
	return i, err
}
