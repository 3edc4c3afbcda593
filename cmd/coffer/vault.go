package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	"coffer/internal/admin"
)

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
	fmt.Fprintf(s.out, "\nClients reach it at %s. Nobody may use it yet; to let an identity in:\n", v.URL)
	if v.Model == "rbac" {
		fmt.Fprintf(s.out, "  coffer access assign 'Key Vault Administrator' IDENTITY --vault %s\n", v.Name)
	} else {
		fmt.Fprintf(s.out, "  coffer access set %s IDENTITY --certificates all --keys all --secrets all\n", v.Name)
	}
	host := strings.TrimPrefix(v.URL, "https://")
	host, _, _ = strings.Cut(host, ":")
	if _, err := net.LookupHost(host); err != nil {
		fmt.Fprintf(s.out, "%s does not resolve here: it needs a DNS record, or for a vault on this machine this line in /etc/hosts:\n  127.0.0.1 %s\n", host, host)
	}
}

type vaultListCmd struct{ operatorFlags }

func (c *vaultListCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.VaultList, admin.None{}, func(s streams, list []admin.VaultView) {
		var rows []string
		for _, v := range list {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%t\t%s", v.Name, v.Model, v.Location, v.RetentionDays, v.PurgeProtection, v.URL))
		}
		table(s, "NAME\tMODEL\tLOCATION\tRETENTION\tPURGE PROTECTION\tADDRESS", rows)
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
		"address\t" + v.URL,
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
	return c.with(ctx, s, func(call caller) error {
		var v admin.VaultView
		if err := call.call(ctx, admin.VaultShow, admin.ByName{Name: c.Name}, &v); err != nil {
			return err
		}
		if err := c.confirm(s, "this deletes every certificate, key and secret of the vault '"+v.Name+"' for ever"); err != nil {
			return err
		}
		var out admin.None
		if err := call.call(ctx, admin.VaultDelete, admin.ByName{Name: v.Name}, &out); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, out)
		}
		said("deleted %s", c.Name)(s, out)
		return nil
	})
}
