package daemon

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coffer/internal/admin"
	"coffer/internal/audit"
	"coffer/internal/datadir"
	"coffer/internal/directory"
	"coffer/internal/jobs"
	"coffer/internal/store"
)

// The bounds of what is worth a word.
const (
	littleRoom  = 1 << 30 // bytes free on a disk
	noRoom      = 64 << 20
	oldBackup   = 7 * 24 * time.Hour
	clockSlack  = 5 * time.Second
	longOpen    = 10 * time.Minute // keys.keep_open
	replicaGone = time.Minute      // since a replica's audit log was heard of: several times the period
)

// Doctor adds what comes, and what fails in the running server, which the one named asks;
// running is false when there is none.
func (x *Examination) Doctor(ctx context.Context, operator string) (running bool) {
	running = x.server(ctx, operator)
	x.disks()
	x.files()
	x.ownCertificates()
	x.risks()
	x.chain()
	if x.db == nil {
		return running
	}
	for _, look := range []func(context.Context, *store.Tx) error{x.clockAndReplicas, x.lastBackup, x.failedJobs, x.credentials, x.defaultVault} {
		if err := x.db.View(ctx, func(tx *store.Tx) error { return look(ctx, tx) }); err != nil {
			x.wrong("the database", "%v", err)
		}
	}
	return running
}

func (x *Examination) server(ctx context.Context, operator string) (running bool) {
	client, err := admin.Dial(SocketPath(x.settings))
	if errors.Is(err, admin.ErrNoServer) {
		return false
	}
	var view admin.HealthView
	if err == nil {
		err = client.Call(ctx, operator, admin.HealthShow, admin.None{}, &view)
	}
	if err != nil {
		x.wrong("the server", "%v", err)
	}
	for _, f := range view.Findings {
		x.Findings = append(x.Findings, Finding{Wrong: !f.Serves, About: f.Check,
			What: fmt.Sprintf("%s, since %s, in the running server", f.What, f.Since.UTC().Format(time.RFC3339))})
	}
	return true
}

func (x *Examination) disks() {
	seen := map[string]bool{}
	for _, dir := range []string{x.settings.DataDir(), filepath.Dir(DatabasePath(x.settings)), filepath.Dir(AuditPath(x.settings))} {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		free, err := datadir.Free(dir)
		switch {
		case err != nil: // told of elsewhere
		case free < noRoom:
			x.wrong("the disk", "%d MiB are free in %s", free>>20, dir)
		case free < littleRoom:
			x.note("the disk", "%d MiB are free in %s", free>>20, dir)
		}
	}
}

// files looks at what others may read, and at what lies in clear.
func (x *Examination) files() {
	dir := x.settings.DataDir()
	secret := []string{filepath.Join(dir, "administrator.json"), AuditPath(x.settings)}
	keys, _ := filepath.Glob(filepath.Join(dir, "tls", "*.key")) // the pattern is good
	for _, path := range append(secret, keys...) {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			x.wrong("the files", "others may read %s (mode %#o): run chmod 600 %s", path, info.Mode().Perm(), path)
		}
	}
	if _, err := os.Stat(secret[0]); err == nil {
		x.note("the files", "%s holds the administrator's credentials in clear: move it to a safe place", secret[0])
	}
	if x.root == nil || x.settings.RootKey.HSM {
		return
	}
	if sealed, err := x.settings.Passphrase(); err == nil && len(sealed.Reveal()) == 0 {
		x.note("the root key", "%s is in clear: whoever has it and the database has all", RootKeyPath(x.settings))
	}
	if old, ok := x.root.(interface{ Kept() int }); ok && old.Kept() > 0 {
		x.note("the root key", "its file keeps %d older for backups of their time; 'coffer rotate --forget-old' drops them", old.Kept())
	}
}

// ownCertificates looks at those of the own CA.
func (x *Examination) ownCertificates() {
	if x.settings.TLS.Certificate != "" {
		return
	}
	for file, about := range map[string]string{"ca.crt": "the own CA", "server.crt": "the listener's certificate"} {
		raw, err := os.ReadFile(filepath.Join(x.settings.DataDir(), "tls", file))
		block, _ := pem.Decode(raw)
		if err != nil || block == nil {
			continue // made by the next start
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		left := time.Duration(0)
		if err == nil {
			left = cert.NotAfter.Sub(x.now)
		}
		switch {
		case err != nil:
			x.wrong(about, "%s: %v", file, err)
		case left < 0:
			x.wrong(about, "it expired on %s", cert.NotAfter.Format(time.DateOnly))
		case file == "ca.crt" && len(cert.PermittedDNSDomains) == 0:
			x.note(about, "it may sign any name, for it was made before Coffer's CAs were constrained: 'coffer ca rotate' makes one that may not")
		case file == "ca.crt" && left < 2*expirySoon, left < expirySoon/2: // a leaf is renewed when thirty days are left
			x.note(about, "it expires on %s", cert.NotAfter.Format(time.DateOnly))
		}
	}
}

// risks are settings that are allowed, and that somebody should have decided on.
func (x *Examination) risks() {
	c := x.settings
	for _, r := range []struct {
		is   bool
		what string
	}{
		{c.Store.Insecure, "store.insecure: the way to PostgreSQL is not verified"},
		{c.Store.MaxAge > 0, "store.max_age: answers may be older than another replica's change"},
		{c.AllowNewerAPIVersions, "allow_newer_api_versions: requests of versions that are not known are answered as the newest that is"},
		{c.Audit.Unauthenticated == "none", "audit.unauthenticated is none: refused tokens are not on record"},
		{len(c.TrustedCallers) > 0, fmt.Sprintf("trusted_callers: %d callers pass the firewall of every vault", len(c.TrustedCallers))},
		{c.Keys.KeepOpen != nil && time.Duration(*c.Keys.KeepOpen) > longOpen, "keys.keep_open: private keys stay open in memory for long"},
		{c.Log.Level == "debug", "log.level is debug: the log grows fast"},
	} {
		if r.is {
			x.note("the settings", "%s", r.what)
		}
	}
}

// chain verifies the file of the audit log that is being written: verifying all files is
// for coffer audit verify.
func (x *Examination) chain() {
	path := AuditPath(x.settings)
	if _, err := os.Stat(path); err != nil {
		return
	}
	report, err := audit.Verify(audit.Check{Files: []string{path}})
	if err != nil {
		x.wrong("the audit log", "%v", err)
		return
	}
	for _, what := range report.Findings {
		x.note("the audit log", "%s", what)
	}
}

// clockAndReplicas looks at the clock of this machine beside what others have written.
func (x *Examination) clockAndReplicas(ctx context.Context, tx *store.Tx) error {
	logs, err := tx.AuditLogs(ctx)
	if err != nil {
		return err
	}
	for log, kept := range logs {
		if kept.Sub(x.now) > clockSlack {
			x.wrong("the clock", "it is %s, and the database was written at %s: it is slow here, or was fast there",
				x.now.UTC().Format(time.RFC3339), kept.Format(time.RFC3339))
		}
		if log != localLog && len(logs) > 1 && x.now.Sub(kept) > replicaGone {
			x.note("the replicas", "the one with the audit log %s has recorded nothing since %s", log, kept.Format(time.RFC3339))
		}
	}
	return nil
}

func (x *Examination) lastBackup(ctx context.Context, tx *store.Tx) error {
	if x.settings.Store.Driver == store.Postgres {
		x.note("the backup", "it is PostgreSQL's: when pg_dump ran is not known here")
		return nil
	}
	kept, err := tx.Installation(ctx)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, kept[lastBackup])
	switch {
	case err != nil:
		x.note("the backup", "'coffer backup' has never run")
	case x.now.Sub(at) > oldBackup:
		x.note("the backup", "'coffer backup' ran last on %s", at.Format(time.DateOnly))
	}
	return nil
}

func (x *Examination) failedJobs(ctx context.Context, tx *store.Tx) error {
	var list []jobs.Job
	list, err := tx.FailedJobs(ctx, maxFailedJobs)
	if len(list) > 0 {
		x.wrong("the background work", "%d jobs were given up: see 'coffer jobs list'", len(list))
	}
	return err
}

// principalsPage is how many principals are read at once.
const principalsPage = 100

func (x *Examination) credentials(ctx context.Context, tx *store.Tx) error {
	for after := ""; ; {
		page, err := tx.Principals(ctx, after, principalsPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			after = p.ObjectID
			if !p.Enabled {
				continue
			}
			if err := x.credentialsOf(ctx, tx, p); err != nil {
				return err
			}
		}
	}
}

func (x *Examination) credentialsOf(ctx context.Context, tx *store.Tx, p *directory.Principal) error {
	list, err := tx.Credentials(ctx, p.ObjectID)
	for _, c := range list {
		switch {
		case c.Expires == nil || c.Expires.Sub(x.now) > expirySoon:
		case c.Expired(x.now):
			x.note("the credentials", "a %s of %s expired on %s", c.Kind, cmp.Or(p.Name, p.ObjectID), c.Expires.Format(time.DateOnly))
		default:
			x.note("the credentials", "a %s of %s expires on %s", c.Kind, cmp.Or(p.Name, p.ObjectID), c.Expires.Format(time.DateOnly))
		}
	}
	return err
}

func (x *Examination) defaultVault(ctx context.Context, tx *store.Tx) error {
	name := x.settings.DefaultVault
	if name == "" {
		return nil
	}
	vaults, err := tx.Vaults(ctx)
	for _, v := range vaults {
		if strings.EqualFold(v.Name, name) {
			return err
		}
	}
	if err == nil {
		x.note("the settings", "default_vault names %s, which there is not", name)
	}
	return err
}
