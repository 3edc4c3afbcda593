package keyvault

import (
	"context"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/vault"
)

// Certificates is the certificate domain as the door calls it. Every method
// takes the grant of its own action; failures that the caller can act on are
// *fault.Error. The methods are grouped for reading only.
type Certificates interface {
	versions
	deleted
	policies
	operations
	contacts
	issuers
}

type versions interface {
	Create(ctx context.Context, g access.Grant, p certificate.CreateParams) (*issuance.Operation, error)
	Import(ctx context.Context, g access.Grant, p certificate.ImportParams) (*certificate.Bundle, error)
	// Get answers the current version when ver is "".
	Get(ctx context.Context, g access.Grant, ver object.Version) (*certificate.Bundle, error)
	List(ctx context.Context, g access.Grant, q certificate.ListQuery) (items []certificate.Listed, more bool, err error)
	ListVersions(ctx context.Context, g access.Grant, page object.Page) (items []*certificate.Version, more bool, err error)
	Update(ctx context.Context, g access.Grant, ver object.Version, p certificate.UpdateParams) (*certificate.Bundle, error)
	Merge(ctx context.Context, g access.Grant, p certificate.MergeParams) (*certificate.Bundle, error)
	Delete(ctx context.Context, g access.Grant) (*certificate.Bundle, error)
	Backup(ctx context.Context, g access.Grant) (string, error)
	// OpenBackup needs no grant: it tells which name to ask one for.
	OpenBackup(ctx context.Context, v *vault.Vault, value string) (*certificate.Backup, error)
	Restore(ctx context.Context, g access.Grant, b *certificate.Backup) (*certificate.Bundle, error)
}

type deleted interface {
	GetDeleted(ctx context.Context, g access.Grant) (*certificate.Bundle, error)
	Recover(ctx context.Context, g access.Grant) (*certificate.Bundle, error)
	Purge(ctx context.Context, g access.Grant) error
}

type policies interface {
	Policy(ctx context.Context, g access.Grant) (*certificate.Certificate, error)
	UpdatePolicy(ctx context.Context, g access.Grant, p *issuance.Patch) (*certificate.Certificate, error)
}

type operations interface {
	// An empty requestID fits every operation.
	Operation(ctx context.Context, g access.Grant, requestID string) (*issuance.Operation, error)
	CancelOperation(ctx context.Context, g access.Grant, requestID string, requested bool) (*issuance.Operation, error)
	DeleteOperation(ctx context.Context, g access.Grant, requestID string) (*issuance.Operation, error)
}

type contacts interface {
	Contacts(ctx context.Context, g access.Grant) ([]certificate.Contact, error)
	SetContacts(ctx context.Context, g access.Grant, c []certificate.Contact) error
	DeleteContacts(ctx context.Context, g access.Grant) ([]certificate.Contact, error)
}

type issuers interface {
	Issuers(ctx context.Context, g access.Grant, page object.Page) (items []*certificate.Issuer, more bool, err error)
	Issuer(ctx context.Context, g access.Grant, n object.Name) (*certificate.Issuer, error)
	SetIssuer(ctx context.Context, g access.Grant, n object.Name, p certificate.IssuerParams) (*certificate.Issuer, error)
	UpdateIssuer(ctx context.Context, g access.Grant, n object.Name, p certificate.IssuerParams) (*certificate.Issuer, error)
	DeleteIssuer(ctx context.Context, g access.Grant, n object.Name) (*certificate.Issuer, error)
}

// Keys is the key domain as the door calls it. The methods are grouped for
// reading only.
type Keys interface {
	keyVersions
	deletedKeys
	keyRotation
	keyUses
}

type keyVersions interface {
	Create(ctx context.Context, g access.Grant, p key.CreateParams) (*key.Bundle, error)
	Import(ctx context.Context, g access.Grant, p key.ImportParams) (*key.Bundle, error)
	// Get answers the current version when ver is "".
	Get(ctx context.Context, g access.Grant, ver object.Version) (*key.Bundle, error)
	List(ctx context.Context, g access.Grant, page object.Page) (items []key.Listed, more bool, err error)
	ListVersions(ctx context.Context, g access.Grant, page object.Page) (items []*key.Version, h object.Head, more bool, err error)
	Update(ctx context.Context, g access.Grant, ver object.Version, p key.UpdateParams) (*key.Bundle, error)
	Delete(ctx context.Context, g access.Grant) (*key.Bundle, error)
	Backup(ctx context.Context, g access.Grant) (string, error)
	// OpenBackup needs no grant: it tells which name to ask one for.
	OpenBackup(ctx context.Context, v *vault.Vault, value string) (*key.Backup, error)
	Restore(ctx context.Context, g access.Grant, b *key.Backup) (*key.Bundle, error)
}

type deletedKeys interface {
	GetDeleted(ctx context.Context, g access.Grant) (*key.Bundle, error)
	ListDeleted(ctx context.Context, g access.Grant, page object.Page) (items []key.Listed, more bool, err error)
	Recover(ctx context.Context, g access.Grant) (*key.Bundle, error)
	Purge(ctx context.Context, g access.Grant) error
}

type keyRotation interface {
	Rotate(ctx context.Context, g access.Grant) (*key.Bundle, error)
	RotationPolicy(ctx context.Context, g access.Grant) (*key.RotationPolicy, object.Head, error)
	SetRotationPolicy(ctx context.Context, g access.Grant, p key.PolicyParams) (*key.RotationPolicy, object.Head, error)
}

// keyUses are cryptography. A version of "" is the current one.
type keyUses interface {
	Encrypt(ctx context.Context, g access.Grant, ver object.Version, p key.UseParams) (*key.Used, error)
	Decrypt(ctx context.Context, g access.Grant, ver object.Version, p key.UseParams) (*key.Used, error)
	Sign(ctx context.Context, g access.Grant, ver object.Version, p key.UseParams) (*key.Used, error)
	Verify(ctx context.Context, g access.Grant, ver object.Version, p key.UseParams) (valid bool, err error)
	Release(ctx context.Context, g access.Grant, ver object.Version) error
	RandomBytes(ctx context.Context, g access.Grant, count int) (seal.Value, error)
}

// Secrets is the secret domain as the door calls it.
type Secrets interface {
	Set(ctx context.Context, g access.Grant, p secret.SetParams) (*secret.Bundle, error)
	// Get gives the value in the content type asked for, "" for the stored one.
	Get(ctx context.Context, g access.Grant, ver object.Version, contentType string) (*secret.Bundle, error)
	Update(ctx context.Context, g access.Grant, ver object.Version, c secret.Change) (*secret.Bundle, error)
	List(ctx context.Context, g access.Grant, page object.Page) (items []secret.Listed, more bool, err error)
	ListVersions(ctx context.Context, g access.Grant, page object.Page) (items []*secret.Version, h object.Head, more bool, err error)
	Delete(ctx context.Context, g access.Grant) (*secret.Bundle, error)
	GetDeleted(ctx context.Context, g access.Grant) (*secret.Bundle, error)
	ListDeleted(ctx context.Context, g access.Grant, page object.Page) (items []secret.Listed, more bool, err error)
	Recover(ctx context.Context, g access.Grant) (*secret.Bundle, error)
	Purge(ctx context.Context, g access.Grant) error
	Backup(ctx context.Context, g access.Grant) (string, error)
	// OpenBackup needs no grant: it tells which name to ask one for.
	OpenBackup(ctx context.Context, v *vault.Vault, value string) (*secret.Backup, error)
	Restore(ctx context.Context, g access.Grant, b *secret.Backup) (*secret.Bundle, error)
}

// Verifier finds the caller of a request from the value of its Authorization
// header. An *identity.Refusal becomes a 401, any other error does not.
type Verifier interface {
	Verify(ctx context.Context, authorization string, audiences []string, tenant string) (access.Caller, error)
}

// Vaults finds a vault by its canonical name; object.ErrNotFound when there is
// none. It is asked once for every request.
type Vaults interface {
	ByName(ctx context.Context, key string) (*vault.Vault, error)
}

// Sealer protects continuation tokens.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext []byte) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}
