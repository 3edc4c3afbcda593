package main

import (
	"context"
	"fmt"
	"path/filepath"
	"text/tabwriter"

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
