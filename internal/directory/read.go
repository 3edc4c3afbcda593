package directory

import (
	"context"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/guid"
)

// Resolve finds the principal that a person means: by object id, client id, or a
// name that only one has. It tells nothing but who that is, and so needs no grant:
// doors must know what an attempt is on before it is decided about.
func (d *Directory) Resolve(ctx context.Context, text string) (found *Principal, err error) {
	err = d.db.View(ctx, func(tx Tx) error {
		if _, ok := guid.Parse(text); ok {
			found, err = find(ctx, tx, text)
			return err
		}
		var named []*Principal
		err := each(ctx, tx, func(p *Principal) error {
			if p.Name == text {
				named = append(named, p)
			}
			return nil
		})
		if len(named) > 1 {
			return ambiguous(text, named)
		}
		found = nil
		if len(named) == 1 {
			found = named[0]
		}
		if err == nil && found == nil {
			err = &fault.Error{Kind: fault.NotFound, Msg: "There is no identity '" + text + "'."}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// maxNamed is how many of several principals of one name are listed.
const maxNamed = 20

// ambiguous lists those who have a name, to choose one by its id. Names are for people,
// and not unique, as in Entra ID.
func ambiguous(name string, all []*Principal) error {
	text := "Several identities are named '" + name + "': give the object id of one."
	for _, p := range all[:min(len(all), maxNamed)] {
		text += fmt.Sprintf("\n  %s  %s, created %s", p.ObjectID, p.Kind, p.Created.Format(time.RFC3339))
		if !p.Enabled {
			text += ", disabled"
		}
	}
	if more := len(all) - maxNamed; more > 0 {
		text += fmt.Sprintf("\n  and %d more", more)
	}
	return &fault.Error{Kind: fault.Conflict, Msg: text}
}

// each walks the directory in order of object id.
func each(ctx context.Context, tx Tx, fn func(*Principal) error) error {
	after := ""
	for {
		page, err := tx.Principals(ctx, after, maxPage)
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := fn(p); err != nil {
				return err
			}
		}
		if len(page) < maxPage {
			return nil
		}
		after = page[len(page)-1].ObjectID
	}
}

// List lists at most limit (1 to 1000) principals in order of object id, after
// the given one.
func (d *Directory) List(ctx context.Context, g access.Grant, after string, limit int) (ps []*Principal, err error) {
	g.MustEverywhere(access.PrincipalList)
	if limit < 1 || limit > maxPage {
		return nil, fault.InvalidField("limit", fmt.Sprintf("It is 1 to %d.", maxPage))
	}
	err = d.db.View(ctx, func(tx Tx) error {
		ps, err = tx.Principals(ctx, after, limit)
		return err
	})
	return ps, err
}

// Detail is a principal with what belongs to it.
type Detail struct {
	*Principal
	Credentials []*Credential // oldest first; never what proves them
	Members     []string      // of a group, the direct ones
	Groups      []string      // that it is in, also through others: at most 1000, nearest first
}

// Detail reads one principal, by object id or client id.
func (d *Directory) Detail(ctx context.Context, g access.Grant, id string) (out *Detail, err error) {
	g.MustEverywhere(access.PrincipalGet, access.PrincipalEnable, access.PrincipalDisable, access.PrincipalRevoke)
	err = d.db.View(ctx, func(tx Tx) error {
		p, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		out = &Detail{Principal: p}
		if out.Credentials, err = tx.Credentials(ctx, p.ObjectID); err != nil {
			return err
		}
		if p.Kind == Group {
			if out.Members, err = tx.MembersOf(ctx, p.ObjectID); err != nil {
				return err
			}
		}
		out.Groups, err = closure(ctx, tx, p.ObjectID)
		return err
	})
	return out, err
}
