package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/config"
	"coffer/internal/daemon"
)

var errWouldFail = errors.New("a server would not start, or would not serve what it should")

// check prints what a start would stumble over, a line each.
func check(ctx context.Context, settings *config.Config, path string, s streams) (err error) {
	x := daemon.Examine(ctx, settings, time.Now())
	defer func() { err = errors.Join(err, x.Close()) }()
	printFindings(s, x.Findings)
	if x.Wrong() {
		return errWouldFail
	}
	fmt.Fprintln(s.out, path, "is good.")
	return nil
}

func printFindings(s streams, list []daemon.Finding) {
	for _, f := range list {
		mark := "note: "
		if f.Wrong {
			mark = "WRONG: "
		}
		fmt.Fprintln(s.out, mark+f.About+": "+sentence(errors.New(f.What)))
	}
}

type doctorCmd struct {
	configFlag
	Output string `short:"o" help:"text or json." enum:"text,json" default:"text"`
}

func (c *doctorCmd) Help() string {
	return "Looks at what serve --check looks at, and at what comes: expiries, room on the disk, the clock, the last backup," +
		" replicas, jobs that were given up, risky settings; and asks the running server what fails in it." +
		" It changes nothing. The exit code is 1 when something is wrong; notes are worth reading."
}

func (c *doctorCmd) Run(ctx context.Context, s streams) (err error) {
	settings, err := c.load()
	if err != nil {
		return err
	}
	x := daemon.Examine(ctx, settings, time.Now())
	defer func() { err = errors.Join(err, x.Close()) }()
	running := x.Doctor(ctx, operator())
	switch {
	case c.Output == "json":
		err = printJSON(s.out, struct {
			Running  bool             `json:"running"`
			Findings []daemon.Finding `json:"findings"`
		}{running, append([]daemon.Finding{}, x.Findings...)})
	case running:
		printFindings(s, x.Findings)
		fmt.Fprintln(s.out, "A server runs.")
	default:
		printFindings(s, x.Findings)
		fmt.Fprintln(s.out, "No server runs.")
	}
	if err == nil && x.Wrong() {
		return exitCode(1)
	}
	if err == nil && c.Output == "text" {
		fmt.Fprintln(s.out, "Nothing is wrong.")
	}
	return err
}
