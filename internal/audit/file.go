package audit

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// File is what the log needs of a file that is open for appending; *os.File is
// one. Stat and Truncate must see the same file that Write appends to.
type File interface {
	io.Writer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// openFile opens for appending, and creates with mode 0600. It is read when somebody
// removes it.
func openFile(path string) (File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
}

var errClosed = errors.New("audit: the log is closed")

// appender appends whole lines to one file. Callers that come while a write is
// under way share the next one, and its fsync. A write that fails leaves no part
// of a line behind: the file is cut back at once or, if that fails too, before
// the next write.
type appender struct {
	path   string
	open   func(path string) (File, error)
	sync   bool               // a write is durable on return
	chain  *chain             // ties the lines; nil: they are written as they are
	before func(*batch) error // called with the turn, before a write; its error fails the write
	after  func(*batch)       // called with the turn, after a write that succeeded

	turn   sync.Mutex  // held by the one who writes; guards the rest of this group
	file   File        // nil after a failure, until it is opened again
	is     fs.FileInfo // which file that is, or was; nil: none yet
	size   int64       // bytes of whole lines
	closed bool

	mu    sync.Mutex // guards the rest; taken after turn, never before
	next  *batch     // collects what is written next; nil: nobody waits
	spare []byte     // the room of an earlier batch, for the next one
	err   error      // what became of the last write
}

// maxSpare bounds the room that is kept.
const maxSpare = 64 << 10

// batch is what one write carries. Who starts it writes it; err is valid once
// done is closed.
type batch struct {
	data []byte
	keys []string // of the intents that these records settle
	done chan struct{}
	err  error
}

// append returns when line is written, and durable if so configured.
func (a *appender) append(line []byte, keys ...string) error {
	a.mu.Lock()
	b := a.next
	mine := b == nil
	if mine {
		b = &batch{data: a.spare, done: make(chan struct{})}
		a.next, a.spare = b, nil
	}
	b.data = append(b.data, line...)
	b.keys = append(b.keys, keys...)
	a.mu.Unlock()
	if !mine {
		<-b.done
		return b.err
	}

	a.turn.Lock()
	runtime.Gosched() // a write is worth sharing with those who are about to come
	a.mu.Lock()
	a.next = nil // from here on nobody joins
	a.mu.Unlock()
	b.err = a.write(b)
	a.mu.Lock()
	a.err = b.err
	if cap(b.data) <= maxSpare {
		a.spare = b.data[:0]
	}
	a.mu.Unlock()
	a.turn.Unlock()
	close(b.done)
	return b.err
}

func (a *appender) write(b *batch) error {
	if a.closed {
		return errClosed
	}
	if a.before != nil {
		if err := a.before(b); err != nil {
			return err
		}
	}
	if err := a.put(b.data); err != nil {
		return err
	}
	if a.after != nil {
		a.after(b)
	}
	return nil
}

// put writes whole lines. The caller has the turn.
func (a *appender) put(lines []byte) error {
	if err := a.ready(); err != nil {
		return err
	}
	if a.chain != nil {
		lines = a.chain.link(lines)
	}
	n, err := a.file.Write(lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	if err == nil && a.sync {
		err = a.file.Sync()
	}
	if err != nil {
		// After a failed fsync nothing is known about the pages, so the file is
		// opened anew in any case. What cannot be cut now is cut by ready.
		a.file.Truncate(a.size)
		a.drop()
		return err
	}
	a.size += int64(len(lines))
	if a.chain != nil {
		a.chain.commit()
	}
	return nil
}

// ready opens the file if it is not, and cuts what a failed write has left.
func (a *appender) ready() error {
	if a.file != nil {
		return nil
	}
	f, err := a.open(a.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && a.is != nil && !a.endsWithHead() {
		err = errors.New("audit: it is not the file that was written")
	}
	if err == nil && info.Size() > a.size {
		err = f.Truncate(a.size)
	}
	if err != nil {
		f.Close()
		return err
	}
	a.file, a.is, a.size = f, info, min(a.size, info.Size())
	return nil
}

// endsWithHead tells whether the lines on disk still end with the last one that was
// written; true where there is no chain.
func (a *appender) endsWithHead() bool {
	if a.chain == nil || a.size == 0 {
		return true
	}
	f, err := os.Open(a.path)
	if err != nil {
		return false
	}
	defer f.Close()
	h, err := headAt(f, a.size)
	return err == nil && h.Hash == a.chain.head.Hash
}

// drop forgets the open file.
func (a *appender) drop() {
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
}

// start opens the file at its present size.
func (a *appender) start() error {
	f, err := a.open(a.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	a.file, a.is, a.size = f, info, info.Size()
	return syncDir(a.path)
}

// failure is what became of the last write.
func (a *appender) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// recover tries whether writing would work again.
func (a *appender) recover() error {
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.closed {
		return errClosed
	}
	if err := a.ready(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = nil
	return nil
}

// syncDir makes a created or renamed entry of path's directory durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
