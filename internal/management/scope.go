package management

import (
	"strings"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// Where vaults are that are made without saying where: there is one subscription,
// and one resource group (contract management.md, 2).
const (
	Subscription  = "00000000-0000-0000-0000-000000000000"
	ResourceGroup = "local"
)

// VaultID is the resource id of a vault in the default place.
func VaultID(name string) string {
	v := vault.Vault{Name: name, Subscription: Subscription, ResourceGroup: ResourceGroup}
	return v.ResourceID()
}

// ObjectID is the resource id of an object in a vault, given as
// "certificates/NAME", "keys/NAME" or "secrets/NAME".
func ObjectID(vaultID, path string) (string, error) {
	family, name, _ := strings.Cut(path, "/")
	switch object.Family(family) {
	case object.Certificates, object.Keys, object.Secrets:
		if _, err := object.ParseName(name); err == nil {
			return vaultID + "/" + path, nil
		}
	}
	return "", &fault.Error{Kind: fault.Invalid, Field: "object", Msg: "An object is certificates/NAME, keys/NAME or secrets/NAME."}
}

// place is where a vault is, and its name.
type place struct{ subscription, resourceGroup, name string }

// vaultSegments is how many segments the resource id of a vault has, the empty one
// before its first slash included.
const vaultSegments = 9

// cutVault cuts an id that is in a vault, or is a vault's, behind the vault.
func cutVault(id string) (vaultID, rest string, in bool) {
	at := 0
	for range vaultSegments - 1 {
		next := strings.IndexByte(id[at:], '/')
		if next < 0 {
			return "", "", false
		}
		at += next + 1
	}
	end := len(id)
	if next := strings.IndexByte(id[at:], '/'); next >= 0 {
		end = at + next
	}
	_, err := parseVaultID(id[:end])
	return id[:end], id[end:], err == nil
}

// parseVaultID reads the resource id of a vault: the words without regard to case,
// the name checked.
func parseVaultID(id string) (place, error) {
	part := strings.SplitN(id, "/", vaultSegments)
	for i, word := range []string{"", "subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.KeyVault", "vaults"} {
		if len(part) < vaultSegments || part[i] == "" && i > 0 || word != "*" && !strings.EqualFold(part[i], word) {
			return place{}, &fault.Error{Kind: fault.Invalid, Field: "id", Msg: "It is not the resource id of a vault."}
		}
	}
	p := place{part[2], part[4], part[8]}
	if err := vault.ParseName(p.name); err != nil { // a further slash is part of the name, and no good
		return place{}, &fault.Error{Kind: fault.Invalid, Field: "name", Msg: err.Error()}
	}
	return p, nil
}

// within tells whether an id is the scope or below it, by whole segments and
// without regard to case.
func within(scope, id string) bool {
	scope, id = strings.ToLower(strings.TrimSuffix(scope, "/")), strings.ToLower(strings.TrimSuffix(id, "/"))
	return id == scope || strings.HasPrefix(id, scope+"/")
}

// checkScope refuses what is no scope of a role assignment.
func checkScope(scope string) error {
	if !strings.HasPrefix(scope, "/") {
		return &fault.Error{Kind: fault.Invalid, Field: "scope", Msg: "A scope begins with '/'."}
	}
	return nil
}
