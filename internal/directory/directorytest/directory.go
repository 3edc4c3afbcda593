package directorytest

import (
	"context"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/directory"
)

// Directory is a directory whose every method the operator calls.
type Directory struct {
	*directory.Directory
	grants *accesstest.Grants
}

// New gives a directory the grants of the operator.
func New(t testing.TB, d *directory.Directory) *Directory {
	return &Directory{d, accesstest.New(t)}
}

// CreateApplication is that of the directory.
func (d *Directory) CreateApplication(ctx context.Context, name string) (*directory.Principal, error) {
	return d.Directory.CreateApplication(ctx, d.grants.Everywhere(access.PrincipalCreate), name)
}

// CreateManagedIdentity is that of the directory.
func (d *Directory) CreateManagedIdentity(ctx context.Context, name string) (*directory.Principal, error) {
	return d.Directory.CreateManagedIdentity(ctx, d.grants.Everywhere(access.PrincipalCreate), name)
}

// CreateGroup is that of the directory.
func (d *Directory) CreateGroup(ctx context.Context, name string) (*directory.Principal, error) {
	return d.Directory.CreateGroup(ctx, d.grants.Everywhere(access.PrincipalCreate), name)
}

// Enable is that of the directory.
func (d *Directory) Enable(ctx context.Context, id string) error {
	return d.Directory.Enable(ctx, d.grants.Everywhere(access.PrincipalEnable), id)
}

// Disable is that of the directory.
func (d *Directory) Disable(ctx context.Context, id string) error {
	return d.Directory.Disable(ctx, d.grants.Everywhere(access.PrincipalDisable), id)
}

// Revoke is that of the directory.
func (d *Directory) Revoke(ctx context.Context, id string, external bool) error {
	return d.Directory.Revoke(ctx, d.grants.Everywhere(access.PrincipalRevoke), id, external)
}

// Delete is that of the directory.
func (d *Directory) Delete(ctx context.Context, id string) error {
	return d.Directory.Delete(ctx, d.grants.Everywhere(access.PrincipalDelete), id)
}

// AddSecret is that of the directory.
func (d *Directory) AddSecret(ctx context.Context, id string, expires time.Time) (*directory.Credential, string, error) {
	c, secret, err := d.Directory.AddSecret(ctx, d.grants.Everywhere(access.CredentialAdd), id, expires)
	return c, string(secret.Reveal()), err
}

// AddIdentityHeader is that of the directory.
func (d *Directory) AddIdentityHeader(ctx context.Context, id string, expires time.Time) (*directory.Credential, string, error) {
	c, header, err := d.Directory.AddIdentityHeader(ctx, d.grants.Everywhere(access.CredentialAdd), id, expires)
	return c, string(header.Reveal()), err
}

// AddCertificate is that of the directory.
func (d *Directory) AddCertificate(ctx context.Context, id string, certificate []byte) (*directory.Credential, error) {
	return d.Directory.AddCertificate(ctx, d.grants.Everywhere(access.CredentialAdd), id, certificate)
}

// AddFederated is that of the directory.
func (d *Directory) AddFederated(ctx context.Context, id, issuer, subject string, audiences []string) (*directory.Credential, error) {
	return d.Directory.AddFederated(ctx, d.grants.Everywhere(access.CredentialAdd), id, issuer, subject, audiences)
}

// RemoveCredential is that of the directory.
func (d *Directory) RemoveCredential(ctx context.Context, id, credential string) error {
	return d.Directory.RemoveCredential(ctx, d.grants.Everywhere(access.CredentialRemove), id, credential)
}

// AddMember is that of the directory.
func (d *Directory) AddMember(ctx context.Context, group, member string) error {
	return d.Directory.AddMember(ctx, d.grants.Everywhere(access.MemberAdd), group, member)
}

// RemoveMember is that of the directory.
func (d *Directory) RemoveMember(ctx context.Context, group, member string) error {
	return d.Directory.RemoveMember(ctx, d.grants.Everywhere(access.MemberRemove), group, member)
}

// List is that of the directory.
func (d *Directory) List(ctx context.Context, after string, limit int) ([]*directory.Principal, error) {
	return d.Directory.List(ctx, d.grants.Everywhere(access.PrincipalList), after, limit)
}

// Detail is that of the directory.
func (d *Directory) Detail(ctx context.Context, id string) (*directory.Detail, error) {
	return d.Directory.Detail(ctx, d.grants.Everywhere(access.PrincipalGet), id)
}
