package key

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
)

// Service reads keys. Every method asks for the grant of its own action.
type Service struct{ db DB }

// NewService serves keys from db.
func NewService(db DB) *Service { return &Service{db: db} }

// NotFound is the recorded answer for a key or version that is not there.
func NotFound(n object.Name, ver object.Version) error {
	id := n.String()
	if ver != "" {
		id += "/" + string(ver)
	}
	return &fault.Error{Kind: fault.NotFound, Subject: fault.Key, Msg: "A key with (name/id) " + id +
		" was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command." +
		" For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}
}

// live is the head of a name that exists and is not deleted, or NotFound.
func live(ctx context.Context, tx Tx, v object.VaultID, n object.Name, ver object.Version) (object.Head, error) {
	h, err := tx.KeyHead(ctx, v, n)
	if errors.Is(err, object.ErrNotFound) || err == nil && h.Deletion != nil {
		return h, NotFound(n, ver)
	}
	return h, err
}

// Get reads one version; "" means the current one.
func (s *Service) Get(ctx context.Context, g access.Grant, ver object.Version) (*Version, object.Head, error) {
	g.Must(access.KeyGet)
	var v *Version
	var h object.Head
	err := s.db.View(ctx, func(tx Tx) (err error) {
		if h, err = live(ctx, tx, g.Vault().ID, g.Name(), ver); err != nil {
			return err
		}
		want := ver
		if want == "" {
			want = h.Current
		}
		v, err = tx.KeyVersion(ctx, h.Vault, h.Name, want)
		if errors.Is(err, object.ErrNotFound) {
			return NotFound(g.Name(), ver)
		}
		return err
	})
	return v, h, err
}

// List lists live keys by name; more tells that others follow.
func (s *Service) List(ctx context.Context, g access.Grant, page object.Page) (items []Listed, more bool, err error) {
	g.Must(access.KeyList)
	err = s.db.View(ctx, func(tx Tx) (err error) {
		items, err = tx.Keys(ctx, g.Vault().ID, page.Ahead())
		return err
	})
	items, more = object.Cut(items, page.Limit)
	return items, more, err
}

// ListVersions lists the versions of a name in order of creation; none when the
// name is not known.
func (s *Service) ListVersions(ctx context.Context, g access.Grant, page object.Page) (vs []*Version, h object.Head, more bool, err error) {
	g.Must(access.KeyListVersions)
	err = s.db.View(ctx, func(tx Tx) (err error) {
		if h, err = live(ctx, tx, g.Vault().ID, g.Name(), ""); fault.Is(err, fault.NotFound) {
			return nil
		} else if err != nil {
			return err
		}
		vs, err = tx.KeyVersions(ctx, h.Vault, h.Name, page.Ahead())
		return err
	})
	vs, more = object.Cut(vs, page.Limit)
	return vs, h, more, err
}

// Refuse answers a write through the keys door: the key of a certificate is
// changed through its certificate only (contract certificates.md, 7.2). op is
// the word of the message, such as "delete".
func (s *Service) Refuse(ctx context.Context, g access.Grant, op string) error {
	return s.db.View(ctx, func(tx Tx) error {
		h, err := live(ctx, tx, g.Vault().ID, g.Name(), "")
		switch {
		case err == nil && h.Managed:
			return &fault.Error{Kind: fault.Forbidden, Reason: fault.KeyManagedByKeyVault,
				Msg: fmt.Sprintf("Operation %q is not allowed as this object's lifetime is managed by Key Vault.", op)}
		case err == nil || fault.Is(err, fault.NotFound) && (op == "create" || op == "import" || op == "restore"):
			return &fault.Error{Kind: fault.Unsupported, Msg: fmt.Sprintf("Operation %q is not enabled for this vault.", op)}
		}
		return err
	})
}
