package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"coffer/internal/audit"
	"coffer/internal/daemon"
	"coffer/internal/store"
)

type configCmd struct {
	Accept configAcceptCmd `cmd:"" help:"Put changed settings in force that clients go by: suffix, url, default_vault."`
}

type configAcceptCmd struct{ configFlag }

func (c *configAcceptCmd) Help() string {
	return "The installation keeps the settings that its clients go by. A server that starts with others says so," +
		" until they are put back or accepted by this command, which is on record in the audit log. Stop the server first."
}

func (c *configAcceptCmd) Run(ctx context.Context, s streams) error {
	settings, err := c.open(s)
	if err != nil {
		return err
	}
	settings.Log.Level = "warn"
	by := audit.Claims{UPN: operator(), UID: strconv.Itoa(os.Getuid())}
	changed, err := daemon.AcceptSettings(ctx, settings, by, settings.Logger(s.err))
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("stop the server first: %w", err)
	}
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		fmt.Fprintln(s.out, "The settings are those in force: there is nothing to accept.")
	}
	for _, line := range changed {
		fmt.Fprintf(s.out, "In force: %s.\n", line)
	}
	return nil
}
