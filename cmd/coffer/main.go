package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"coffer/internal/system"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	// What a vault keeps in memory is small, so that Go's default would collect
	// garbage dozens of times a second under load. $GOGC still decides.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if err := system.Guard(); err != nil {
		fmt.Fprintln(os.Stderr, "coffer:", err)
		os.Exit(1)
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// streams are where a command prints: results to out, everything else to err.
type streams struct{ out, err io.Writer }

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("coffer"),
		kong.Description("A self-hosted certificate vault that speaks the Azure Key Vault REST API."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": "coffer " + version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "coffer:", err)
		return 1
	}
	showExamples(parser.Model)
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help has been shown
	}
	if err != nil {
		fmt.Fprintln(stderr, "coffer:", err)
		return 2
	}
	if err := parsed.Run(); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			return int(code)
		}
		fmt.Fprintln(stderr, "coffer:", strings.TrimSpace(sentence(err))) // recorded messages end with a line end
		return 1
	}
	return 0
}

// exitCode ends the program with a code and without a message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// commands is the command line.
type commands struct {
	Dev     devCmd     `cmd:"" help:"Run a vault on this machine with one command, for development and tests."`
	Init    initCmd    `cmd:"" help:"Make a configuration, a root key and an administrator."`
	Serve   serveCmd   `cmd:"" help:"Run a vault from its configuration."`
	Cert    certCmd    `cmd:"" help:"Create, list and show certificates, as a client of a vault."`
	Vault   vaultCmd   `cmd:"" help:"Create, list, show, change and delete vaults."`
	Access  accessCmd  `cmd:"" help:"Say who may do what: access policies and role assignments."`
	ID      idCmd      `cmd:"" name:"identity" help:"Manage applications, managed identities, groups and their credentials."`
	Token   tokenCmd   `cmd:"" help:"List, rotate and revoke the keys that sign tokens."`
	Rotate  rotateCmd  `cmd:"" help:"Replace the root key, or the data keys, without stopping."`
	CA      caCmd      `cmd:"" name:"ca" help:"Replace the CA of the listener's own certificate, while clients work."`
	Backup  backupCmd  `cmd:"" help:"Write a copy of the database to a file (SQLite)."`
	Restore restoreCmd `cmd:"" help:"Put a copy in the place of the database (SQLite), while no server runs."`
	Upgrade upgradeCmd `cmd:"" help:"Trust what a database of an older version holds, after a look at it."`
	Doctor  doctorCmd  `cmd:"" help:"Say in sentences what is wrong with a vault, and what comes. A server may run."`
	Config  configCmd  `cmd:"" help:"Accept changed settings."`
	Jobs    jobsCmd    `cmd:"" help:"List background work that was given up, and have it run again."`
	Audit   auditCmd   `cmd:"" help:"Verify the audit log."`
	Env     envCmd     `cmd:"" help:"Print the environment of a development vault's clients for a shell."`
	Version versionCmd `cmd:"" help:"Print the version."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`
}
