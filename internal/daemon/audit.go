package daemon

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/audit"
	"coffer/internal/config"
	"coffer/internal/datadir"
	"coffer/internal/guid"
	"coffer/internal/store"
)

// AuditPath is the file of the audit log.
func AuditPath(c *config.Config) string { return c.InData(c.Audit.Path, "audit.jsonl") }

// openAudit opens the audit log, which nobody else may have open. accept says who takes
// note of what it lacks; nil: such a log is not opened.
func (d *Daemon) openAudit(accept *audit.Claims) error {
	c, path := d.settings, AuditPath(d.settings)
	var err error
	if d.lock, err = lockAudit(path + ".lock"); err != nil {
		return err
	}
	anchor, err := d.anchor()
	if err != nil {
		return err
	}
	d.audit, err = audit.Open(audit.Config{
		Path: path, Sync: true,
		Unauthenticated: audit.Mode(c.Audit.Unauthenticated),
		MaxBytes:        int64(c.Audit.MaxMegabytes) << 20,
		Anchor:          anchor, Accept: accept,
		Now: d.now, Logger: d.log,
	})
	return auditAdvice(err)
}

// auditAdvice adds to an error of the audit log what an operator can do about it.
func auditAdvice(err error) error {
	if _, lost := errors.AsType[*audit.LostError](err); lost {
		return fmt.Errorf("%w: bring back its files, to where they were; if they are lost, run 'coffer audit accept',"+
			" which puts the loss on record, and start again", err)
	}
	if _, older := errors.AsType[*audit.OlderError](err); older {
		return fmt.Errorf("%w: bring back the newest database, or with SQLite the copy by 'coffer restore FILE'; if this one is meant to be"+
			" used, run 'coffer audit accept', which puts that on record, and start again", err)
	}
	return err
}

// anchor is where the database keeps the head of this log. A SQLite database has one
// log, so that a log with everything beside it can be missed; processes that share a
// PostgreSQL database have one each, whose id lies beside it.
func (d *Daemon) anchor() (*audit.Anchor, error) {
	c := d.settings
	a := &audit.Anchor{DB: store.For[audit.Tx]{DB: d.db}, Log: localLog}
	if cmp.Or(c.Store.Driver, store.SQLite) == store.SQLite {
		return a, nil
	}
	var err error
	a.Log, err = readAuditID(c)
	if errors.Is(err, fs.ErrNotExist) {
		a.Log, err = newAuditID(c)
		d.log.Warn("this audit log is new; when it should not be, its files are lost", "path", AuditPath(c), "id", a.Log)
	}
	return a, err
}

// localLog is the one log of a SQLite database.
const localLog = "local"

func readAuditID(c *config.Config) (string, error) {
	raw, err := os.ReadFile(auditIDPath(c))
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(raw))
	if _, ok := guid.Parse(id); !ok {
		return "", fmt.Errorf("%s must hold the id of the audit log, a GUID", auditIDPath(c))
	}
	return id, nil
}

func auditIDPath(c *config.Config) string { return AuditPath(c) + ".id" }

func newAuditID(c *config.Config) (string, error) {
	id := guid.New()
	return id, os.WriteFile(auditIDPath(c), []byte(id+"\n"), 0o600)
}

// createAuditID gives a new vault's audit log its id, so that its first start does not
// warn of a log that is lost. An id that is there stays.
func createAuditID(c *config.Config) error {
	if cmp.Or(c.Store.Driver, store.SQLite) == store.SQLite {
		return nil
	}
	if _, err := os.Lstat(auditIDPath(c)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := newAuditID(c)
	return err
}

// ReopenAudit begins another file of the audit log when the one there was moved away.
func (d *Daemon) ReopenAudit() error { return d.audit.Reopen() }

// AcceptAudit takes note, as the one named, of what the audit log lacks, so that the
// vault can be started again. It answers what that is, "" when it lacks nothing, and
// store.ErrInUse while a server runs.
func AcceptAudit(ctx context.Context, settings *config.Config, by audit.Claims, log *slog.Logger) (lost string, err error) {
	d := &Daemon{settings: settings, log: log, now: time.Now}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.openStore(ctx); err != nil {
		return "", err
	}
	if err := d.openAudit(&by); err != nil {
		return "", err
	}
	if older := d.audit.Older; older != "" {
		return older, d.audit.RecordRestore(ctx, older, by)
	}
	return d.audit.Accepted, nil
}

// AuditHead is what the database has seen of the audit log; store.ErrInUse while a
// server runs, which answers it by the operator's socket.
func AuditHead(ctx context.Context, settings *config.Config, log *slog.Logger) (h audit.Head, err error) {
	d := &Daemon{settings: settings, log: log, now: time.Now}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.openStore(ctx); err != nil {
		return audit.Head{}, err
	}
	return d.keptHead(ctx)
}

func (d *Daemon) keptHead(ctx context.Context) (audit.Head, error) {
	anchor, err := d.anchor()
	if err != nil {
		return audit.Head{}, err
	}
	return anchor.KeptHead(ctx)
}

// auditHead answers the operator what the database has seen of the audit log.
func (d *Daemon) auditHead(ctx context.Context, g access.Grant) (admin.AuditHead, error) {
	g.MustEverywhere(access.AuditRead)
	h, err := d.keptHead(ctx)
	return admin.AuditHead{Sequence: h.Sequence, Hash: hex.EncodeToString(h.Hash[:]), Disturbed: d.audit.Disturbed()}, err
}

// lockAudit takes the lock of the audit log. SQLite has a lock of its own; with
// PostgreSQL this one alone keeps two processes from writing one audit log and
// answering at one socket.
func lockAudit(path string) (*os.File, error) {
	f, err := datadir.Lock(path)
	if held, ok := errors.AsType[*datadir.HeldError](err); ok {
		return nil, fmt.Errorf("%w: %w; a replica needs a data folder of its own", store.ErrInUse, held)
	}
	return f, err
}
