package key

import (
	"context"
	"time"

	"coffer/internal/hsm"
	"coffer/internal/jobs"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

// Version is one version of a key.
type Version struct {
	Vault   object.VaultID
	Name    object.Name
	Version object.Version

	Spec       pki.KeySpec
	Public     []byte   // SubjectPublicKeyInfo, DER; nil of oct
	Private    seal.Box // PKCS#8, or the handle of a key in the HSM; bound to PrivatePlace
	HSM        hsm.ID   // the key in the HSM, as the handle names it; zero: a key in software
	Ops        []Op
	Exportable bool

	Attributes object.Attributes
	Tags       object.Tags
}

// Type is the kty that clients see: no key outside of the HSM has one of an HSM.
func (v *Version) Type() string {
	if v.HSM.IsZero() {
		return string(v.Spec.Algorithm)
	}
	return string(v.Spec.Algorithm) + hsmSuffix
}

// PrivatePlace is where the private key of a version is sealed to.
func PrivatePlace(v object.VaultID, n object.Name, ver object.Version) seal.Place {
	return seal.Place{Kind: "key", Vault: v, Name: n.Key(), Version: string(ver), Column: "private"}
}

// Listed is a key as lists show it: its head and the attributes of the version.
type Listed struct {
	Head    object.Head
	Version Version // Private is not filled
}

// Bundle is one version with the head of its name: what most answers show. It
// may be shared: it must not be changed.
type Bundle struct {
	Head    object.Head
	Version *Version
}

// Tx is what keys need of one open transaction. Every method is bound to one
// vault; names are compared by their canonical form.
type Tx interface {
	HeadTx
	VersionTx
	PolicyTx
	HandleTx
	lifecycle.VaultTx
	outbox.Tx
}

// HeadTx is the names of keys.
type HeadTx interface {
	// InsertKey fails with object.ErrExists when the name is taken, also by a
	// deleted key.
	InsertKey(ctx context.Context, h object.Head) error
	// KeyHead answers object.ErrNotFound when the name is not known. A deleted
	// key is found, with its Deletion set.
	KeyHead(ctx context.Context, v object.VaultID, n object.Name) (object.Head, error)
	// UpdateKeyHead stores Current and Deletion.
	UpdateKeyHead(ctx context.Context, h object.Head) error
	// PurgeKey removes the head, every version and the rotation policy; absent is
	// not an error.
	PurgeKey(ctx context.Context, v object.VaultID, n object.Name) error
	// DueKeyPurges lists keys of all vaults whose PurgeAt is not after now,
	// without those of certificates.
	DueKeyPurges(ctx context.Context, now time.Time, limit int) ([]object.Head, error)
}

// VersionTx is the versions of keys.
type VersionTx interface {
	// InsertKeyVersion fails with object.ErrExists for a version that exists.
	InsertKeyVersion(ctx context.Context, v *Version) error
	// Key reads one version with its head; "" means the current one. It answers
	// object.ErrNotFound when there is none; it does not look at deletion.
	Key(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (object.Head, *Version, error)
	// KeyVersion answers object.ErrNotFound when there is none; it does not look
	// at deletion.
	KeyVersion(ctx context.Context, v object.VaultID, n object.Name, ver object.Version) (*Version, error)
	// UpdateKeyVersion stores Attributes, Tags and Ops.
	UpdateKeyVersion(ctx context.Context, v *Version) error
	// KeyVersions lists the versions of a live name in order of creation, from
	// after page.After (a version). With an empty Limit of 0 it lists all,
	// whether the name is live or deleted.
	KeyVersions(ctx context.Context, v object.VaultID, n object.Name, page object.Page) ([]*Version, error)
	// Keys lists live keys that have a version, by canonical name, from after
	// page.After (a canonical name).
	Keys(ctx context.Context, v object.VaultID, page object.Page) ([]Listed, error)
	// DeletedKeys lists deleted keys in the same way, without those of
	// certificates.
	DeletedKeys(ctx context.Context, v object.VaultID, page object.Page) ([]Listed, error)
}

// PolicyTx is the rotation policies of keys.
type PolicyTx interface {
	// RotationPolicy answers object.ErrNotFound when none was set.
	RotationPolicy(ctx context.Context, v object.VaultID, n object.Name) (*RotationPolicy, error)
	// PutRotationPolicy replaces the policy of a key that exists.
	PutRotationPolicy(ctx context.Context, v object.VaultID, n object.Name, p *RotationPolicy) error
}

// HandleTx is what keys in the HSM need of one open transaction.
type HandleTx interface {
	jobs.Tx

	// HSMKeys lists the keys in the HSM that a name holds, in its versions and
	// in a pending operation of a certificate; each once. The zero name: those of
	// the whole vault.
	HSMKeys(ctx context.Context, v object.VaultID, n object.Name) ([]hsm.ID, error)
	// HSMKeyInUse tells whether any version or pending operation of any vault
	// holds a key in the HSM.
	HSMKeyInUse(ctx context.Context, id hsm.ID) (bool, error)
}
