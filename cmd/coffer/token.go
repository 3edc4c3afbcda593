package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"coffer/internal/admin"
)

type tokenCmd struct {
	Keys       tokenKeysCmd       `cmd:"" help:"List the keys that sign tokens."`
	RotateKey  tokenRotateKeyCmd  `cmd:"" help:"Make a new key before its time (90 days): it signs within a minute; tokens stay good."`
	RevokeKeys tokenRevokeKeysCmd `cmd:"" help:"Destroy keys that sign tokens, with every token that they signed: clients have to sign in again."`
}

func showTokenKeys(s streams, list []admin.TokenKeyView) {
	var rows []string
	for _, k := range list {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%t", k.ID, k.Created.Format(time.RFC3339), k.Ends.Format(time.RFC3339), k.Signs))
	}
	table(s, "KEY\tCREATED\tENDS\tSIGNS", rows)
}

type tokenKeysCmd struct{ operatorFlags }

func (c *tokenKeysCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.TokenKeys, admin.None{}, showTokenKeys)
}

type tokenRotateKeyCmd struct{ operatorFlags }

func (c *tokenRotateKeyCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.TokenKeyRotate, admin.None{}, showTokenKeys)
}

type tokenRevokeKeysCmd struct {
	operatorFlags
	yesFlag
	Keys []string `arg:"" optional:"" name:"key" help:"Ids of keys (default: all)."`
}

func (c *tokenRevokeKeysCmd) Run(ctx context.Context, s streams) error {
	what := "every token that this vault has issued"
	if len(c.Keys) > 0 {
		what = "every token that was signed with " + strings.Join(c.Keys, ", ")
	}
	if err := c.confirm(s, "this ends "+what+"; their clients have to sign in again"); err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.TokenKeysRevoke, admin.KeyIDs{IDs: c.Keys}, func(s streams, list []admin.TokenKeyView) {
		showTokenKeys(s, list)
		fmt.Fprintln(s.err, "The tokens are refused, on other replicas within a second. Credentials are good: 'coffer identity forget' removes one.")
	})
}
