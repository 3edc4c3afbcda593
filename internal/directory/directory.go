package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/guid"
	"coffer/internal/object"
)

// Config is what a Directory is built from.
type Config struct {
	DB    object.DB[Tx]
	Fresh fresh.Source     // how long what was read of a principal is used; zero: once
	Now   func() time.Time // nil: time.Now
}

// Directory holds the tenant's principals. It is safe for concurrent use.
type Directory struct {
	db  object.DB[Tx]
	now func() time.Time

	standings *fresh.Cache[string, Standing]
}

// Bounds of the directory.
const (
	maxName        = 120 // characters of a principal's name
	maxCredentials = 20  // of one principal
	maxGroups      = 1000
	maxPage        = 1000
	maxStandings   = 20_000
)

// MaxTokenLife is how long a token may be good, whoever issued it.
const MaxTokenLife = 24 * time.Hour

// New makes a Directory; it reads nothing yet.
func New(c Config) (*Directory, error) {
	if c.DB == nil {
		return nil, errors.New("directory: DB is required")
	}
	d := &Directory{db: c.DB, now: c.Now, standings: fresh.NewCache[string, Standing](c.Fresh, fresh.Principals, maxStandings, nil)}
	if d.now == nil {
		d.now = time.Now
	}
	return d, nil
}

// CreateApplication adds a service principal with a client id of its own.
func (d *Directory) CreateApplication(ctx context.Context, g access.Grant, name string) (*Principal, error) {
	g.MustEverywhere(access.PrincipalCreate)
	return d.create(ctx, g, name, ServicePrincipal)
}

// managedName is what Azure allows for a user-assigned identity; the name is a
// segment of the identity's resource id.
var managedName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{2,119}$`)

// CreateManagedIdentity adds a managed identity.
func (d *Directory) CreateManagedIdentity(ctx context.Context, g access.Grant, name string) (*Principal, error) {
	g.MustEverywhere(access.PrincipalCreate)
	if !managedName.MatchString(name) {
		return nil, fault.InvalidField("name", "A managed identity's name has 3 to 120 letters, digits, hyphens and underscores, and begins with a letter or digit.")
	}
	return d.create(ctx, g, name, ManagedIdentity)
}

// CreateGroup adds a group without members.
func (d *Directory) CreateGroup(ctx context.Context, g access.Grant, name string) (*Principal, error) {
	g.MustEverywhere(access.PrincipalCreate)
	return d.create(ctx, g, name, Group)
}

func (d *Directory) create(ctx context.Context, g access.Grant, name string, kind Kind) (*Principal, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	p := &Principal{ObjectID: guid.New(), Name: name, Kind: kind, Enabled: true, Created: object.Second(d.now())}
	if kind != Group {
		p.AppID = guid.New()
	}
	g.Attempt().Describe(p.record())
	if err := d.db.Update(ctx, func(tx Tx) error { return tx.InsertPrincipal(ctx, p) }); err != nil {
		return nil, fmt.Errorf("creating a %s: %w", kind, err)
	}
	return p, nil
}

func checkName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || !utf8.ValidString(name) || strings.TrimSpace(name) != name ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fault.InvalidField("name", fmt.Sprintf("A name has 1 to %d printable characters.", maxName))
	}
	if guid.Valid(name) { // it would be taken for somebody's id
		return fault.InvalidField("name", "A name is not a GUID.")
	}
	return nil
}

// find answers a fault when there is no such principal.
func find(ctx context.Context, tx Tx, id string) (*Principal, error) {
	parsed, ok := guid.Parse(id)
	if !ok {
		return nil, fault.InvalidField("id", "It must be the GUID of a principal.")
	}
	p, err := tx.Principal(ctx, parsed)
	if errors.Is(err, object.ErrNotFound) {
		p, err = tx.PrincipalByAppID(ctx, parsed)
	}
	if errors.Is(err, object.ErrNotFound) {
		return nil, &fault.Error{Kind: fault.NotFound, Msg: "The directory has no principal " + parsed + "."}
	}
	return p, err
}

// Enable lets a principal in again. The tokens that it had before it was disabled stay
// refused.
func (d *Directory) Enable(ctx context.Context, g access.Grant, id string) error {
	g.MustEverywhere(access.PrincipalEnable)
	return d.setEnabled(ctx, g, id, true)
}

// Disable keeps a principal out, with the tokens that it has: at once in this
// process, in others as soon as their Source says.
func (d *Directory) Disable(ctx context.Context, g access.Grant, id string) error {
	g.MustEverywhere(access.PrincipalDisable)
	return d.setEnabled(ctx, g, id, false)
}

func (d *Directory) setEnabled(ctx context.Context, g access.Grant, id string, enabled bool) error {
	return d.db.Update(ctx, func(tx Tx) error {
		p, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		g.Attempt().DescribeBefore(p.record())
		if p.Enabled = enabled; !enabled {
			p.revoke(d.now())
		}
		g.Attempt().Describe(p.record())
		return tx.UpdatePrincipal(ctx, p)
	})
}

// Revoke ends the tokens that a principal has, as Disable does; it may sign in again. An
// external user, whom only another issuer knows, gets an entry of its own in the
// directory, which keeps when that was; without external an unknown id is a
// *fault.Error of kind NotFound.
func (d *Directory) Revoke(ctx context.Context, g access.Grant, id string, external bool) error {
	g.MustEverywhere(access.PrincipalRevoke)
	return d.db.Update(ctx, func(tx Tx) error {
		p, err := find(ctx, tx, id)
		if external && fault.Is(err, fault.NotFound) {
			return d.revokeExternal(ctx, tx, g, id)
		}
		if err != nil {
			return err
		}
		if p.Kind == Group {
			return fault.InvalidField("id", "A group has no tokens: revoke those of its members, or take them out of it.")
		}
		g.Attempt().DescribeBefore(p.record())
		p.revoke(d.now())
		g.Attempt().Describe(p.record())
		return tx.UpdatePrincipal(ctx, p)
	})
}

func (d *Directory) revokeExternal(ctx context.Context, tx Tx, g access.Grant, id string) error {
	parsed, ok := guid.Parse(id)
	if !ok {
		return fault.InvalidField("id", "It must be a GUID.")
	}
	p := &Principal{ObjectID: parsed, Name: parsed, Kind: User, Enabled: true, Created: object.Second(d.now())}
	p.revoke(d.now())
	g.Attempt().Describe(p.record())
	return tx.InsertPrincipal(ctx, p)
}

// Delete removes a principal for ever, with its credentials and memberships.
// Its tokens end as those of a disabled one do.
func (d *Directory) Delete(ctx context.Context, g access.Grant, id string) error {
	g.MustEverywhere(access.PrincipalDelete)
	var gone []*Credential
	err := d.db.Update(ctx, func(tx Tx) error {
		p, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		g.Attempt().DescribeBefore(p.record())
		if gone, err = tx.Credentials(ctx, p.ObjectID); err != nil {
			return err
		}
		return tx.DeletePrincipal(ctx, p.ObjectID)
	})
	if err != nil {
		return err
	}
	for _, c := range gone {
		g.Attempt().Also(access.CredentialRemove.Operation(), c.record())
	}
	return nil
}
