package main

import (
	"context"
	"fmt"
	"strings"

	"coffer/internal/access"
	"coffer/internal/admin"
)

type accessCmd struct {
	Set      accessSetCmd      `cmd:"" help:"Set the access policy of an identity on a vault."`
	Remove   accessRemoveCmd   `cmd:"" help:"Remove the access policy of an identity."`
	List     accessListCmd     `cmd:"" help:"List a vault's access policies and role assignments."`
	Assign   accessAssignCmd   `cmd:"" help:"Assign a role."`
	Unassign accessUnassignCmd `cmd:"" help:"Remove a role assignment."`
	Roles    accessRolesCmd    `cmd:"" help:"List the built-in roles."`
}

type accessSetCmd struct {
	operatorFlags
	Vault        string   `arg:"" help:"Name of the vault."`
	Principal    string   `arg:"" help:"Object id, client id or name of the identity."`
	Application  string   `help:"Only for a user through this application (client id)." placeholder:"ID"`
	Certificates []string `help:"Permissions on certificates, such as get,list,create, or all." placeholder:"WORD"`
	Keys         []string `help:"Permissions on keys." placeholder:"WORD"`
	Secrets      []string `help:"Permissions on secrets." placeholder:"WORD"`
}

func (c *accessSetCmd) Run(ctx context.Context, s streams) error {
	in := admin.Policy{Vault: c.Vault, Principal: c.Principal, ApplicationID: c.Application, Certificates: c.Certificates, Keys: c.Keys, Secrets: c.Secrets}
	return ask(ctx, s, c.operatorFlags, admin.PolicySet, in, showPolicies)
}

type accessRemoveCmd struct {
	operatorFlags
	Vault       string `arg:"" help:"Name of the vault."`
	Principal   string `arg:"" help:"Object id, client id or name of the identity."`
	Application string `help:"The application of a compound entry (client id)." placeholder:"ID"`
}

func (c *accessRemoveCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.PolicyRemove,
		admin.Policy{Vault: c.Vault, Principal: c.Principal, ApplicationID: c.Application}, showPolicies)
}

type accessListCmd struct {
	operatorFlags
	Vault string `arg:"" help:"Name of the vault."`
}

func (c *accessListCmd) Run(ctx context.Context, s streams) error {
	return c.with(ctx, s, func(call caller) error {
		var out struct {
			Model       string                 `json:"model"`
			Policies    []admin.PolicyView     `json:"accessPolicies"`
			Assignments []admin.AssignmentView `json:"roleAssignments"`
		}
		var v admin.VaultView
		if err := call.call(ctx, admin.VaultShow, admin.ByName{Name: c.Vault}, &v); err != nil {
			return err
		}
		out.Model, out.Policies = v.Model, v.Policies
		if err := call.call(ctx, admin.RoleList, admin.ByName{Name: c.Vault}, &out.Assignments); err != nil {
			return err
		}
		names, err := principalNames(ctx, call)
		if err != nil {
			return err
		}
		for i := range out.Policies {
			out.Policies[i].Name = names[out.Policies[i].ObjectID]
		}
		for i := range out.Assignments {
			out.Assignments[i].Name = names[out.Assignments[i].Principal]
		}
		if c.JSON {
			return printJSON(s.out, out)
		}
		for i, p := range out.Policies {
			out.Policies[i].ObjectID = who(p.ObjectID, p.Name)
		}
		for i, a := range out.Assignments {
			out.Assignments[i].Principal = who(a.Principal, a.Name)
		}
		fmt.Fprintf(s.out, "The vault decides by %s.\n\n", map[string]string{"rbac": "role assignments", "policy": "access policies"}[v.Model])
		showPolicies(s, v)
		fmt.Fprintln(s.out)
		showAssignments(s, out.Assignments)
		return nil
	})
}

// who is a principal for people. One that the directory does not have is a subject or
// group of an external issuer, or was deleted.
func who(objectID, name string) string {
	if name == "" {
		return objectID + " (not in the directory)"
	}
	return objectID + " (" + name + ")"
}

// principalNames are the names of the directory, by object id.
func principalNames(ctx context.Context, call caller) (map[string]string, error) {
	var list []admin.IdentityView
	if err := call.call(ctx, admin.IdentityList, admin.None{}, &list); err != nil {
		return nil, err
	}
	names := make(map[string]string, len(list))
	for _, p := range list {
		names[p.ObjectID] = p.Name
	}
	return names, nil
}

func showAssignments(s streams, list []admin.AssignmentView) {
	var rows []string
	for _, a := range list {
		rows = append(rows, strings.Join([]string{a.ID, a.Role, a.Principal, a.Scope, a.Condition}, "\t"))
	}
	table(s, "ASSIGNMENT\tROLE\tPRINCIPAL\tSCOPE\tCONDITION", rows)
}

type accessAssignCmd struct {
	operatorFlags
	Role      string `arg:"" help:"Name or id of a built-in role."`
	Principal string `arg:"" help:"Object id, client id or name of the identity."`
	Vault     string `help:"At this vault." placeholder:"NAME" xor:"scope" required:""`
	Object    string `help:"At one object of the vault, such as secrets/app." placeholder:"PATH"`
	Scope     string `help:"At this scope, such as / or a resource group." placeholder:"ID" xor:"scope" required:""`
	Condition string `help:"Condition (ABAC)." placeholder:"TEXT"`
}

func (c *accessAssignCmd) Run(ctx context.Context, s streams) error {
	in := admin.NewAssignment{Role: c.Role, Principal: c.Principal, Vault: c.Vault, Object: c.Object, Scope: c.Scope, Condition: c.Condition}
	return ask(ctx, s, c.operatorFlags, admin.RoleAssign, in, func(s streams, a admin.AssignmentView) {
		showAssignments(s, []admin.AssignmentView{a})
	})
}

type accessUnassignCmd struct {
	operatorFlags
	ID string `arg:"" help:"Id of the role assignment."`
}

func (c *accessUnassignCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.RoleUnassign, admin.ByID{ID: c.ID}, said("removed %s", c.ID))
}

type accessRolesCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c *accessRolesCmd) Run(s streams) error {
	type shown struct { // access.Role with names for programs
		ID             string   `json:"id"`
		Name           string   `json:"name"`
		Actions        []string `json:"actions,omitempty"`
		NotActions     []string `json:"notActions,omitempty"`
		DataActions    []string `json:"dataActions,omitempty"`
		NotDataActions []string `json:"notDataActions,omitempty"`
		Condition      string   `json:"condition,omitempty"`
	}
	var roles []shown
	var rows []string
	for _, r := range access.BuiltinRoles() {
		roles = append(roles, shown(r))
		rows = append(rows, r.ID+"\t"+r.Name)
	}
	if c.JSON {
		return printJSON(s.out, roles)
	}
	table(s, "ID\tROLE", rows)
	return nil
}
