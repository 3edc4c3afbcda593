package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"unicode"

	"coffer/internal/audit"
	"coffer/internal/daemon"
	"coffer/internal/store"
)

type upgradeCmd struct {
	configFlag
	yesFlag
}

// Help is what 'coffer upgrade --help' says besides.
func (c *upgradeCmd) Help() string {
	return `Rows of the database are authenticated: one that somebody else has written, or changed, is not
used. A database of a version before that has no proof of who wrote its rows, and 'coffer serve'
does not trust it by itself. This command shows who may do what as the database says it, and how many
rows there are of each kind, and makes them trusted once you agree. No server may run, on no replica.`
}

func (c *upgradeCmd) Run(ctx context.Context, s streams) error {
	settings, err := c.load()
	if err != nil {
		return err
	}
	settings.Log.Level = "warn"
	by := audit.Claims{UPN: operator(), UID: strconv.Itoa(os.Getuid())}
	n, err := daemon.Upgrade(ctx, settings, by, settings.Logger(s.err),
		func(lines []string, counts map[string]int64) error {
			for _, line := range lines {
				fmt.Fprintln(s.out, printable(line))
			}
			for _, table := range slices.Sorted(maps.Keys(counts)) {
				fmt.Fprintf(s.out, "%s: %d rows\n", table, counts[table])
			}
			return c.confirm(s, "What is above, and all certificates, keys and secrets, will be trusted as it is now")
		},
		func(rows int) { fmt.Fprintf(s.err, "\r%d rows", rows) })
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("stop the server first: %w", err)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintln(s.out, "Every row is authenticated: there is nothing to do.")
		return nil
	}
	fmt.Fprintf(s.err, "\r")
	fmt.Fprintf(s.out, "%d rows are trusted from now on. Start it with: coffer serve --config %s\n", n, c.Config)
	return nil
}

// printable is a line without what moves a terminal's cursor or turns its text around.
func printable(line string) string {
	out := []rune(line)
	for i, r := range out {
		if !unicode.IsPrint(r) {
			out[i] = '?'
		}
	}
	return string(out)
}
