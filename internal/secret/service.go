package secret

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Opener opens sealed values.
type Opener interface {
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Convert turns a stored PFX (standard base64) into PEM. It is given by the
// wiring, because the codec of certificates is not this package's business.
type Convert func(pfx seal.Value) (seal.Value, error)

// Service reads secrets. Every method asks for the grant of its own action.
type Service struct {
	db      DB
	opener  Opener
	convert Convert
}

// NewService serves secrets from db.
func NewService(db DB, opener Opener, convert Convert) *Service {
	return &Service{db: db, opener: opener, convert: convert}
}

// The content types that a PFX can be read as (contract secrets.md, 5.2).
const (
	pkcs12Type = "application/x-pkcs12"
	pemType    = "application/x-pem-file"
)

// NotFound is the recorded answer for a secret or version that is not there.
func NotFound(n object.Name, ver object.Version) error {
	id := n.String()
	if ver != "" {
		id += "/" + string(ver)
	}
	return &fault.Error{Kind: fault.NotFound, Subject: fault.Secret, Msg: "A secret with (name/id) " + id +
		" was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command." +
		" For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}
}

func live(ctx context.Context, tx Tx, v object.VaultID, n object.Name, ver object.Version) (object.Head, error) {
	h, err := tx.SecretHead(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) || err == nil && h.Deletion != nil {
		return h, NotFound(n, ver)
	}
	return h, err
}

// Get reads one version with its value; "" means the current one. as asks for
// another form (outContentType), "" for the stored one; the form given is
// answered. A disabled version is Forbidden; dates are informative only
// (contract secrets.md, 5.2).
func (s *Service) Get(ctx context.Context, g access.Grant, ver object.Version, as string) (v *Version, h object.Head, value seal.Value, contentType string, err error) {
	g.Must(access.SecretGet)
	err = s.db.View(ctx, func(tx Tx) (err error) {
		if h, err = live(ctx, tx, g.Vault().ID, g.Name(), ver); err != nil {
			return err
		}
		want := ver
		if want == "" {
			want = h.Current
		}
		v, err = tx.SecretVersion(ctx, h.Vault, h.Name, want)
		if errors.Is(err, object.ErrNotFound) {
			return NotFound(g.Name(), ver)
		}
		return err
	})
	if err != nil {
		return nil, h, value, "", err
	}
	if !v.Attributes.Enabled {
		return nil, h, value, "", &fault.Error{Kind: fault.Forbidden, Reason: fault.SecretDisabled,
			Msg: "Operation get is not allowed on a disabled secret."}
	}
	contentType = v.ContentType
	toPEM := false
	if as != "" && as != contentType {
		if toPEM = h.Managed && contentType == pkcs12Type && as == pemType; !toPEM {
			return nil, h, value, "", fault.InvalidField("outContentType", "")
		}
		contentType = as
	}
	value, err = s.opener.Open(ctx, ValuePlace(v.Vault, v.Name, v.Version), v.Value)
	if err == nil && toPEM {
		value, err = s.convert(value)
	}
	if err != nil {
		return nil, h, seal.Value{}, "", fmt.Errorf("reading secret %s/%s: %w", v.Name, v.Version, err)
	}
	return v, h, value, contentType, nil
}

// List lists live secrets by name; more tells that others follow.
func (s *Service) List(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.SecretList)
	err = s.db.View(ctx, func(tx Tx) (err error) {
		items, err = tx.Secrets(ctx, g.Vault().ID, page.Ahead())
		return err
	})
	items, more = object.Cut(items, page.Limit)
	return items, more, err
}

// ListVersions lists the versions of a name in order of creation; none when the
// name is not known.
func (s *Service) ListVersions(ctx context.Context, g access.Grant, page object.Page) (vs []*Version, h object.Head, more bool, err error) {
	g.Must(access.SecretListVersions)
	err = s.db.View(ctx, func(tx Tx) (err error) {
		if h, err = live(ctx, tx, g.Vault().ID, g.Name(), ""); fault.Is(err, fault.NotFound) {
			return nil
		} else if err != nil {
			return err
		}
		vs, err = tx.SecretVersions(ctx, h.Vault, h.Name, page.Ahead())
		return err
	})
	vs, more = object.Cut(vs, page.Limit)
	return vs, h, more, err
}

// Refuse answers a write through the secrets door: the secret of a certificate
// is changed through its certificate only (contract certificates.md, 7.2). op is
// the word of the message, such as "set".
func (s *Service) Refuse(ctx context.Context, g access.Grant, op string) error {
	return s.db.View(ctx, func(tx Tx) error {
		h, err := live(ctx, tx, g.Vault().ID, g.Name(), "")
		switch {
		case err == nil && h.Managed:
			return &fault.Error{Kind: fault.Forbidden, Reason: fault.SecretManagedByKeyVault,
				Msg: fmt.Sprintf("Operation %q is not allowed as this object's lifetime is managed by Key Vault.", op)}
		case err == nil || fault.Is(err, fault.NotFound) && (op == "set" || op == "restore"):
			return &fault.Error{Kind: fault.Unsupported, Msg: fmt.Sprintf("Operation %q is not enabled for this vault.", op)}
		}
		return err
	})
}
