package secret

import (
	"context"
	"time"

	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
)

// Version is one version of a secret.
type Version struct {
	Vault   object.VaultID
	Name    object.Name
	Version object.Version

	ContentType string         // "" when none was given
	Value       seal.Box       // bound to ValuePlace
	Previous    object.Version // managed secrets: the version before this one; "" for the first

	Attributes object.Attributes
	Tags       object.Tags
}

// ValuePlace is where the value of a version is sealed to.
func ValuePlace(v object.VaultID, n object.Name, ver object.Version) seal.Place {
	return seal.Place{Kind: "secret", Vault: v, Name: n.Key(), Version: string(ver), Column: "value"}
}

// Listed is a secret as lists show it.
type Listed struct {
	Head    object.Head
	Version Version // Value is not filled
}

// Bundle is one version with what its name has: what most answers show.
type Bundle struct {
	Head    object.Head
	Version *Version
	Value   seal.Value // the opened value, only of what gives it out: Get and Set
}

// Tx is what secrets need of one open transaction; the words of key.Tx hold here
// too.
type Tx interface {
	HeadTx
	VersionTx
	lifecycle.VaultTx
	outbox.Tx
}

// HeadTx is the names of secrets.
type HeadTx interface {
	InsertSecret(ctx context.Context, h object.Head) error
	SecretHead(ctx context.Context, v object.VaultID, n object.Name) (object.Head, error)
	UpdateSecretHead(ctx context.Context, h object.Head) error
	PurgeSecret(ctx context.Context, v object.VaultID, n object.Name) error
	// DueSecrets lists what has been deleted for as long as its vault keeps
	// deleted objects, in all vaults, the longest due first. Those of certificates
	// are not among them.
	DueSecrets(ctx context.Context, now time.Time, limit int) ([]object.Head, error)
}

// VersionTx is the versions of secrets.
type VersionTx interface {
	InsertSecretVersion(ctx context.Context, v *Version) error
	SecretVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*Version, error)
	// UpdateSecretVersion stores Attributes, Tags and ContentType.
	UpdateSecretVersion(ctx context.Context, v *Version) error
	SecretVersions(ctx context.Context, v object.VaultID, n object.Name, page object.Page) ([]*Version, error)
	// Secrets lists live names that have a version, managed or not.
	Secrets(ctx context.Context, v object.VaultID, page object.Page) ([]Listed, error)
	// DeletedSecrets lists deleted names. Those of certificates are not among
	// them.
	DeletedSecrets(ctx context.Context, v object.VaultID, page object.Page) ([]Listed, error)
}
