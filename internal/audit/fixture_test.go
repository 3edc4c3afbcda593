package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var arrival = time.Date(2026, 1, 31, 14, 5, 6, 123456700, time.UTC)

// openLog opens a log in a directory of its own, unless cfg has a path. It is
// not closed by the test's end: most tests leave it as a crash would.
func openLog(t *testing.T, cfg Config) *Log {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "audit.log")
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// readLines parses every line of a file; a file that is not there has none.
func readLines(t *testing.T, path string) (lines []map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	data = bytes.TrimRight(data, "\x00") // room
	if len(data) > 0 && data[len(data)-1] != '\n' {
		t.Errorf("%s ends within a line", path)
	}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s has the line %q: %v", path, line, err)
		}
		lines = append(lines, m)
	}
	return lines
}

// results are the result types of all records of a request, in order.
func results(t *testing.T, path, requestID string) (types []string) {
	t.Helper()
	for _, m := range readLines(t, path) {
		if m["properties"].(map[string]any)["requestId"] == requestID {
			types = append(types, m["resultType"].(string))
		}
	}
	return types
}

// intended begins an entry and makes its intent durable.
func intended(t *testing.T, l *Log) *Entry {
	t.Helper()
	e := l.Begin(arrival)
	if err := e.Intent(t.Context(), &Facts{Operation: "SecretSet"}); err != nil {
		t.Fatal(err)
	}
	return e
}

func finish(t *testing.T, e *Entry, status int) {
	t.Helper()
	finishWith(t, e, &Facts{Operation: "SecretSet"}, status)
}

func finishWith(t *testing.T, e *Entry, f *Facts, status int) {
	t.Helper()
	if err := e.Finish(f, Outcome{Status: status}); err != nil {
		t.Fatal(err)
	}
}

// disk makes files that fail as told.
type disk struct {
	full    atomic.Bool // a write leaves half of itself and fails
	stuck   atomic.Bool // cutting fails
	closed  atomic.Bool // everything fails
	syncs   atomic.Int64
	writes  atomic.Int64
	syncing func() // called by each fsync
}

var errFull = errors.New("no space left on device")

func (d *disk) open(path string) (File, error) {
	if d.closed.Load() {
		return nil, os.ErrClosed
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	return &diskFile{f, d}, err
}

type diskFile struct {
	*os.File
	disk *disk
}

func (f *diskFile) Write(b []byte) (int, error) {
	switch {
	case f.disk.closed.Load():
		return 0, os.ErrClosed
	case f.disk.full.Load():
		n, _ := f.File.Write(b[:len(b)/2])
		return n, errFull
	}
	f.disk.writes.Add(1)
	return f.File.Write(b)
}

func (f *diskFile) Truncate(size int64) error {
	if f.disk.stuck.Load() || f.disk.closed.Load() {
		return errFull
	}
	return f.File.Truncate(size)
}

func (f *diskFile) Sync() error {
	f.disk.syncs.Add(1)
	if f.disk.syncing != nil {
		f.disk.syncing()
	}
	return nil
}
