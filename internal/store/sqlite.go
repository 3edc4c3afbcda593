package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"coffer/internal/datadir"
	"coffer/internal/fresh"
	"coffer/internal/object"
)

const (
	// busyMillis is how long a statement waits for the lock of another program,
	// say a shell that looks at the file. Ours never wait for one another.
	busyMillis = 10_000
	// readerCache bounds the page cache of one reader, in KiB.
	readerCache = 4096
	// maxReaders bounds memory on machines of many cores.
	maxReaders = 64
)

// sqliteEngine is an embedded database: one writer, several readers, one
// process.
type sqliteEngine struct {
	lock    *os.File // held until close
	writes  *sql.DB
	reads   *sql.DB
	writer  *writer
	readers chan *sqliteConn // one slot a reader; nil: not connected yet
	path    string
	logger  *slog.Logger

	commits *fresh.Commits
	stop    chan struct{}
	closing sync.Once

	damaged   *damage
	guard     *protection
	verifying sync.Mutex
	verified  string // guarded by verifying: the table that was looked at last
}

func openSQLite(ctx context.Context, cfg Config) (_ *sqliteEngine, err error) {
	if cfg.Path == "" {
		return nil, errors.New("path: a file is needed")
	}
	if cfg.ReadOnly {
		return openToRead(ctx, cfg)
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if cfg.Create {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("path: %w", err)
		}
	}
	_, err = os.Stat(path)
	absent := errors.Is(err, fs.ErrNotExist)
	if absent && !cfg.Create {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	lock, err := datadir.Lock(path + ".lock")
	if held, ok := errors.AsType[*datadir.HeldError](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrInUse, held)
	}
	if err != nil {
		return nil, err
	}
	e := &sqliteEngine{lock: lock, path: path, logger: cfg.Logger, stop: make(chan struct{}), commits: fresh.NewCommits(true),
		damaged: &damage{logger: cfg.Logger}}
	defer func() {
		if err != nil {
			e.release()
		}
	}()
	if absent { // nothing tells which file was here
		if err := removeIfThere(generationFile(path)); err != nil {
			return nil, err
		}
	}
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	if err := takeGeneration(path); err != nil {
		return nil, err
	}
	if e.writes, err = connect(path, 1, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"); err != nil {
		return nil, err
	}
	if err := migrate(ctx, e.writes, sqliteDialect, cfg.Create); err != nil {
		return nil, err
	}
	if e.guard, err = newProtection(ctx, e.writes, sqliteDialect, e.damaged); err != nil {
		return nil, err
	}
	if err := stamp(ctx, e.writes, path); err != nil {
		return nil, err
	}
	n := min(2*runtime.GOMAXPROCS(0), maxReaders)
	if e.reads, err = connect(path, n, fmt.Sprintf("cache_size(-%d)", readerCache), "query_only(1)"); err != nil {
		return nil, err
	}
	conn, err := e.connection(ctx, e.writes)
	if err != nil {
		return nil, err
	}
	e.writer = newWriter(conn, cfg.Faults, e.commits, e.guard)
	e.readers = make(chan *sqliteConn, n)
	for range n {
		e.readers <- nil
	}
	return e, nil
}

// makePrivate makes the file, or takes from others what they may do with it.
// SQLite gives its -wal and -shm files the mode of the database.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(p, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(path)) // a new file's name is durable too
}

// connect makes a pool of at most n connections with these pragmas.
func connect(path string, n int, pragmas ...string) (*sql.DB, error) {
	return connectWith(path, n, nil, pragmas...)
}

// connectWith is connect with options of SQLite's file names, such as mode=ro.
func connectWith(path string, n int, options []string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busyMillis), "trusted_schema(0)"}, pragmas...)}
	name := url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(append(options, query.Encode()), "&")}
	c, err := driver.NewConnector(name.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

func (e *sqliteEngine) connection(ctx context.Context, db *sql.DB) (*sqliteConn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &sqliteConn{conn: conn, statements: map[string]*sql.Stmt{}, damage: e.damaged}, nil
}

func (e *sqliteEngine) damage() *damage { return e.damaged }

func (e *sqliteEngine) protected() *protection { return e.guard }

func (e *sqliteEngine) counts() *fresh.Commits { return e.commits }

func (e *sqliteEngine) update(ctx context.Context, fn func(*Tx) error) error {
	if e.writer == nil {
		return ErrReadOnly
	}
	return e.writer.update(ctx, fn)
}

// reader waits for a reader's slot, which goes back to e.readers. close waits
// for all of them.
func (e *sqliteEngine) reader(ctx context.Context) (*sqliteConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-e.stop:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case c := <-e.readers:
		return c, nil
	}
}

// view reads one snapshot on a connection of the pool.
func (e *sqliteEngine) view(ctx context.Context, fn func(*Tx) error) error {
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { e.readers <- c }()
	if c == nil {
		if c, err = e.connection(ctx, e.reads); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	if err := c.control("BEGIN"); err != nil {
		return fmt.Errorf("store: beginning to read: %w", err)
	}
	defer func() { _ = c.control("ROLLBACK") }() // nothing was written
	return (&Tx{session: c, faults: noFaults, guard: e.guard}).run(fn)
}

func noFaults(string, When) error { return nil }

// backup copies one state of the database. A crash leaves a file that is not
// complete beside the database, never a change in it.
func (e *sqliteEngine) backup(ctx context.Context, path string) (err error) {
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { e.readers <- c }()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = fmt.Errorf("backing up: %w", errors.Join(err, os.Remove(path)))
		}
	}()
	db, err := connect(e.path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", path); err != nil {
		return err
	}
	if err := clearGeneration(f); err != nil {
		return err
	}
	// VACUUM INTO does not sync its file (SQLite, lang_vacuum.html).
	if err := f.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (e *sqliteEngine) close() (err error) {
	e.closing.Do(func() {
		close(e.stop)
		if e.writer != nil {
			e.writer.close()
		}
		for range cap(e.readers) { // each comes back when its view has ended
			if c := <-e.readers; c != nil {
				err = errors.Join(err, c.close())
			}
		}
		if e.writer == nil {
			err = errors.Join(err, e.reads.Close())
			return
		}
		// A copy that was made while this process ran is told from the file as it is now.
		if err := stamp(context.Background(), e.writer.conn.conn, e.path); err != nil {
			e.logger.Warn("the database keeps the mark of its start", "error", err)
		}
		err = errors.Join(err, e.writer.conn.close(), e.release())
	})
	return err
}

// release closes the pools; the last connection folds the log into the
// database. The lock goes last.
func (e *sqliteEngine) release() error {
	var errs []error
	for _, db := range []*sql.DB{e.reads, e.writes} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, e.lock.Close())...)
}

// sqliteConn is one connection with its prepared statements: preparing costs
// more than most of our queries. The queries are constants, so there are not
// many of them.
type sqliteConn struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	damage     *damage
}

// Statements run without the caller's context. With one, the driver starts a
// goroutine for each statement, and a cancelled statement could take its
// neighbours' transaction with it. Queries are bounded by their indices.
var unending = context.Background()

func (c *sqliteConn) prepared(query string) (*sql.Stmt, error) {
	if s := c.statements[query]; s != nil {
		return s, nil
	}
	s, err := c.conn.PrepareContext(unending, query)
	if err == nil {
		c.statements[query] = s
	}
	return s, err
}

func (c *sqliteConn) exec(_ context.Context, query string, args []any) (sql.Result, error) {
	s, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(unending, args...)
}

func (c *sqliteConn) query(_ context.Context, query string, args []any) (*sql.Rows, error) {
	s, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(unending, args...)
}

// control runs a word of transaction control.
func (c *sqliteConn) control(query string) error {
	_, err := c.exec(unending, query, nil)
	return c.damage.saw(err)
}

func (c *sqliteConn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

func (c *sqliteConn) saw(err error) error { return c.damage.saw(err) }

func (*sqliteConn) dialect() dialect { return sqliteDialect }

// translate knows three answers: the row is there already, what the row hangs
// on is not, and its box was sealed by a key that is closed.
func (*sqliteConn) translate(err error) error {
	var e *driver.Error
	if errors.As(err, &e) {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return object.ErrExists
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return object.ErrNotFound
		case sqlite3.SQLITE_CONSTRAINT_TRIGGER: // there are those of migration 8 only
			return errClosed
		}
	}
	return err
}
