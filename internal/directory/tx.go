package directory

import "context"

// Tx is what the directory needs of one open transaction. Ids are compared
// byte by byte: the directory writes and asks for them in lower case. A method
// that finds one row answers object.ErrNotFound when there is none; a list of
// none is empty. Slices that come back belong to the caller.
type Tx interface {
	PrincipalTx
	CredentialTx
	GroupTx
}

// PrincipalTx is who there is.
type PrincipalTx interface {
	// InsertPrincipal fails with object.ErrExists when the ObjectID is taken, or
	// the AppID by another principal (an empty AppID is never taken).
	InsertPrincipal(ctx context.Context, p *Principal) error
	// UpdatePrincipal stores Name, Enabled and ValidAfter; object.ErrNotFound when there is
	// no such ObjectID.
	UpdatePrincipal(ctx context.Context, p *Principal) error
	Principal(ctx context.Context, objectID string) (*Principal, error)
	PrincipalByAppID(ctx context.Context, appID string) (*Principal, error)
	// Principals lists at most limit principals in order of ObjectID, beginning
	// after the given one; "" is from the start.
	Principals(ctx context.Context, after string, limit int) ([]*Principal, error)
	// DeletePrincipal removes the principal, its credentials, and every
	// membership that names it on either side. Absent is not an error.
	DeletePrincipal(ctx context.Context, objectID string) error
}

// CredentialTx is what principals prove themselves with.
type CredentialTx interface {
	// InsertCredential fails with object.ErrExists when the ID is taken, or
	// (Kind, Hash) by any credential; a nil Hash is never taken. The principal
	// exists.
	InsertCredential(ctx context.Context, c *Credential) error
	// Credentials lists those of one principal, oldest first, then by ID.
	Credentials(ctx context.Context, objectID string) ([]*Credential, error)
	CredentialByHash(ctx context.Context, kind CredentialKind, hash []byte) (*Credential, error)
	// DeleteCredential removes the principal's credential of that ID; absent is
	// not an error.
	DeleteCredential(ctx context.Context, objectID, id string) error
}

// GroupTx is who belongs to whom.
type GroupTx interface {
	// InsertMembership adds a member; there already is not an error. The group
	// exists; the member may be anyone, also a principal that only an external
	// issuer knows.
	InsertMembership(ctx context.Context, m Membership) error
	// DeleteMembership removes a member; absent is not an error.
	DeleteMembership(ctx context.Context, m Membership) error
	// GroupsOf lists the groups that have memberID as a direct member, in order.
	GroupsOf(ctx context.Context, memberID string) ([]string, error)
	// MembersOf lists the direct members of a group, in order.
	MembersOf(ctx context.Context, groupID string) ([]string, error)
}
