package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Mode says which 401s are recorded.
type Mode string

// The modes. Each SDK conversation begins with a request without a token, so
// that All grows with the number of clients that start.
const (
	WithToken Mode = "with-token" // those that carried a token; the default
	All       Mode = "all"
	None      Mode = "none"
)

// Config describes a log.
type Config struct {
	Path string // of the log; beside it lie Path.intent, rotated files and what was torn

	// Sync makes intents survive a loss of power, not only of the process. A
	// server sets it; an intent then costs an fsync, shared by all who wait.
	Sync bool

	Unauthenticated Mode  // "": WithToken
	MaxBytes        int64 // the file is rotated before it grows beyond; 0: 256 MiB

	// Anchor keeps the head of the log in a database; nil: nowhere. A log that lacks
	// what it tells of, and one that tells of what the database lacks, is opened only
	// when Accept says who takes note of the loss.
	Anchor *Anchor
	Accept *Claims

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // for the operator; nil: nowhere

	// OpenFile opens path for appending and creates it with mode 0600. nil: as
	// the operating system does.
	OpenFile func(path string) (File, error)
}

const (
	defaultMaxBytes = 256 << 20

	// intentBytes is how far the intent file grows before what is settled is
	// dropped from it. About 1,500 intents, so that the fsync of the log that
	// must come first is rare.
	intentBytes = 1 << 20
)

// Log is an open audit log. One process at a time has it open.
type Log struct {
	cfg     Config
	records appender
	intents appender
	refused *refusals

	// Accepted is what Open found missing and Config.Accept took note of; "": nothing.
	Accepted string

	// Older is what Open found that the database lacks, and Config.Accept took note of;
	// "": nothing. It is not on record yet: RecordRestore does that.
	Older string

	// Guarded by the turn of the records.
	chain    chain
	compacts int64     // size of the intent file beyond which it is compacted
	rotates  int64     // size of the log beyond which it is rotated
	checked  time.Time // when the file on disk was looked at last
	movedAt  time.Time // when it was found moved; zero: it is where it should be

	anchoring sync.Mutex // held by the one who keeps the head; guards anchored
	anchored  Head       // what the database has

	mu        sync.Mutex       // guards the rest; taken last
	open      map[string]*owed // intents without a record, by request id
	disturbed string
	tried     time.Time // when it was tried last whether a failure has passed
}

// owed is an intent whose record is to come.
type owed struct {
	line    []byte    // of the intent file
	writing bool      // its record is being written
	failed  time.Time // when that failed last; zero: it did not
}

// Open opens the log and repairs what a crash has left: a torn last line is
// moved aside to Path.torn, and intents without outcome are emitted as records
// of result type "Unknown". A log that lacks what the database has seen is a
// *LostError; beside a database that has not seen its last minutes it is an *OlderError.
func Open(cfg Config) (*Log, error) {
	if cfg.Path == "" {
		return nil, errors.New("audit: the path is empty")
	}
	switch cfg.Unauthenticated {
	case "":
		cfg.Unauthenticated = WithToken
	case WithToken, All, None:
	default:
		return nil, fmt.Errorf("audit: unauthenticated is %q, %q or %q", WithToken, All, None)
	}
	if cfg.MaxBytes < 0 {
		return nil, errors.New("audit: the maximum size is negative")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	openIntents := cfg.OpenFile
	if cfg.OpenFile == nil {
		cfg.OpenFile, openIntents = openFile, openFile
		if cfg.Sync {
			openIntents = openReserved
		}
	}
	l := &Log{cfg: cfg, refused: newRefusals(), open: map[string]*owed{}, compacts: intentBytes, rotates: cfg.MaxBytes}
	l.records = appender{path: cfg.Path, open: cfg.OpenFile, chain: &l.chain, before: l.prepare, after: l.settle}
	l.intents = appender{path: cfg.Path + ".intent", open: openIntents, sync: cfg.Sync}
	if err := l.start(); err != nil {
		l.records.drop()
		l.intents.drop()
		return nil, fmt.Errorf("audit: opening %s: %w", cfg.Path, err)
	}
	return l, nil
}

func (l *Log) start() error {
	for _, a := range []*appender{&l.records, &l.intents} {
		if err := l.repair(a.path); err != nil {
			return err
		}
		if err := a.start(); err != nil {
			return err
		}
	}
	end, err := l.resume()
	if err != nil {
		return err
	}
	if err := l.checkAnchor(context.Background()); err != nil {
		return err
	}
	if err := l.emitUnfinished(end); err != nil {
		return err
	}
	return l.keepHead(context.Background())
}

// Close writes nothing more. Intents without outcome stay for the next Open.
func (l *Log) Close() error {
	err := errors.Join(l.emitUnrecorded(), l.emitRefused(true))
	if e := l.keepHead(context.Background()); e != nil {
		l.cfg.Logger.Warn("audit: keeping the head of the log in the database", "err", e)
	}
	l.records.turn.Lock()
	defer l.records.turn.Unlock()
	if l.records.closed {
		return nil
	}
	err = errors.Join(err, l.compact())
	l.intents.turn.Lock()
	defer l.intents.turn.Unlock()
	l.records.closed, l.intents.closed = true, true
	l.records.drop()
	l.intents.drop()
	return err
}

// Healthy returns nil when records can be written. After a failure it tries
// whether that has passed.
func (l *Log) Healthy() error {
	if l.records.failure() == nil && l.intents.failure() == nil {
		return nil
	}
	if err := l.probe(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := errors.Join(l.watch(), l.records.recover(), l.intents.recover()); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// canRecord is nil unless records failed to be written and would again: that is tried
// ten times a second at most.
func (l *Log) canRecord() error {
	err := l.records.failure()
	if err == nil {
		return nil
	}
	l.mu.Lock()
	wait := time.Since(l.tried) < 100*time.Millisecond
	if !wait {
		l.tried = time.Now()
	}
	l.mu.Unlock()
	if wait {
		return fmt.Errorf("audit: records cannot be written: %w", err)
	}
	return l.Healthy()
}

// probe writes and removes a block beside the log: a cut file can be opened on a
// full disk, but not written.
func (l *Log) probe() error {
	path := l.cfg.Path + ".probe"
	f, err := l.cfg.OpenFile(path)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(path))
}

// skips tells whether a 401 stays without a record.
func (l *Log) skips(tokenless bool) bool {
	switch l.cfg.Unauthenticated {
	case All:
		return false
	case None:
		return true
	}
	return tokenless
}

// record appends lines in one write and settles the intent of that key, if any.
func (l *Log) record(lines []byte, key string) error {
	if key == "" {
		return l.append(lines)
	}
	l.mu.Lock()
	o := l.open[key]
	switch {
	case o == nil: // recorded as Unknown meanwhile
		l.mu.Unlock()
		return nil
	case o.writing:
		l.mu.Unlock()
		return errors.New("audit: the record is being written")
	}
	o.writing = true
	l.mu.Unlock()
	err := l.append(lines, key)
	l.mu.Lock()
	defer l.mu.Unlock()
	o.writing = false
	if err != nil {
		o.failed = time.Now()
	}
	return err
}

func (l *Log) append(lines []byte, keys ...string) error {
	if err := l.records.append(lines, keys...); err != nil {
		return fmt.Errorf("audit: writing the record: %w", err)
	}
	return nil
}

// intend makes an intent durable. Until its record is written it is open: it
// survives compaction and, without a record, the process. While records cannot be
// written there are no intents: what they announce would be done without a record.
func (l *Log) intend(key string, line []byte) error {
	if err := l.canRecord(); err != nil {
		return err
	}
	l.mu.Lock()
	earlier := l.open[key]
	l.open[key] = &owed{line: line}
	l.mu.Unlock()
	err := l.intents.append(line)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if earlier != nil {
		l.open[key] = earlier
	} else {
		delete(l.open, key)
	}
	return fmt.Errorf("audit: writing the intent: %w", err)
}

// settle closes the intents whose records were just written. The caller has the
// turn of the records.
func (l *Log) settle(b *batch) {
	l.mu.Lock()
	for _, key := range b.keys {
		delete(l.open, key)
	}
	l.mu.Unlock()
	if len(b.keys) == 0 {
		return
	}
	l.intents.turn.Lock()
	full := l.intents.size > l.compacts
	l.intents.turn.Unlock()
	if full {
		if err := l.compact(); err != nil {
			l.cfg.Logger.Warn("audit: compacting the intents", "err", err)
		}
	}
}

// compact drops the settled intents. Their records are made durable first: until
// then only the intents hold them. The caller has the turn of the records.
//
// A crash before the rename leaves the old file, whose settled intents are found
// in the log; after it, the new one.
func (l *Log) compact() (err error) {
	l.intents.turn.Lock()
	defer l.intents.turn.Unlock()
	if l.intents.size == 0 {
		return nil
	}
	// Whatever comes of it, the next attempt waits until as much has been added.
	defer func() { l.compacts = intentBytes + l.intents.size }()
	if err := l.records.ready(); err != nil {
		return err
	}
	if l.cfg.Sync {
		if err := l.records.file.Sync(); err != nil {
			return err
		}
	}
	left := l.openIntents()
	if len(left) == 0 {
		if err := l.intents.ready(); err != nil {
			return err
		}
		if err := l.intents.file.Truncate(0); err != nil {
			return err
		}
		l.intents.size = 0
		return l.syncIntents()
	}
	return l.replaceIntents(left)
}

// openIntents are the lines of the intents whose records are to come.
func (l *Log) openIntents() (lines []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.open {
		lines = append(lines, o.line...)
	}
	return lines
}

// replaceIntents puts a file with these lines in place of that of the intents. The
// caller has the turn of both.
func (l *Log) replaceIntents(left []byte) error {
	fresh := l.intents.path + ".new"
	// The size of zero has what a crash left of an earlier attempt cut away.
	w := appender{path: fresh, open: l.intents.open, sync: l.cfg.Sync}
	if err := w.append(left); err != nil {
		w.drop()
		return errors.Join(err, os.Remove(fresh))
	}
	w.drop()
	if err := os.Rename(fresh, l.intents.path); err != nil {
		return err
	}
	l.intents.drop()
	l.intents.size = int64(len(left))
	return syncDir(l.intents.path)
}

func (l *Log) syncIntents() error {
	if !l.cfg.Sync {
		return nil
	}
	return l.intents.file.Sync()
}

// prepare makes the file ready for a batch: it is the one on disk, and there is room in
// it. The caller has the turn of the records.
func (l *Log) prepare(b *batch) error {
	if l.records.file == nil || time.Since(l.checked) >= watchPeriod {
		if err := l.checkFile(); err != nil {
			return err
		}
	}
	l.rotateFor(len(b.data) + maxLink*bytes.Count(b.data, []byte{'\n'}))
	return nil
}

// rotateFor begins a new file when n more bytes do not fit. When that fails the
// old file grows on: a full log that is complete beats a small one that is not.
func (l *Log) rotateFor(n int) {
	if l.records.size == 0 || l.records.size+int64(n) <= l.rotates {
		return
	}
	if err := l.rotate(); err != nil {
		l.rotates = l.records.size + l.cfg.MaxBytes/16
		l.cfg.Logger.Error("audit: rotating the log", "err", err)
	}
}

// rotate moves the log to Path.<time>.
func (l *Log) rotate() error {
	if !l.movedAt.IsZero() {
		return errors.New("the file was moved away by somebody else")
	}
	if err := errors.Join(l.records.ready(), l.compact()); err != nil {
		return err
	}
	old := l.asideName()
	if err := os.Rename(l.cfg.Path, old); err != nil {
		return err
	}
	if err := l.leaveFile(); err != nil { // it goes on under the name that it had
		return errors.Join(err, os.Rename(old, l.cfg.Path))
	}
	return errors.Join(l.records.ready(), syncDir(l.cfg.Path))
}
