package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"coffer/internal/fault"
	"coffer/internal/fresh"
	"coffer/internal/object"
)

const (
	// maxTries bounds how often an update is run again after a conflict. With
	// the pauses below the last try comes after about three seconds.
	maxTries = 12
	// sharedTries is how often an update is tried beside others before it is run
	// alone.
	sharedTries = 2
	// firstPause and maxPause bound the random pause before the next try.
	firstPause = 2 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// patience bounds how long a transaction waits for the server, beginning and commit
// included: one that is stalled, or behind a network that swallows everything, says
// nothing for a quarter of an hour. A caller's own deadline may come sooner.
const patience = 20 * time.Second

// Error codes of PostgreSQL (appendix A of its manual).
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	foreignKeyViolation  = "23503"
	dataCorrupted        = "XX001"
	indexCorrupted       = "XX002"

	closedDataKey = "CF001" // our own, of migration 8
)

// postgresEngine is a PostgreSQL server, shared by any number of processes.
type postgresEngine struct {
	db     *sql.DB
	faults Faults
	logger *slog.Logger
	closed atomic.Bool

	commits  *fresh.Commits
	damaged  *damage
	guard    *protection
	readOnly bool

	patience time.Duration

	writers sync.RWMutex // held by every update: shared, or alone after conflicts
}

func openPostgres(ctx context.Context, cfg Config) (*postgresEngine, error) {
	conf, err := parseURL(cfg)
	if err != nil {
		return nil, err
	}
	e := &postgresEngine{db: stdlib.OpenDB(*conf), faults: cfg.Faults, logger: cfg.Logger, commits: fresh.NewCommits(false), patience: patience, damaged: &damage{logger: cfg.Logger}}
	// A server answers best with few connections for each of its cores; ours is
	// the only number at hand, and the default of PostgreSQL is 100 in all.
	n := min(max(8, 4*runtime.GOMAXPROCS(0)), 32)
	e.db.SetMaxOpenConns(n)
	e.db.SetMaxIdleConns(n)
	if cfg.ReadOnly {
		if err := checkSchema(ctx, e.db, postgresDialect); err != nil {
			return nil, errors.Join(err, e.db.Close())
		}
		e.readOnly = true
		e.guard, err = newProtection(ctx, e.db, postgresDialect, e.damaged)
		return e, err
	}
	if err := migrate(ctx, e.db, postgresDialect, cfg.Create, goose.WithSessionLocker(migrationLock{})); err != nil {
		return nil, errors.Join(err, e.db.Close())
	}
	if e.guard, err = newProtection(ctx, e.db, postgresDialect, e.damaged); err != nil {
		return nil, errors.Join(err, e.db.Close())
	}
	return e, nil
}

// migrationLock lets one process at a time migrate a schema: the others wait.
type migrationLock struct{}

// The key is made from the name of the schema, so that schemas of one database
// do not wait for one another.
const lockKey = "hashtextextended('coffer migration ' || current_schema(), 0)"

func (migrationLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock("+lockKey+")")
	return err
}

func (migrationLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+lockKey+")")
	return err
}

func (e *postgresEngine) damage() *damage { return e.damaged }

func (e *postgresEngine) protected() *protection { return e.guard }

func (e *postgresEngine) counts() *fresh.Commits { return e.commits }

// view reads one snapshot. A transaction that only reads cannot fail at
// repeatable read, and sees one state like a view of SQLite.
func (e *postgresEngine) view(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.patience, errStalled)
	defer cancel()
	tx, err := e.begin(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return whyEnded(ctx, (&Tx{session: postgresTx{tx, ctx, e.damaged}, faults: noFaults, guard: e.guard}).run(fn))
}

// away makes of an error that says that the server is not there, or not the one to write
// to, one that a caller can act on: it is tried again later. Not for the error of a
// commit, which may have happened.
func away(err error) error {
	var connecting *pgconn.ConnectError
	var refused *pgconn.PgError
	var network net.Error
	switch {
	case errors.As(err, &connecting), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF):
	case errors.As(err, &refused) && (strings.HasPrefix(refused.Code, "08") || slices.Contains(passingCodes, refused.Code)):
	case errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded): // which a caller's own clock is, too
	default:
		return err
	}
	return &fault.Error{Kind: fault.Unavailable, Msg: "The database does not answer now.", Err: err}
}

// errStalled is why a transaction ends that waited longer than patience.
var errStalled = errors.New("store: the database does not answer in time")

// whyEnded makes of the error of a transaction that was not committed what a caller can act
// on: context.DeadlineExceeded, with the cause, when its time is over, else what away says.
func whyEnded(ctx context.Context, err error) error {
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) || conflict(err) {
		return away(err)
	}
	return fmt.Errorf("%w: %w: %w", context.Cause(ctx), context.DeadlineExceeded, err)
}

// passingCodes are what PostgreSQL says while it stops, starts, or is another's standby:
// admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections,
// read_only_sql_transaction.
var passingCodes = []string{"57P01", "57P02", "57P03", "53300", "25006"}

// update runs fn at the serializable level, again after a conflict.
func (e *postgresEngine) update(ctx context.Context, fn func(*Tx) error) error {
	if e.readOnly {
		return ErrReadOnly
	}
	pause := firstPause
	for try := 1; ; try++ {
		err := e.turn(ctx, fn, try > sharedTries)
		if !conflict(err) {
			return err
		}
		if try == maxTries {
			e.logger.WarnContext(ctx, "update gave up after conflicts", "tries", try)
			return fmt.Errorf("store: %d conflicts in a row: %w", try, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(pause)):
		}
		pause = min(2*pause, maxPause)
	}
}

// turn is one attempt: side by side with this process's others, or alone. Small
// tables conflict by page, so that writers of different names keep failing one
// another; alone, an update conflicts with other replicas only.
func (e *postgresEngine) turn(ctx context.Context, fn func(*Tx) error, alone bool) error {
	if alone {
		e.writers.Lock()
		defer e.writers.Unlock()
	} else {
		e.writers.RLock()
		defer e.writers.RUnlock()
	}
	return e.attempt(ctx, fn)
}

// attempt runs fn once. A crash or a lost connection before the commit leaves
// nothing, after it everything; the error of a commit whose answer was lost
// leaves it open.
func (e *postgresEngine) attempt(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.patience, errStalled)
	defer cancel()
	tx, err := e.begin(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	t := &Tx{session: postgresTx{tx, ctx, e.damaged}, faults: e.faults, guard: e.guard, verified: map[string][]any{}}
	if err := t.run(fn); err != nil {
		if conflict(t.failed) { // whatever fn made of it
			return t.failed
		}
		return whyEnded(ctx, err)
	}
	if err := e.faults(Commit, Before); err != nil {
		return fmt.Errorf("store: committing: %w", err)
	}
	if err := ctx.Err(); err != nil { // nothing is committed yet
		return whyEnded(ctx, err)
	}
	e.commits.Begin(t.touched)
	err = tx.Commit()
	e.commits.End(t.touched) // also when it is not known whether it happened
	if _, told := errors.AsType[*pgconn.PgError](err); told {
		return fmt.Errorf("store: committing: %w", err)
	}
	if err == nil {
		err = e.faults(Commit, After)
	}
	if err != nil {
		return unanswered(err)
	}
	return nil
}

// conflict reports whether the transaction has failed for its neighbours and is
// worth another try.
func conflict(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == serializationFailure || e.Code == deadlockDetected)
}

func (e *postgresEngine) begin(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error) {
	if e.closed.Load() {
		return nil, ErrClosed
	}
	tx, err := e.db.BeginTx(ctx, opts)
	if err != nil {
		return nil, whyEnded(ctx, fmt.Errorf("store: beginning: %w", err))
	}
	return tx, nil
}

func (e *postgresEngine) backup(context.Context, string) error {
	return errors.New("backing up: a PostgreSQL database is backed up with pg_dump")
}

func (e *postgresEngine) close() error {
	e.closed.Store(true)
	return e.db.Close()
}

// postgresTx is a transaction of pgx, which keeps prepared statements for each
// connection by itself.
//
// Its statements end with the transaction's time, which no statement's own may exceed.
type postgresTx struct {
	tx     *sql.Tx
	ctx    context.Context
	damage *damage
}

func (p postgresTx) exec(_ context.Context, query string, args []any) (sql.Result, error) {
	return p.tx.ExecContext(p.ctx, query, args...)
}

func (p postgresTx) query(_ context.Context, query string, args []any) (*sql.Rows, error) {
	return p.tx.QueryContext(p.ctx, query, args...)
}

func (p postgresTx) saw(err error) error { return p.damage.saw(err) }

func (postgresTx) dialect() dialect { return postgresDialect }

func (postgresTx) translate(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case uniqueViolation:
			return object.ErrExists
		case foreignKeyViolation:
			return object.ErrNotFound
		case closedDataKey:
			return errClosed
		}
	}
	return err
}
