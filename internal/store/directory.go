package store

import (
	"context"
	"database/sql"

	"coffer/internal/directory"
	"coffer/internal/object"
)

const (
	principalColumns = `object_id, app_id, name, kind, enabled, created, valid_after`
	insertPrincipal  = `INSERT INTO principals (` + principalColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
	updatePrincipal  = `UPDATE principals SET name = $2, enabled = $3, valid_after = $4 WHERE object_id = $1`
	selectPrincipal  = `SELECT ` + principalColumns + ` FROM principals WHERE object_id = $1`
	principalByAppID = `SELECT ` + principalColumns + ` FROM principals WHERE app_id = $1`
	listPrincipals   = `SELECT ` + principalColumns + ` FROM principals WHERE object_id > $1 ORDER BY object_id LIMIT $2`
	deletePrincipal  = `DELETE FROM principals WHERE object_id = $1`
	leaveGroups      = `DELETE FROM memberships WHERE member_id = $1`

	credentialColumns = `id, object_id, kind, hash, federation, hint, created, expires, certificate`
	insertCredential  = `INSERT INTO credentials (` + credentialColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT DO NOTHING`
	listCredentials  = `SELECT ` + credentialColumns + ` FROM credentials WHERE object_id = $1 /* each row */ ORDER BY created, id`
	credentialByHash = `SELECT ` + credentialColumns + ` FROM credentials WHERE kind = $1 AND hash = $2`
	deleteCredential = `DELETE FROM credentials WHERE object_id = $1 AND id = $2`

	insertMembership = `INSERT INTO memberships (group_id, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	deleteMembership = `DELETE FROM memberships WHERE group_id = $1 AND member_id = $2`
	groupsOf         = `SELECT group_id FROM memberships WHERE member_id = $1 /* each row */ ORDER BY group_id`
	membersOf        = `SELECT member_id FROM memberships WHERE group_id = $1 /* each row */ ORDER BY member_id`
)

// InsertPrincipal implements directory.Tx.
func (tx *Tx) InsertPrincipal(ctx context.Context, p *directory.Principal) error {
	name, err := toJSON(p.Name)
	if err != nil {
		return err
	}
	var app any // NULL is never taken
	if p.AppID != "" {
		app = p.AppID
	}
	return tx.insert(ctx, "InsertPrincipal", insertPrincipal, p.ObjectID, app, name, string(p.Kind), p.Enabled, second(p.Created), p.ValidAfter)
}

// UpdatePrincipal implements directory.Tx.
func (tx *Tx) UpdatePrincipal(ctx context.Context, p *directory.Principal) error {
	name, err := toJSON(p.Name)
	if err != nil {
		return err
	}
	return tx.change(ctx, object.ErrNotFound, "UpdatePrincipal", updatePrincipal, p.ObjectID, name, p.Enabled, p.ValidAfter)
}

// Principal implements directory.Tx.
func (tx *Tx) Principal(ctx context.Context, objectID string) (*directory.Principal, error) {
	return first(tx.principals(ctx, selectPrincipal, objectID))
}

// PrincipalByAppID implements directory.Tx.
func (tx *Tx) PrincipalByAppID(ctx context.Context, appID string) (*directory.Principal, error) {
	return first(tx.principals(ctx, principalByAppID, appID))
}

// Principals implements directory.Tx.
func (tx *Tx) Principals(ctx context.Context, after string, limit int) ([]*directory.Principal, error) {
	return tx.principals(ctx, listPrincipals, after, limit)
}

func (tx *Tx) principals(ctx context.Context, query string, args ...any) (list []*directory.Principal, err error) {
	err = tx.rows(ctx, query, args, func(s scanner) error {
		p := new(directory.Principal)
		var app sql.NullString
		var name, kind string
		var created int64
		if err := s.Scan(&p.ObjectID, &app, &name, &kind, &p.Enabled, &created, &p.ValidAfter); err != nil {
			return err
		}
		p.AppID, p.Kind, p.Created = app.String, directory.Kind(kind), fromSecond(created)
		list = append(list, p)
		return fromJSON(name, &p.Name)
	})
	return list, err
}

// first is the one row of a query for one row.
func first[T any](list []*T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, object.ErrNotFound
	}
	return list[0], nil
}

// DeletePrincipal implements directory.Tx. Its credentials, and its members if
// it is a group, hang on its row; a member need not have one.
func (tx *Tx) DeletePrincipal(ctx context.Context, objectID string) error {
	if _, err := tx.exec(ctx, "DeletePrincipal", leaveGroups, objectID); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "DeletePrincipal", deletePrincipal, objectID)
	return err
}

// federation is the column of what only federated credentials have (stored shapes:
// column.go).
type federation struct {
	Issuer    string   `json:"Issuer"`
	Subject   string   `json:"Subject"`
	Audiences []string `json:"Audiences"`
}

// InsertCredential implements directory.Tx; object.ErrNotFound when there is no
// such principal.
func (tx *Tx) InsertCredential(ctx context.Context, c *directory.Credential) error {
	fed, err := toJSON(federation{c.Issuer, c.Subject, c.Audiences})
	if err != nil {
		return err
	}
	return tx.insert(ctx, "InsertCredential", insertCredential, c.ID, c.ObjectID, string(c.Kind), blob(c.Hash), fed,
		c.Hint, second(c.Created), secondOrNull(c.Expires), blob(c.Certificate))
}

// Credentials implements directory.Tx.
func (tx *Tx) Credentials(ctx context.Context, objectID string) ([]*directory.Credential, error) {
	return tx.credentials(ctx, listCredentials, objectID)
}

// CredentialByHash implements directory.Tx.
func (tx *Tx) CredentialByHash(ctx context.Context, kind directory.CredentialKind, hash []byte) (*directory.Credential, error) {
	return first(tx.credentials(ctx, credentialByHash, string(kind), blob(hash)))
}

func (tx *Tx) credentials(ctx context.Context, query string, args ...any) (list []*directory.Credential, err error) {
	err = tx.rows(ctx, query, args, func(s scanner) error {
		c := new(directory.Credential)
		var kind, fed string
		var created int64
		var expires sql.NullInt64
		if err := s.Scan(&c.ID, &c.ObjectID, &kind, &c.Hash, &fed, &c.Hint, &created, &expires, &c.Certificate); err != nil {
			return err
		}
		var f federation
		if err := fromJSON(fed, &f); err != nil {
			return err
		}
		c.Kind, c.Created, c.Expires = directory.CredentialKind(kind), fromSecond(created), fromNullSecond(expires)
		c.Issuer, c.Subject, c.Audiences = f.Issuer, f.Subject, f.Audiences
		list = append(list, c)
		return nil
	})
	return list, err
}

// DeleteCredential implements directory.Tx.
func (tx *Tx) DeleteCredential(ctx context.Context, objectID, id string) error {
	_, err := tx.exec(ctx, "DeleteCredential", deleteCredential, objectID, id)
	return err
}

// InsertMembership implements directory.Tx; object.ErrNotFound when there is no
// such group.
func (tx *Tx) InsertMembership(ctx context.Context, m directory.Membership) error {
	_, err := tx.exec(ctx, "InsertMembership", insertMembership, m.GroupID, m.MemberID)
	return err
}

// DeleteMembership implements directory.Tx.
func (tx *Tx) DeleteMembership(ctx context.Context, m directory.Membership) error {
	_, err := tx.exec(ctx, "DeleteMembership", deleteMembership, m.GroupID, m.MemberID)
	return err
}

// GroupsOf implements directory.Tx.
func (tx *Tx) GroupsOf(ctx context.Context, memberID string) ([]string, error) {
	return tx.texts(ctx, groupsOf, memberID)
}

// MembersOf implements directory.Tx.
func (tx *Tx) MembersOf(ctx context.Context, groupID string) ([]string, error) {
	return tx.texts(ctx, membersOf, groupID)
}

// texts lists the one column of a query.
func (tx *Tx) texts(ctx context.Context, query string, args ...any) (list []string, err error) {
	err = tx.rows(ctx, query, args, func(s scanner) error {
		var text string
		if err := s.Scan(&text); err != nil {
			return err
		}
		list = append(list, text)
		return nil
	})
	return list, err
}
