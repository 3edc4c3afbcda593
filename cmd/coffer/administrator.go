package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coffer/internal/admin"
	"coffer/internal/fault"
)

// administratorFile holds the credentials of the first administrator. The
// database has only their hashes.
const administratorFile = "administrator.json"

// administrator is one application with two ways to prove itself: a client
// secret, and the header of a managed identity.
type administrator struct {
	ObjectID       string `json:"objectId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
	IdentityHeader string `json:"identityHeader"`

	Expires time.Time `json:"expires,omitzero"` // of both credentials; zero: never
}

// readAdministrator reads the file of mode 0600; fs.ErrNotExist when there is
// none.
func readAdministrator(path string) (*administrator, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	who := &administrator{}
	if err := json.Unmarshal(raw, who); err != nil {
		return nil, fmt.Errorf("%s cannot be read: it is not the file that Coffer wrote", path)
	}
	return who, nil
}

// keepAdministrator is the administrator of the file; a new one, without an end, where there is no file.
func keepAdministrator(ctx context.Context, call caller, path string) (*administrator, error) {
	if who, err := readAdministrator(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return who, err
	}
	who, err := makeAdministrator(ctx, call, time.Time{})
	if err != nil {
		return nil, err
	}
	return who, who.write(path)
}

// makeAdministrator makes the application with its credentials. A crash before they are written or shown leaves an
// application that nobody can use.
func makeAdministrator(ctx context.Context, call caller, expires time.Time) (*administrator, error) {
	var app admin.IdentityView
	if err := call.call(ctx, admin.IdentityCreate, admin.NewIdentity{Name: "administrator", Kind: "application"}, &app); err != nil {
		return nil, err
	}
	var secret, header admin.SecretView
	if err := call.call(ctx, admin.SecretAdd, admin.NewSecret{ID: app.ObjectID, Expires: expires}, &secret); err != nil {
		return nil, err
	}
	if err := call.call(ctx, admin.HeaderAdd, admin.NewSecret{ID: app.ObjectID, Expires: expires}, &header); err != nil {
		return nil, err
	}
	return &administrator{app.ObjectID, app.ClientID, secret.Value, header.Value, expires}, nil
}

// text is what the file holds, and what is shown instead of it.
func (a *administrator) text() ([]byte, error) {
	raw, err := json.MarshalIndent(a, "", "  ")
	return append(raw, '\n'), err
}

// write makes the file, for its owner only.
func (a *administrator) write(path string) error {
	raw, err := a.text()
	if err != nil {
		return err
	}
	return writePrivate(path, raw)
}

// makeVault makes a vault in which the administrator may do everything; one that
// exists is left alone.
func makeVault(ctx context.Context, call caller, in admin.NewVault, who *administrator) error {
	var v admin.VaultView
	err := call.call(ctx, admin.VaultCreate, in, &v)
	if err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	if err != nil { // it exists; a crash may have left it without rights
		if err := call.call(ctx, admin.VaultShow, admin.ByName{Name: in.Name}, &v); err != nil || len(v.Policies) > 0 || v.Model == "rbac" {
			return err
		}
	}
	all := []string{"all"}
	if in.RBAC {
		return call.call(ctx, admin.RoleAssign, admin.NewAssignment{Role: "Key Vault Administrator", Principal: who.ObjectID, Vault: in.Name}, nil)
	}
	return call.call(ctx, admin.PolicySet, admin.Policy{Vault: in.Name, Principal: who.ObjectID, Certificates: all, Keys: all, Secrets: all}, nil)
}

// writePrivate replaces a file whole, with mode 0600.
func writePrivate(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".coffer-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
