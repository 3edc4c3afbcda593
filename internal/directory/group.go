package directory

import (
	"context"
	"errors"
	"slices"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/guid"
	"coffer/internal/object"
)

// AddMember puts a principal or another group into a group. The member may be
// any GUID: users of an external issuer have no row here.
func (d *Directory) AddMember(ctx context.Context, g access.Grant, group, member string) error {
	g.MustEverywhere(access.MemberAdd)
	m, err := membership(group, member)
	if err != nil {
		return err
	}
	return d.db.Update(ctx, func(tx Tx) error {
		if err := isGroup(ctx, tx, m.GroupID); err != nil {
			return err
		}
		if err := describeMember(ctx, tx, g, m); err != nil {
			return err
		}
		g.Attempt().Describe(m.record())
		groups, err := closure(ctx, tx, m.MemberID)
		if err != nil {
			return err
		}
		if len(groups) >= maxGroups {
			return &fault.Error{Kind: fault.Conflict, Msg: "The member is in as many groups as are counted."}
		}
		return tx.InsertMembership(ctx, m)
	})
}

// RemoveMember takes a member out of a group; none there is not an error.
func (d *Directory) RemoveMember(ctx context.Context, g access.Grant, group, member string) error {
	g.MustEverywhere(access.MemberRemove)
	m, err := membership(group, member)
	if err != nil {
		return err
	}
	return d.db.Update(ctx, func(tx Tx) error {
		if err := isGroup(ctx, tx, m.GroupID); err != nil {
			return err
		}
		if err := describeMember(ctx, tx, g, m); err != nil {
			return err
		}
		return tx.DeleteMembership(ctx, m)
	})
}

// describeMember puts on record that the member is in the group before, if it is.
func describeMember(ctx context.Context, tx Tx, g access.Grant, m Membership) error {
	groups, err := tx.GroupsOf(ctx, m.MemberID)
	if slices.Contains(groups, m.GroupID) {
		g.Attempt().DescribeBefore(m.record())
	}
	return err
}

func membership(group, member string) (m Membership, err error) {
	var ok bool
	if m.GroupID, ok = guid.Parse(group); !ok {
		return m, fault.InvalidField("group", "It must be a GUID.")
	}
	if m.MemberID, ok = guid.Parse(member); !ok {
		return m, fault.InvalidField("member", "It must be a GUID.")
	}
	if m.GroupID == m.MemberID {
		return m, fault.InvalidField("member", "A group is not its own member.")
	}
	return m, nil
}

func isGroup(ctx context.Context, tx Tx, id string) error {
	p, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if p.Kind != Group || p.ObjectID != id {
		return fault.InvalidField("group", "The principal is not a group.")
	}
	return nil
}

// closure walks from a member to its groups and to theirs, breadth first. Each
// group counts once, so that circles end; beyond maxGroups none are added.
func closure(ctx context.Context, tx Tx, objectID string) ([]string, error) {
	var all []string
	seen := map[string]bool{objectID: true}
	for next := []string{objectID}; len(next) > 0; next = next[1:] {
		groups, err := tx.GroupsOf(ctx, next[0])
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if !seen[g] && len(all) < maxGroups {
				seen[g] = true
				all = append(all, g)
				next = append(next, g)
			}
		}
	}
	return all, nil
}

// Standing is what the directory holds of an object id.
type Standing struct {
	Principal   *Principal // nil: not in the directory
	Credentials []string   // ids of the principal's
	Groups      []string   // disabled groups give nothing and are left out
}

// Standing is the standing of an object id. It must not be changed.
func (d *Directory) Standing(ctx context.Context, objectID string) (Standing, error) {
	return d.standings.Get(objectID, func() (s Standing, err error) {
		err = d.db.View(ctx, func(tx Tx) error {
			s, err = readStanding(ctx, tx, objectID)
			return err
		})
		return s, err
	})
}

func readStanding(ctx context.Context, tx Tx, objectID string) (s Standing, err error) {
	s.Principal, err = tx.Principal(ctx, objectID)
	if err != nil && !errors.Is(err, object.ErrNotFound) {
		return s, err
	}
	if err != nil {
		s.Principal = nil
	}
	creds, err := tx.Credentials(ctx, objectID)
	if err != nil {
		return s, err
	}
	for _, c := range creds {
		s.Credentials = append(s.Credentials, c.ID)
	}
	groups, err := closure(ctx, tx, objectID)
	if err != nil {
		return s, err
	}
	for _, id := range groups {
		if g, err := tx.Principal(ctx, id); err == nil && g.Enabled {
			s.Groups = append(s.Groups, id)
		} else if err != nil && !errors.Is(err, object.ErrNotFound) {
			return s, err
		}
	}
	return s, nil
}
