package access

import (
	"cmp"
	"strconv"
	"strings"
)

// Caller is who asks, as a verified token says (contract access-control.md, 3).
type Caller struct {
	TenantID    string
	ObjectID    string   // of the user, service principal or managed identity
	AppID       string   // the client application
	Issuer      string   // quoted in refusals
	UPN         string   // of a user, or what an operator calls itself; for the record only
	UID         string   // of an operator: the system's number, "" when it is not known; for the record only
	TokenID     string   // for the record only, as are the next two
	KeyID       string   // of the key that signed the token
	Credential  string   // id of the credential that obtained the token; "": an external issuer's
	Delegated   bool     // a user acting through the application
	Groups      []string // ids of all groups, transitively; compared without case
	TokenGroups int      // how many groups the token itself named

	kind kind
}

// kind is what vouches for a caller.
type kind uint8

const (
	principal kind = iota // a verified token
	machine               // the operating system: it let the caller open the operator's socket
	ownSelf               // the process itself
)

// Operator is the administrator of the machine, under the name that it gives itself
// and the number by which the system knows its user ("": it is not known); the record
// tells both. It may do everything on the management plane, and nothing on the data
// plane.
func Operator(name, uid string) Caller { return Caller{UPN: name, UID: uid, kind: machine} }

// ID tells callers of one tenant apart; "" for who has no id: an operator, the process.
func (c Caller) ID() string { return cmp.Or(c.ObjectID, c.AppID) }

// IsBackground tells whether the vault itself is at work.
func (c Caller) IsBackground() bool { return c.kind == ownSelf }

// String is the caller as refusals quote it.
func (c Caller) String() string {
	return "appid=" + c.AppID + ";oid=" + c.ObjectID + ";iss=" + c.Issuer
}

// counted is the caller as refusals by access policies quote it.
func (c Caller) counted() string {
	return "appid=" + c.AppID + ";oid=" + c.ObjectID + ";numgroups=" + strconv.Itoa(c.TokenGroups) + ";iss=" + c.Issuer
}

// ids are the ids that policies and assignments may name the caller by, in lower
// case: its own and those of its groups. The empty id names nobody.
func (c Caller) ids() ids {
	set := make(ids, 1+len(c.Groups))
	for _, id := range append([]string{c.ObjectID}, c.Groups...) {
		if id != "" {
			set[strings.ToLower(id)] = struct{}{}
		}
	}
	return set
}

type ids map[string]struct{}

func (s ids) has(id string) bool {
	_, ok := s[strings.ToLower(id)]
	return ok
}
