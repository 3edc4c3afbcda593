package certificate

import (
	"context"
	"time"

	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
	"coffer/internal/secret"
)

// Certificate is what a name has whatever its versions. Its Head.Current is the
// last completed version, or the placeholder's while there is none.
type Certificate struct {
	Head   object.Head
	Policy *issuance.Policy
	// Pending tells that an operation exists, in whatever state. It is derived;
	// storing a Certificate does not look at it.
	Pending bool
}

// Version is one version of a certificate.
type Version struct {
	Vault   object.VaultID
	Name    object.Name
	Version object.Version

	// Completed is false for a placeholder: the disabled stand-in for the first
	// version until it is issued (contract certificates.md, 8.1). A placeholder
	// has no certificate, no key and no secret.
	Completed bool

	Leaf          []byte   // DER; nil for a placeholder
	Chain         [][]byte // DER, as merged or imported, ordered unless PreserveOrder
	Thumbprint    []byte   // SHA-1 of Leaf; nil for a placeholder
	PreserveOrder bool

	Attributes object.Attributes // dates from the leaf
	Tags       object.Tags

	// NextAction is when the policy's lifetime action is due; zero: never. Only
	// the current version of a name has one.
	NextAction time.Time
}

// Listed is one row of a list.
type Listed struct {
	Head    object.Head
	Version Version // Leaf and Chain are not filled
}

// ListQuery says which names to list.
type ListQuery struct {
	Page    object.Page // After is a canonical name
	Deleted bool        // the deleted collection instead of the live one
	Pending bool        // also names that have only a placeholder
}

// Contact is one person to tell about certificates. nil: not given.
type Contact struct {
	Email string
	Name  *string
	Phone *string
}

// Issuer is the stored set-up of a named issuer (contract certificates.md, 5.6).
type Issuer struct {
	Vault     object.VaultID
	Name      object.Name
	Provider  string
	AccountID *string  // nil: not given
	Password  seal.Box // nil: not given; bound to passwordPlace; never shown

	OrganizationID *string
	Admins         []issuance.Admin // nil: not given; empty: given empty

	Enabled bool
	Created time.Time
	Updated time.Time
}

// Tx is what certificates need of one open transaction. Names hold the three
// families together, and versions are stored three at a time.
type Tx interface {
	headsTx
	versionsTx
	ContactTx
	IssuerTx
	issuance.Tx
	key.HandleTx
	lifecycle.VaultTx
	jobs.Tx
	outbox.Tx
}

// certificatesTx is certificates without their keys and secrets.
type certificatesTx interface {
	HeadTx
	VersionTx
}

// headsTx is the names of the three families.
type headsTx interface {
	HeadTx
	key.HeadTx
	secret.HeadTx
}

// versionsTx is the versions of the three families.
type versionsTx interface {
	VersionTx
	key.VersionTx
	secret.VersionTx
}

// HeadTx is the names of certificates.
type HeadTx interface {
	// InsertCertificate fails with object.ErrExists when the name is taken, also
	// by a deleted certificate.
	InsertCertificate(ctx context.Context, c *Certificate) error
	// UpdateCertificate stores Head.Current, Head.Deletion and Policy.
	UpdateCertificate(ctx context.Context, c *Certificate) error
	// Certificate answers object.ErrNotFound when the name is not known. A
	// deleted one is found, with its Deletion set.
	Certificate(ctx context.Context, v object.VaultID, n object.Name) (*Certificate, error)
	// CurrentCertificate is Certificate and the version that Head.Current names,
	// in one query: the way of GET.
	CurrentCertificate(ctx context.Context, v object.VaultID, n object.Name) (*Certificate, *Version, error)
	// Certificates lists names in the order of their canonical form; the version
	// shown is the current one.
	Certificates(ctx context.Context, v object.VaultID, q ListQuery) ([]Listed, error)
	// PurgeCertificate removes the head, every version and the operation; absent
	// is not an error.
	PurgeCertificate(ctx context.Context, v object.VaultID, n object.Name) error
	// DuePurges lists certificates of all vaults whose PurgeAt is not after now.
	DuePurges(ctx context.Context, now time.Time, limit int) ([]object.Head, error)
}

// VersionTx is the versions of certificates.
type VersionTx interface {
	// InsertVersion fails with object.ErrExists for a version that exists.
	InsertVersion(ctx context.Context, v *Version) error
	// UpdateVersion stores Attributes, Tags and NextAction.
	UpdateVersion(ctx context.Context, v *Version) error
	// DeleteVersion removes a placeholder; absent is not an error.
	DeleteVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) error
	// CertificateVersion answers object.ErrNotFound when there is none; it does
	// not look at deletion.
	CertificateVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*Version, error)
	// CertificateVersions lists the completed versions of a live name in order of
	// creation, from after page.After (a version; one that is gone starts where it
	// stood is not required: it answers object.ErrNotFound). With a Limit of 0 it
	// lists all versions, placeholders included, whether the name is live or
	// deleted.
	CertificateVersions(ctx context.Context, v object.VaultID, n object.Name, page object.Page) ([]*Version, error)
}

// ContactTx is the contacts of vaults.
type ContactTx interface {
	// Contacts answers object.ErrNotFound when none are set.
	Contacts(ctx context.Context, v object.VaultID) ([]Contact, error)
	// SetContacts replaces the list; DeleteContacts removes it.
	SetContacts(ctx context.Context, v object.VaultID, c []Contact) error
	DeleteContacts(ctx context.Context, v object.VaultID) error
}

// IssuerTx is the named issuers of vaults.
type IssuerTx interface {
	// Issuer answers object.ErrNotFound when the name is not known.
	Issuer(ctx context.Context, v object.VaultID, n object.Name) (*Issuer, error)
	// PutIssuer inserts or replaces.
	PutIssuer(ctx context.Context, i *Issuer) error
	DeleteIssuer(ctx context.Context, v object.VaultID, n object.Name) error
	// Issuers lists issuers by canonical name, from after page.After.
	Issuers(ctx context.Context, v object.VaultID, page object.Page) ([]*Issuer, error)
}
