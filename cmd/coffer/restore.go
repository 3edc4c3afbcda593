package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"coffer/internal/audit"
	"coffer/internal/daemon"
	"coffer/internal/store"
)

type restoreCmd struct {
	configFlag
	File string `arg:"" help:"Copy that coffer backup wrote, or a database that an earlier restore put aside. It is verified first, and stays as it is." type:"existingfile"`
}

func (c *restoreCmd) Run(ctx context.Context, s streams) error {
	settings, err := c.open(s)
	if err != nil {
		return err
	}
	file, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	settings.Log.Level = "warn"
	by := audit.Claims{UPN: operator(), UID: strconv.Itoa(os.Getuid())}
	aside, err := daemon.Restore(ctx, settings, file, by, settings.Logger(s.err))
	switch {
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("stop the server first: %w", err)
	case errors.Is(err, store.ErrNewer):
		return fmt.Errorf("restore it with the version of Coffer that made it, or a newer one: %w", err)
	case err != nil:
		return err
	}
	fmt.Fprintf(s.out, "%s is a copy of %s.\n", daemon.DatabasePath(settings), file)
	if aside != "" {
		fmt.Fprintf(s.out, "What was there is kept as %s, for 'coffer restore' too.\n", aside)
	}
	fmt.Fprintf(s.out, "Start it with: coffer serve --config %s\n", c.Config)
	return nil
}
