package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"coffer/internal/admin"
	"coffer/internal/audit"
	"coffer/internal/config"
	"coffer/internal/daemon"
	"coffer/internal/store"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Walk the audit log: say what is missing in it or was altered. A server may run."`
	Accept auditAcceptCmd `cmd:"" help:"Take note of what the audit log has lost, so that the server starts again."`
}

type auditVerifyCmd struct {
	configFlag
	Files []string `arg:"" optional:"" name:"file" help:"Files to walk instead of the configured log and what was rotated from it; .gz is read too. What the database has seen is not asked then." type:"existingfile"`
	With  []string `help:"Further file to walk with the configured log: one that was moved elsewhere (repeatable)." type:"existingfile" placeholder:"FILE"`
	Since uint64   `help:"Look at the lines behind this one only: what was before is known." placeholder:"NUMBER"`
}

func (c *auditVerifyCmd) Run(ctx context.Context, s streams) error {
	check := audit.Check{Files: c.Files, Since: c.Since, Progress: progressTo(s)}
	if len(c.Files) == 0 {
		settings, err := c.open(s)
		if err != nil {
			return err
		}
		check.Path, check.Files = daemon.AuditPath(settings), c.With
		// Before the files are looked at: what they lack then is missing.
		if check.Kept, err = keptHead(ctx, settings, s); err != nil {
			return fmt.Errorf("what the database has seen of the audit log: %w", err)
		}
	}
	report, err := audit.Verify(check)
	if err != nil {
		return err
	}
	for _, note := range report.Notes {
		fmt.Fprintln(s.out, "note:", note)
	}
	for _, finding := range report.Findings {
		fmt.Fprintln(s.out, "WRONG:", finding)
	}
	if report.Lines == 0 {
		fmt.Fprintf(s.out, "%s, no numbered line\n", count(report.Files, "file"))
	} else {
		fmt.Fprintf(s.out, "%s, lines %d to %d\n", count(report.Files, "file"), report.First, report.Last)
	}
	if len(report.Findings) > 0 {
		return errors.New("the audit log is not as it was written")
	}
	fmt.Fprintln(s.out, "Each line is the one that was written after the one before.")
	if check.Kept.Sequence > 0 {
		fmt.Fprintf(s.out, "The database has seen the log up to line %d.\n", check.Kept.Sequence)
	}
	return nil
}

// progressTo tells how far a long walk is, each five seconds.
func progressTo(s streams) func(done, all int64) {
	next := time.Now().Add(5 * time.Second)
	return func(done, all int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(5 * time.Second)
			fmt.Fprintf(s.err, "%d of %d MiB\n", done>>20, all>>20)
		}
	}
}

// keptHead asks the running server, or the database when none runs.
func keptHead(ctx context.Context, settings *config.Config, s streams) (h audit.Head, err error) {
	client, err := admin.Dial(daemon.SocketPath(settings))
	if errors.Is(err, admin.ErrNoServer) {
		settings.Log.Level = "warn"
		return daemon.AuditHead(ctx, settings, settings.Logger(s.err))
	}
	if err != nil {
		return h, err
	}
	var a admin.AuditHead
	if err := (socketCaller{client}).call(ctx, admin.AuditShow, admin.None{}, &a); err != nil {
		return h, err
	}
	if a.Disturbed != "" {
		fmt.Fprintln(s.out, "The running server found:", a.Disturbed)
	}
	h.Sequence = a.Sequence
	if n, err := hex.Decode(h.Hash[:], []byte(a.Hash)); err != nil || n != len(h.Hash) {
		return h, errors.New("the server's answer cannot be read")
	}
	return h, nil
}

type auditAcceptCmd struct{ configFlag }

func (c *auditAcceptCmd) Run(ctx context.Context, s streams) error {
	settings, err := c.open(s)
	if err != nil {
		return err
	}
	settings.Log.Level = "warn"
	by := audit.Claims{UPN: operator(), UID: strconv.Itoa(os.Getuid())}
	lost, err := daemon.AcceptAudit(ctx, settings, by, settings.Logger(s.err))
	switch {
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("the server runs, so its audit log lacks nothing that must be accepted: %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no vault here: %w", err)
	case err != nil:
		return err
	case lost == "":
		fmt.Fprintln(s.out, "The audit log has all that the database has seen: there is nothing to accept.")
	default:
		fmt.Fprintf(s.out, "On record: %s. The log goes on behind that.\n", lost)
	}
	return nil
}

// reopenOnHangup begins another file of the audit log at each SIGHUP, until ctx ends;
// after that a SIGHUP does nothing.
func reopenOnHangup(ctx context.Context, d *daemon.Daemon, log *slog.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				if err := d.ReopenAudit(); err != nil {
					log.Error("reopening the audit log", "error", err)
				} else {
					log.Info("the audit log is open at its path")
				}
			}
		}
	}()
}
