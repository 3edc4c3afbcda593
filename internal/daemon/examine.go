package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coffer/internal/audit"
	"coffer/internal/config"
	"coffer/internal/datadir"
	"coffer/internal/seal"
	"coffer/internal/servercert"
	"coffer/internal/store"
)

// Finding is a sentence about an installation.
type Finding struct {
	Wrong bool   `json:"wrong"` // else it is worth knowing
	About string `json:"about"` // "the database"
	What  string `json:"what"`
}

// Examination looks at what a configuration names and changes nothing, also while a
// server runs.
type Examination struct {
	Findings []Finding

	settings *config.Config
	now      time.Time
	root     rootKeeper // nil: it does not open
	db       *store.DB  // nil: it does not open
	closers  []func() error
}

// Examine looks at what a start needs: the data folder, the root key, the HSM, the
// database, the audit log, the listener's certificate, the CA files of issuers.
// Close it.
func Examine(ctx context.Context, c *config.Config, now time.Time) *Examination {
	x := &Examination{settings: c, now: now}
	x.folder()
	x.rootKey(ctx)
	x.database(ctx)
	x.auditLog(ctx)
	x.listener()
	if _, err := Issuers(c); err != nil {
		x.wrong("the external issuers", "%v", err)
	}
	return x
}

// Close gives back what the examination has opened.
func (x *Examination) Close() (err error) {
	for _, close := range x.closers {
		err = errors.Join(err, close())
	}
	return err
}

// Wrong tells whether a start would fail, or what it serves.
func (x *Examination) Wrong() bool {
	for _, f := range x.Findings {
		if f.Wrong {
			return true
		}
	}
	return false
}

func (x *Examination) wrong(about, format string, args ...any) {
	x.Findings = append(x.Findings, Finding{true, about, fmt.Sprintf(format, args...)})
}

func (x *Examination) note(about, format string, args ...any) {
	x.Findings = append(x.Findings, Finding{false, about, fmt.Sprintf(format, args...)})
}

func (x *Examination) folder() {
	dir := x.settings.DataDir()
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		x.wrong("the data folder", "%v", err)
	case !info.IsDir():
		x.wrong("the data folder", "%s is no folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		x.wrong("the data folder", "others may enter %s (mode %#o): run chmod 700 %s", dir, info.Mode().Perm(), dir)
	default:
		x.writable("the data folder", dir)
	}
	// A unix socket's path has at most 107 bytes (unix(7)).
	if path := SocketPath(x.settings); len(path) > 107 {
		x.wrong("the data folder", "%s is too long for a socket: choose a shorter folder", path)
	}
}

// writable asks the system whether files can be made in a folder, by this user.
func (x *Examination) writable(about, dir string) {
	if err := datadir.Writable(dir); err != nil {
		x.wrong(about, "this user cannot write in %s: %v", dir, err)
	}
}

func (x *Examination) rootKey(ctx context.Context) {
	device, err := openHSM(x.settings, slog.New(slog.DiscardHandler))
	if err != nil {
		x.wrong("the HSM", "%v", err)
		return
	}
	if device != nil {
		x.closers = append(x.closers, device.Close)
		if err := device.Ready(ctx); err != nil {
			x.wrong("the HSM", "%v", err)
		}
	}
	if x.root, err = openRoot(ctx, x.settings, device); err != nil {
		x.root = nil
		x.wrong("the root key", "%v", err)
	}
}

func (x *Examination) database(ctx context.Context) {
	sc, err := storeConfig(x.settings, slog.New(slog.DiscardHandler))
	if err == nil {
		sc.ReadOnly = true
		x.db, err = store.Open(ctx, sc)
	}
	switch {
	case errors.Is(err, store.ErrOlder):
		x.note("the database", "%v: by the next start", err)
		return
	case err != nil:
		x.wrong("the database", "%v", whatToDo(err, x.settings))
		return
	}
	x.closers = append(x.closers, x.db.Close)
	if info, err := os.Stat(sc.Path); sc.Driver == store.SQLite && err == nil && info.Mode().Perm()&0o077 != 0 {
		x.note("the database", "others may read %s (mode %#o): the next start takes that from them", sc.Path, info.Mode().Perm())
	}
	if x.root != nil {
		s := seal.NewSealer(x.root, store.For[seal.Tx]{DB: x.db}, func() time.Time { return x.now })
		if err := s.Verify(ctx); err != nil {
			x.wrong("the root key", "%s does not open all data keys of the database: %v", rootName(x.settings), err)
		}
		x.rows(ctx, s)
	}
	changed, _, err := changedSettings(ctx, x.db, x.settings)
	if err != nil {
		x.wrong("the settings", "%v", err)
	}
	for _, c := range changed {
		x.note("the settings", "%s: who used the old one is locked out; put it back, or run 'coffer config accept'", c)
	}
}

// namedRows is how many rows that are not authentic are told by name.
const namedRows = 20

// rows looks whether what the database holds was written by the vault.
func (x *Examination) rows(ctx context.Context, s *seal.Sealer) {
	keys, err := s.RowKeys(ctx, false)
	if errors.Is(err, seal.ErrNoRowKey) {
		if empty, e := x.db.Empty(ctx); e != nil || !empty {
			x.wrong("the database", "%v: stop the vault and run 'coffer upgrade'", err)
		}
		return
	}
	if err != nil {
		x.wrong("the database", "%v", err)
		return
	}
	x.db.Authenticate(keys)
	forged, err := x.db.VerifyRows(ctx)
	if err != nil {
		x.wrong("the database", "%v", err)
	}
	for i, row := range forged {
		if i == namedRows {
			x.wrong("the database", "%d more rows were changed outside of the vault", len(forged)-namedRows)
			break
		}
		x.wrong("the database", "somebody who is not the vault has changed this row, or put it there: %s; it is not used", row)
	}
}

// auditLog looks whether the log can be written and has all that the database has seen.
func (x *Examination) auditLog(ctx context.Context) {
	path := AuditPath(x.settings)
	x.writable("the audit log", filepath.Dir(path))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.wrong("the audit log", "it cannot be written: %v", err)
	}
	if x.db == nil {
		return
	}
	kept, err := x.keptHead(ctx) // before the files: what they lack then is missing
	if err != nil {
		x.wrong("the audit log", "%v", err)
		return
	}
	head, _, err := audit.LastHead(path)
	if err == nil {
		err = audit.Compare(path, head, kept)
	}
	if err != nil {
		x.wrong("the audit log", "%v", auditAdvice(err))
	}
}

func (x *Examination) keptHead(ctx context.Context) (audit.Head, error) {
	log := localLog
	if x.settings.Store.Driver == store.Postgres {
		id, err := readAuditID(x.settings)
		if errors.Is(err, fs.ErrNotExist) {
			x.note("the audit log", "it has no id yet: the next start takes it for the log of a new replica")
			return audit.Head{}, nil
		}
		if err != nil {
			return audit.Head{}, err
		}
		log = id
	}
	return (&audit.Anchor{DB: store.For[audit.Tx]{DB: x.db}, Log: log}).KeptHead(ctx)
}

// listener looks at the certificate that the listener would show.
func (x *Examination) listener() {
	c := x.settings
	about := "the listener's certificate"
	if c.TLS.Certificate == "" {
		dir := filepath.Join(c.DataDir(), "tls")
		if err := datadir.Writable(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			x.wrong(about, "this user cannot write in %s: %v", dir, err)
		}
		return // made and renewed by the server
	}
	cert, err := servercert.Files{Certificate: c.Path(c.TLS.Certificate), Key: c.Path(c.TLS.Key)}.Load()
	if err != nil {
		x.wrong(about, "%v", err)
		return
	}
	leaf := cert.Leaf
	switch {
	case x.now.After(leaf.NotAfter):
		x.wrong(about, "it expired on %s", leaf.NotAfter.Format(time.DateOnly))
	case x.now.Before(leaf.NotBefore):
		x.wrong(about, "it is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	case leaf.NotAfter.Sub(x.now) < expirySoon:
		x.note(about, "it expires on %s", leaf.NotAfter.Format(time.DateOnly))
	}
	names := []string{"vault." + c.Suffix}
	if u, err := url.Parse(c.URL); err == nil && u.Hostname() != "" {
		names = append(names, strings.ToLower(u.Hostname()))
	}
	for _, name := range names {
		if err := leaf.VerifyHostname(name); err != nil {
			x.note(about, "it does not have the name of %s: %v", cmp.Or(name, "?"), err)
		}
	}
	if info, err := os.Stat(c.Path(c.TLS.Key)); err == nil && info.Mode().Perm()&0o077 != 0 {
		x.note(about, "others may read its key %s (mode %#o)", c.Path(c.TLS.Key), info.Mode().Perm())
	}
}

// expirySoon is how long before its end an expiry is told of.
const expirySoon = 30 * 24 * time.Hour
