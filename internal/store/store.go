package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/authn"
	"coffer/internal/certificate"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/issuance"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/management"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/token"
	"coffer/internal/vault"
)

// The drivers.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Config says where the data is.
type Config struct {
	Driver string     // SQLite or Postgres
	Path   string     // SQLite: the database file
	URL    seal.Value // Postgres: the connection string, which holds a password

	// Insecure allows a server on another machine that is not verified. Without it that is
	// ErrUnverified.
	Insecure bool

	// Create makes what is absent: the file and its directory, or the schema. Without
	// it that is ErrMissing: a volume that is not mounted is no empty vault.
	Create bool

	// ReadOnly opens what is there and changes nothing, also beside a process that has a
	// SQLite database: a schema that is not of today is ErrOlder, and Update an error.
	ReadOnly bool

	Logger *slog.Logger // nil: nothing is logged
	Faults Faults       // nil in production
}

// When says on which side of a write a fault is injected.
type When int

// The two ways to fail a write: as if it did nothing, and as if it happened all
// the same.
const (
	Before When = iota
	After
)

func (w When) String() string {
	if w == Before {
		return "before"
	}
	return "after"
}

// Faults is called around every write statement, named for its method, and
// around every Commit. An error fails the write on that side. Tests use it to
// break the store on purpose.
type Faults func(point string, when When) error

// Commit is the fault point of the commit. It is passed once for each commit,
// which callers that write at the same time may share.
const Commit = "Commit"

var (
	// ErrInUse reports a SQLite database that another process has open.
	ErrInUse = errors.New("store: the database is in use")
	// ErrMissing reports a database that is not there, or has no schema yet.
	ErrMissing = errors.New("store: there is no database")
	// ErrForeignLog reports a SQLite database with a write-ahead log that belongs to
	// another file, or to an earlier state of this one.
	ErrForeignLog = errors.New("store: the database and its write-ahead log do not belong together")
	// ErrForeignFile reports a SQLite database file that was put in the place of the one
	// that was open last: an older copy, say.
	ErrForeignFile = errors.New("store: the database file is not the one that was here last")
	// ErrNewer reports a database that a newer version of the program has
	// migrated; migrations go forward only.
	ErrNewer = errors.New("store: the database was made by a newer version of this program")
	// ErrOlder reports a database whose schema is brought up to date by the next start.
	ErrOlder = errors.New("store: the schema of the database is older than this program")
	// ErrReadOnly reports an Update of a database that was opened to be read.
	ErrReadOnly = errors.New("store: the database was opened to be read only")
	// ErrClosed reports a DB after Close.
	ErrClosed = errors.New("store: closed")
)

// DB is an open database. It is safe for concurrent use.
type DB struct{ engine engine }

// engine is one of the two databases.
type engine interface {
	view(ctx context.Context, fn func(*Tx) error) error
	update(ctx context.Context, fn func(*Tx) error) error
	backup(ctx context.Context, path string) error
	counts() *fresh.Commits
	damage() *damage
	protected() *protection
	close() error
}

// Open opens the database and brings its schema up to date; ErrMissing, ErrNewer,
// ErrForeignLog and ErrForeignFile change nothing. With SQLite the process holds the database alone until Close; another one gets ErrInUse.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Faults == nil {
		cfg.Faults = func(string, When) error { return nil }
	}
	var e engine
	var err error
	switch cfg.Driver {
	case SQLite:
		e, err = openSQLite(ctx, cfg)
	case Postgres:
		e, err = openPostgres(ctx, cfg)
	default:
		err = fmt.Errorf("driver: must be %q or %q", SQLite, Postgres)
	}
	switch {
	case tellsOfDamage(err):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	case tellsOfFullDisk(err, cfg.Path):
		err = fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return &DB{e}, nil
}

// Authenticate gives the keys that rows are authenticated with. Before it, and without
// it, nothing that a decision rests on can be read or written.
func (db *DB) Authenticate(keys *seal.RowKeys) { db.engine.protected().keys.Store(keys) }

// Commits counts what this process has committed, by area. With SQLite no other
// process commits.
func (db *DB) Commits() *fresh.Commits { return db.engine.counts() }

// errClosed refuses a box whose data key was replaced while it was under way.
var errClosed = &fault.Error{Kind: fault.Unavailable, Msg: "The vault's data key was replaced meanwhile.", Err: seal.ErrClosed}

// unanswered is the error of a commit whose answer did not come.
func unanswered(err error) error {
	return fmt.Errorf("store: committing: %w: %w", object.ErrOutcomeUnknown, err)
}

// View runs fn in a read-only transaction: all that fn reads is one state of
// the database, which holds every Update that has returned. fn must not keep tx.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.view(ctx, fn)
}

// Update runs fn in a transaction that sees no other and is all or nothing. It
// returns after the commit is durable. An error of fn rolls back what fn wrote
// and is returned; an error of the commit is object.ErrOutcomeUnknown when it leaves
// open whether it happened.
// fn may run again after a conflict, must not keep tx, and must not call Update.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.update(ctx, fn)
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		var one int
		return tx.row(ctx, "SELECT 1", nil, &one)
	})
}

// Backup writes a copy of one state of a SQLite database to path, which must
// not exist, while the database is in use. The copy is a database of its own,
// durable when Backup returns, of mode 0600. With PostgreSQL it is an error that
// names pg_dump.
func (db *DB) Backup(ctx context.Context, path string) error {
	return db.engine.backup(ctx, path)
}

// Close ends what is running and gives the database free. Every Update that has
// not begun answers ErrClosed.
func (db *DB) Close() error { return db.engine.close() }

// For is an object.DB of the transaction that one domain declares. T is one of
// those that Tx is shown to implement below.
type For[T any] struct{ DB *DB }

// View is DB.View.
func (f For[T]) View(ctx context.Context, fn func(T) error) error {
	return f.DB.View(ctx, func(tx *Tx) error { return fn(any(tx).(T)) })
}

// Update is DB.Update.
func (f For[T]) Update(ctx context.Context, fn func(T) error) error {
	return f.DB.Update(ctx, func(tx *Tx) error { return fn(any(tx).(T)) })
}

var (
	_ access.Tx      = (*Tx)(nil)
	_ audit.Tx       = (*Tx)(nil)
	_ certificate.Tx = (*Tx)(nil)
	_ issuance.Tx    = (*Tx)(nil)
	_ jobs.Tx        = (*Tx)(nil)
	_ jobs.WorkTx    = (*Tx)(nil)
	_ jobs.OnceTx    = (*Tx)(nil)
	_ outbox.Tx      = (*Tx)(nil)

	_ outbox.DeliveryTx = (*Tx)(nil)
	_ jobs.FailedTx     = (*Tx)(nil)
	_ key.Tx            = (*Tx)(nil)
	_ management.Tx     = (*Tx)(nil)
	_ seal.Tx           = (*Tx)(nil)
	_ secret.Tx         = (*Tx)(nil)
	_ vault.Tx          = (*Tx)(nil)
	_ directory.Tx      = (*Tx)(nil)
	_ token.Tx          = (*Tx)(nil)
	_ authn.Tx          = (*Tx)(nil)

	_ object.DB[*Tx]    = (*DB)(nil)
	_ object.DB[key.Tx] = For[key.Tx]{}
)
