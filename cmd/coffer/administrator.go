package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// makeAdministrator makes the application and writes its credentials. A crash in
// between leaves an application that nobody can use; the next run makes another.
func makeAdministrator(ctx context.Context, call caller, path string) (*administrator, error) {
	if who, err := readAdministrator(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return who, err
	}
	var app admin.IdentityView
	if err := call.call(ctx, admin.IdentityCreate, admin.NewIdentity{Name: "administrator", Kind: "application"}, &app); err != nil {
		return nil, err
	}
	var secret, header admin.SecretView
	if err := call.call(ctx, admin.SecretAdd, admin.NewSecret{ID: app.ObjectID}, &secret); err != nil {
		return nil, err
	}
	if err := call.call(ctx, admin.HeaderAdd, admin.NewSecret{ID: app.ObjectID}, &header); err != nil {
		return nil, err
	}
	who := &administrator{app.ObjectID, app.ClientID, secret.Value, header.Value}
	raw, err := json.MarshalIndent(who, "", "  ")
	if err != nil {
		return nil, err
	}
	return who, writePrivate(path, append(raw, '\n'))
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
