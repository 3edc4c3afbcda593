package access

import (
	"slices"
	"strings"
)

// Role is a role definition with one block of permissions; several of one ID are
// one role with several blocks. Patterns may hold *, any run of characters.
type Role struct {
	ID             string // GUID
	Name           string
	Actions        []string // of the management plane; never looked at here otherwise
	NotActions     []string
	DataActions    []string // of the data plane
	NotDataActions []string // what DataActions of this role do not mean; no denial
	Condition      string   // when it applies; "" always
}

// Assignment gives a role to a principal at a scope and below it.
type Assignment struct {
	ID          string
	Scope       string // "/", or the id of a management group, subscription, resource group, vault or object
	RoleID      string // GUID, or an id that ends in it
	PrincipalID string // of a user, service principal or group
	Condition   string // when it applies; "" always
}

// standard are the management actions of the data-plane roles (contract
// access-control.md, 6.3, S).
var standard = []string{
	"Microsoft.Authorization/*/read",
	"Microsoft.Insights/alertRules/*",
	"Microsoft.Resources/deployments/*",
	"Microsoft.Resources/subscriptions/resourceGroups/read",
	"Microsoft.Support/*",
	"Microsoft.KeyVault/checkNameAvailability/read",
	"Microsoft.KeyVault/deletedVaults/read",
	"Microsoft.KeyVault/locations/*/read",
	"Microsoft.KeyVault/vaults/*/read",
	"Microsoft.KeyVault/operations/read",
}

func data(actions ...string) []string {
	for i := range actions {
		actions[i] = dataPrefix + actions[i]
	}
	return actions
}

// The ids of the roles that are named in conditions or by callers of this
// package.
const (
	OwnerID         = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	AdministratorID = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
)

// delegable are the roles that a Key Vault Data Access Administrator may assign
// and take away, in the order of the documented condition.
const delegable = "00482a5a-887f-4fb3-b363-3b7fe8e74483, a4417e6f-fecd-4de8-b567-7b0420556985, " +
	"14b46e9e-c2b7-41b4-b07b-48a6ebf60603, e147488a-f6f5-4113-8e2d-b22465e65bf6, " +
	"12338af0-0e69-4776-bea7-57ae8d297424, 21090545-7ca7-4776-b22c-e363652d74d2, " +
	"b86a8fe4-44ce-4948-aee5-eccb2c155cd7, 4633458b-17de-408a-b874-0445c86b69e6"

// builtin are the roles of contract access-control.md, 6.3, and those of the
// management plane of management.md, 11.
var builtin = []Role{
	{ID: AdministratorID, Name: "Key Vault Administrator", Actions: standard, DataActions: data("*")},
	{ID: "21090545-7ca7-4776-b22c-e363652d74d2", Name: "Key Vault Reader", Actions: standard,
		DataActions: data("*/read", "secrets/readMetadata/action")},
	{ID: "a4417e6f-fecd-4de8-b567-7b0420556985", Name: "Key Vault Certificates Officer", Actions: standard,
		DataActions: data("certificatecas/*", "certificates/*", "certificatecontacts/write")},
	{ID: "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba", Name: "Key Vault Certificate User",
		DataActions: data("certificates/read", "secrets/getSecret/action", "secrets/readMetadata/action", "keys/read")},
	{ID: "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", Name: "Key Vault Crypto Officer", Actions: standard,
		DataActions: data("keys/*", "keyrotationpolicies/*")},
	{ID: "12338af0-0e69-4776-bea7-57ae8d297424", Name: "Key Vault Crypto User",
		DataActions: data("keys/read", "keys/update/action", "keys/backup/action", "keys/encrypt/action", "keys/decrypt/action",
			"keys/wrap/action", "keys/unwrap/action", "keys/sign/action", "keys/verify/action")},
	{ID: "e147488a-f6f5-4113-8e2d-b22465e65bf6", Name: "Key Vault Crypto Service Encryption User",
		Actions: []string{"Microsoft.EventGrid/eventSubscriptions/write", "Microsoft.EventGrid/eventSubscriptions/read",
			"Microsoft.EventGrid/eventSubscriptions/delete"},
		DataActions: data("keys/read", "keys/wrap/action", "keys/unwrap/action")},
	{ID: "08bbd89e-9f13-488c-ac41-acfcb10c90ab", Name: "Key Vault Crypto Service Release User",
		DataActions: data("keys/release/action")},
	{ID: "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", Name: "Key Vault Secrets Officer", Actions: standard,
		DataActions: data("secrets/*")},
	{ID: "4633458b-17de-408a-b874-0445c86b69e6", Name: "Key Vault Secrets User",
		DataActions: data("secrets/getSecret/action", "secrets/readMetadata/action")},

	{ID: OwnerID, Name: "Owner", Actions: []string{"*"}},
	{ID: "b24988ac-6180-42a0-ab88-20f7382dd24c", Name: "Contributor", Actions: []string{"*"},
		NotActions: []string{"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"}},
	{ID: "acdd72a7-3385-48ef-bd42-f606fba81ae7", Name: "Reader", Actions: []string{"*/read"}},
	{ID: "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", Name: "User Access Administrator",
		Actions: []string{"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"}},
	{ID: "f58310d9-a9f6-439a-9e8d-f62e7b41a168", Name: "Role Based Access Control Administrator",
		Actions: []string{"Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read", "Microsoft.Support/*"}},
	{ID: "f25e0fa2-a7c8-4377-a976-54943a77a395", Name: "Key Vault Contributor",
		Actions: []string{"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.KeyVault/*",
			"Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*"},
		NotActions: []string{"Microsoft.KeyVault/locations/deletedVaults/purge/action", "Microsoft.KeyVault/hsmPools/*", "Microsoft.KeyVault/managedHsms/*"}},
	{ID: "a68e7c17-0ab2-4c09-9a58-125dae29748c", Name: "Key Vault Purge Operator",
		Actions: []string{"Microsoft.KeyVault/locations/deletedVaults/read", "Microsoft.KeyVault/locations/deletedVaults/purge/action",
			"Microsoft.KeyVault/deletedVaults/read", "Microsoft.KeyVault/locations/operationResults/read"}},
	{ID: "8b54135c-b56d-4d72-a534-26097cfdc8d8", Name: "Key Vault Data Access Administrator",
		Actions: []string{"Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete",
			"Microsoft.Authorization/*/read", "Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Resources/subscriptions/read", "Microsoft.Management/managementGroups/read", "Microsoft.Support/*", "Microsoft.KeyVault/vaults/*/read"},
		Condition: "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR " +
			"(@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals{" + delegable + "})) AND " +
			"((!(ActionMatches{'Microsoft.Authorization/roleAssignments/delete'})) OR " +
			"(@Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals{" + delegable + "}))"},
}

// BuiltinRoles returns the built-in roles, those of the data plane first.
func BuiltinRoles() []Role {
	roles := slices.Clone(builtin)
	for i := range roles {
		r := &roles[i]
		r.Actions, r.NotActions = slices.Clone(r.Actions), slices.Clone(r.NotActions)
		r.DataActions, r.NotDataActions = slices.Clone(r.DataActions), slices.Clone(r.NotDataActions)
	}
	return roles
}

// RoleNames are the names of the built-in roles.
func RoleNames() (names []string) {
	for _, r := range builtin {
		names = append(names, r.Name)
	}
	return names
}

// RoleByID finds a built-in role by its GUID, or by a role definition id that
// ends in it.
func RoleByID(id string) (Role, bool) {
	return find(func(r *Role) bool { return sameRole(r.ID, id) })
}

// RoleByName finds a built-in role by its name or GUID, without regard to case.
func RoleByName(name string) (Role, bool) {
	return find(func(r *Role) bool { return strings.EqualFold(r.Name, name) || strings.EqualFold(r.ID, name) })
}

func find(match func(*Role) bool) (Role, bool) {
	for _, r := range BuiltinRoles() {
		if match(&r) {
			return r, true
		}
	}
	return Role{}, false
}

// sameRole compares a role's GUID with an id that may be a path to it.
func sameRole(guid, id string) bool {
	return guid != "" && strings.EqualFold(guid, lastSegment(id))
}

func lastSegment(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// blocks calls yield for each block of the role named id, custom roles after the
// built-in ones, which they cannot replace.
func blocks(id string, custom []Role, yield func(*Role) bool) {
	for _, set := range [][]Role{builtin, custom} {
		found := false
		for i := range set {
			if sameRole(set[i].ID, id) {
				found = true
				if !yield(&set[i]) {
					return
				}
			}
		}
		if found {
			return
		}
	}
}
