package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"coffer/internal/access"
	"coffer/internal/admin"
)

// operatorFlags are those of the commands that change or show the set-up.
type operatorFlags struct {
	configFlag
	JSON bool `help:"Print JSON."`
}

// ask runs one call and prints its answer: as JSON, or by show.
func ask[Out any](ctx context.Context, s streams, f operatorFlags, name string, in any, show func(streams, Out)) error {
	return f.with(ctx, s, func(c caller) error {
		var out Out
		if err := c.call(ctx, name, in, &out); err != nil {
			return err
		}
		if f.JSON {
			return printJSON(s.out, out)
		}
		show(s, out)
		return nil
	})
}

// count is a number of things, such as "1 file" or "2 files".
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func said(format string, args ...any) func(streams, admin.None) {
	return func(s streams, _ admin.None) { fmt.Fprintf(s.out, format+"\n", args...) }
}

// table prints rows under a heading; cells are separated by tabs.
func table(s streams, heading string, rows []string) {
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, heading)
	for _, r := range rows {
		fmt.Fprintln(t, r)
	}
	_ = t.Flush()
}

type vaultCmd struct {
	Create vaultCreateCmd `cmd:"" help:"Create a vault."`
	List   vaultListCmd   `cmd:"" help:"List vaults."`
	Show   vaultShowCmd   `cmd:"" help:"Show a vault with its access policies."`
	Update vaultUpdateCmd `cmd:"" help:"Change a vault's settings."`
	Delete vaultDeleteCmd `cmd:"" help:"Delete a vault with everything in it, for ever."`
}

type vaultCreateCmd struct {
	operatorFlags
	Name            string `arg:"" help:"Name: 3 to 24 letters, digits and hyphens; the first label of its address."`
	Location        string `help:"Location that answers show." default:"local"`
	SKU             string `help:"standard or premium, which may have keys in the HSM." name:"sku" enum:"standard,premium" default:"standard"`
	RBAC            bool   `help:"Decide by role assignments instead of access policies." name:"rbac"`
	RetentionDays   int    `help:"Days that deleted objects are kept: 7 to 90; fixed at creation." default:"90"`
	PurgeProtection bool   `help:"Forbid purging before the retention is over. It cannot be switched off."`
}

func (c *vaultCreateCmd) Run(ctx context.Context, s streams) error {
	in := admin.NewVault{Name: c.Name, Location: c.Location, SKU: c.SKU, RBAC: c.RBAC, RetentionDays: c.RetentionDays, PurgeProtection: c.PurgeProtection}
	return ask(ctx, s, c.operatorFlags, admin.VaultCreate, in, func(s streams, v admin.VaultView) {
		showVault(s, v)
		c.tellHowToUse(s, v)
	})
}

// tellHowToUse says where clients find a new vault, and that nobody may use it yet.
func (c *vaultCreateCmd) tellHowToUse(s streams, v admin.VaultView) {
	settings, err := c.load()
	if err != nil {
		return // it was just used
	}
	host := strings.ToLower(v.Name) + "." + settings.Suffix
	fmt.Fprintf(s.out, "\nClients reach it at %s. Nobody may use it yet; to let an identity in:\n", settings.VaultURL(v.Name, settings.Listen))
	if v.Model == "rbac" {
		fmt.Fprintf(s.out, "  coffer access assign 'Key Vault Administrator' IDENTITY --vault %s\n", v.Name)
	} else {
		fmt.Fprintf(s.out, "  coffer access set %s IDENTITY --certificates all --keys all --secrets all\n", v.Name)
	}
	if _, err := net.LookupHost(host); err != nil {
		fmt.Fprintf(s.out, "%s does not resolve here: it needs a DNS record, or for a vault on this machine this line in /etc/hosts:\n  127.0.0.1 %s\n", host, host)
	}
}

type vaultListCmd struct{ operatorFlags }

func (c *vaultListCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.VaultList, admin.None{}, func(s streams, list []admin.VaultView) {
		var rows []string
		for _, v := range list {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%t", v.Name, v.Model, v.Location, v.RetentionDays, v.PurgeProtection))
		}
		table(s, "NAME\tMODEL\tLOCATION\tRETENTION\tPURGE PROTECTION", rows)
	})
}

type vaultShowCmd struct {
	operatorFlags
	Name string `arg:"" help:"Name of the vault."`
}

func (c *vaultShowCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.VaultShow, admin.ByName{Name: c.Name}, showVault)
}

func showVault(s streams, v admin.VaultView) {
	table(s, "vault\t"+v.Name, []string{
		"id\t" + v.ID, "tenant\t" + v.TenantID, "location\t" + v.Location, "sku\t" + v.SKU, "model\t" + v.Model,
		fmt.Sprintf("retention\t%d days", v.RetentionDays), fmt.Sprintf("purge protection\t%t", v.PurgeProtection),
		fmt.Sprintf("public access\t%t", v.PublicAccess), fmt.Sprintf("firewall\tdeny=%t %s", v.DefaultDeny, strings.Join(v.IPRules, " ")),
	})
	if len(v.Policies) > 0 {
		fmt.Fprintln(s.out)
		showPolicies(s, v)
	}
}

func showPolicies(s streams, v admin.VaultView) {
	var rows []string
	for _, p := range v.Policies {
		rows = append(rows, strings.Join([]string{p.ObjectID, p.ApplicationID,
			strings.Join(p.Certificates, ","), strings.Join(p.Keys, ","), strings.Join(p.Secrets, ",")}, "\t"))
	}
	table(s, "PRINCIPAL\tAPPLICATION\tCERTIFICATES\tKEYS\tSECRETS", rows)
}

type vaultUpdateCmd struct {
	operatorFlags
	Name string  `arg:"" help:"Name of the vault."`
	SKU  *string `help:"standard or premium, which may have keys in the HSM." name:"sku" enum:"standard,premium"`
	yesFlag
	RBAC                *bool    `help:"Decide by role assignments." name:"rbac" negatable:""`
	PurgeProtection     *bool    `help:"Switch purge protection on, for ever."`
	PublicNetworkAccess *bool    `help:"Answer from public addresses." negatable:""`
	DefaultDeny         *bool    `help:"Refuse addresses that no rule allows." negatable:""`
	IPRule              []string `help:"Allowed address or prefix, once or more; together they replace all." name:"ip-rule" placeholder:"PREFIX" xor:"rules"`
	NoIPRules           bool     `help:"Remove all allowed addresses." name:"no-ip-rules" xor:"rules"`
}

func (c *vaultUpdateCmd) Run(ctx context.Context, s streams) error {
	in := admin.VaultChange{Name: c.Name, SKU: c.SKU, RBAC: c.RBAC, PurgeProtection: c.PurgeProtection,
		PublicNetworkAccess: c.PublicNetworkAccess, DefaultDeny: c.DefaultDeny}
	if len(c.IPRule) > 0 || c.NoIPRules {
		in.IPRules = new(append([]string{}, c.IPRule...)) // none is an empty list, not an absent one
	}
	return c.with(ctx, s, func(call caller) error {
		if err := c.mayChangeModel(ctx, s, call); err != nil {
			return err
		}
		var v admin.VaultView
		if err := call.call(ctx, admin.VaultUpdate, in, &v); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, v)
		}
		showVault(s, v)
		return nil
	})
}

// mayChangeModel asks before a change after which nobody could use the vault.
func (c *vaultUpdateCmd) mayChangeModel(ctx context.Context, s streams, call caller) error {
	if c.RBAC == nil {
		return nil
	}
	if !*c.RBAC {
		var v admin.VaultView
		if err := call.call(ctx, admin.VaultShow, admin.ByName{Name: c.Name}, &v); err != nil || len(v.Policies) > 0 {
			return err
		}
		return c.confirm(s, "the vault '"+c.Name+"' has no access policy: nobody could use it")
	}
	var list []admin.AssignmentView
	if err := call.call(ctx, admin.RoleList, admin.ByName{Name: c.Name}, &list); err != nil || len(list) > 0 {
		return err
	}
	return c.confirm(s, "no role is assigned at the vault '"+c.Name+"': nobody could use it")
}

type vaultDeleteCmd struct {
	operatorFlags
	yesFlag
	Name string `arg:"" help:"Name of the vault."`
}

func (c *vaultDeleteCmd) Run(ctx context.Context, s streams) error {
	if err := c.confirm(s, "this deletes every certificate, key and secret of the vault '"+c.Name+"' for ever"); err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.VaultDelete, admin.ByName{Name: c.Name}, said("deleted %s", c.Name))
}

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
		if c.JSON {
			return printJSON(s.out, out)
		}
		fmt.Fprintf(s.out, "The vault decides by %s.\n\n", map[string]string{"rbac": "role assignments", "policy": "access policies"}[v.Model])
		showPolicies(s, v)
		fmt.Fprintln(s.out)
		showAssignments(s, out.Assignments)
		return nil
	})
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

type idCmd struct {
	Create      idCreateCmd      `cmd:"" help:"Create an application, a managed identity or a group."`
	List        idListCmd        `cmd:"" help:"List identities."`
	Show        idShowCmd        `cmd:"" help:"Show an identity with its credentials."`
	Enable      idEnableCmd      `cmd:"" help:"Enable an identity."`
	Disable     idDisableCmd     `cmd:"" help:"Disable an identity: its tokens are refused at once."`
	Delete      idDeleteCmd      `cmd:"" help:"Delete an identity."`
	Secret      idSecretCmd      `cmd:"" help:"Add a client secret to an application; shown once."`
	Header      idHeaderCmd      `cmd:"" help:"Add an IDENTITY_HEADER for a workload; shown once."`
	Certificate idCertificateCmd `cmd:"" help:"Register a certificate that signs an application's assertions."`
	Federated   idFederatedCmd   `cmd:"" help:"Trust another issuer's tokens for an application."`
	Forget      idForgetCmd      `cmd:"" help:"Remove a credential."`
	Join        idJoinCmd        `cmd:"" help:"Put an identity into a group."`
	Leave       idLeaveCmd       `cmd:"" help:"Take an identity out of a group."`
}

type idCreateCmd struct {
	operatorFlags
	Name string `arg:"" help:"Name, for people."`
	Kind string `help:"application, managed or group." enum:"application,managed,group" default:"application"`
}

func (c *idCreateCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityCreate, admin.NewIdentity{Name: c.Name, Kind: c.Kind}, showIdentity)
}

func showIdentity(s streams, p admin.IdentityView) {
	rows := []string{"name\t" + p.Name, "kind\t" + p.Kind, "client id\t" + p.ClientID, fmt.Sprintf("enabled\t%t", p.Enabled)}
	if len(p.Groups) > 0 {
		rows = append(rows, "groups\t"+strings.Join(p.Groups, " "))
	}
	if len(p.Members) > 0 {
		rows = append(rows, "members\t"+strings.Join(p.Members, " "))
	}
	table(s, "object id\t"+p.ObjectID, rows)
	if len(p.Credentials) > 0 {
		var rows []string
		for _, c := range p.Credentials {
			rows = append(rows, credentialRow(c))
		}
		fmt.Fprintln(s.out)
		table(s, credentialHeading, rows)
	}
}

const credentialHeading = "CREDENTIAL\tKIND\tHINT\tCREATED\tEXPIRES"

func credentialRow(c admin.CredentialView) string {
	expires := "never"
	if c.Expires != nil {
		expires = c.Expires.Format(time.RFC3339)
	}
	hint := c.Hint
	if c.Issuer != "" {
		hint = c.Issuer + " " + c.Subject
	}
	return strings.Join([]string{c.ID, c.Kind, hint, c.Created.Format(time.RFC3339), expires}, "\t")
}

func showCredential(s streams, c admin.CredentialView) {
	table(s, credentialHeading, []string{credentialRow(c)})
}

type idListCmd struct{ operatorFlags }

func (c *idListCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityList, admin.None{}, func(s streams, list []admin.IdentityView) {
		var rows []string
		for _, p := range list {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%t", p.Name, p.Kind, p.ObjectID, p.ClientID, p.Enabled))
		}
		table(s, "NAME\tKIND\tOBJECT ID\tCLIENT ID\tENABLED", rows)
	})
}

// identityArg names one identity.
type identityArg struct {
	operatorFlags
	ID string `arg:"" name:"identity" help:"Object id, client id or name."`
}

type idShowCmd struct{ identityArg }

func (c *idShowCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityShow, admin.ByID{ID: c.ID}, showIdentity)
}

type idEnableCmd struct{ identityArg }

func (c *idEnableCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityEnable, admin.ByID{ID: c.ID}, showIdentity)
}

type idDisableCmd struct{ identityArg }

func (c *idDisableCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityDisable, admin.ByID{ID: c.ID}, showIdentity)
}

type idDeleteCmd struct {
	identityArg
	yesFlag
}

func (c *idDeleteCmd) Run(ctx context.Context, s streams) error {
	if err := c.confirm(s, "this deletes the identity '"+c.ID+"' for ever, with its credentials; its tokens end at once"); err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.IdentityDelete, admin.ByID{ID: c.ID}, said("deleted %s", c.ID))
}

// secretFlags are those of random credentials.
type secretFlags struct {
	identityArg
	Lifetime duration `help:"How long it is good, such as 90d or 12h (default: until it is removed)." placeholder:"DURATION"`
}

func (f secretFlags) input() admin.NewSecret {
	in := admin.NewSecret{ID: f.ID}
	if f.Lifetime > 0 {
		in.Expires = time.Now().Add(time.Duration(f.Lifetime))
	}
	return in
}

func showSecret(s streams, v admin.SecretView) {
	fmt.Fprintln(s.out, v.Value)
	fmt.Fprintln(s.err, "This is the only time that it is shown; credential", v.ID)
}

type idSecretCmd struct{ secretFlags }

func (c *idSecretCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.SecretAdd, c.input(), showSecret)
}

type idHeaderCmd struct{ secretFlags }

func (c *idHeaderCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.HeaderAdd, c.input(), showSecret)
}

type idCertificateCmd struct {
	identityArg
	File string `arg:"" help:"Certificate, PEM." type:"existingfile"`
}

func (c *idCertificateCmd) Run(ctx context.Context, s streams) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.CertificateAdd, admin.NewCertificate{ID: c.ID, PEM: string(raw)}, showCredential)
}

type idFederatedCmd struct {
	identityArg
	Issuer   string   `help:"Issuer of the tokens (https URL)." required:"" placeholder:"URL"`
	Subject  string   `help:"Subject of the tokens." required:"" placeholder:"TEXT"`
	Audience []string `help:"Audience of the tokens (default: api://AzureADTokenExchange)." placeholder:"TEXT"`
}

func (c *idFederatedCmd) Run(ctx context.Context, s streams) error {
	in := admin.NewFederated{ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audiences: c.Audience}
	return ask(ctx, s, c.operatorFlags, admin.FederatedAdd, in, showCredential)
}

type idForgetCmd struct {
	identityArg
	Credential string `arg:"" help:"Id of the credential."`
}

func (c *idForgetCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.CredentialRemove, admin.Forget{ID: c.ID, Credential: c.Credential}, said("removed %s", c.Credential))
}

// memberArgs are a group and one of its members.
type memberArgs struct {
	operatorFlags
	Group  string `arg:"" help:"Object id or name of the group."`
	Member string `arg:"" help:"Object id, client id or name of the member."`
}

type idJoinCmd struct{ memberArgs }

func (c *idJoinCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.MemberAdd, admin.Membership{Group: c.Group, Member: c.Member}, said("%s is in %s", c.Member, c.Group))
}

type idLeaveCmd struct{ memberArgs }

func (c *idLeaveCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.MemberRemove, admin.Membership{Group: c.Group, Member: c.Member}, said("%s is not in %s", c.Member, c.Group))
}

type rotateCmd struct {
	operatorFlags
	ForgetOld bool `help:"Forget the root keys before: backups that were made with them do not open any more."`
}

func (c *rotateCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.Rotate, admin.Rotation{ForgetOld: c.ForgetOld}, func(s streams, r admin.Rotated) {
		advice := "copy the root key file again"
		if r.InHSM {
			advice = "back the HSM up again"
		}
		fmt.Fprintf(s.out, "root key %s now wraps %s; %s\n", r.RootKey, count(r.DataKeys, "data key"), advice)
	})
}

type backupCmd struct {
	operatorFlags
	File string `arg:"" help:"File to write; it must not exist." type:"path"`
}

func (c *backupCmd) Run(ctx context.Context, s streams) error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.Backup, admin.ToFile{Path: path},
		said("%s is written. It opens with the root key file only, which is not in it.", path))
}
