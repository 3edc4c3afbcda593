package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// watchPeriod is how long a change of the file on disk can go unnoticed.
	watchPeriod = time.Second
	// moveGrace is how long after a move of the file logrotate has time to say so by
	// Reopen. Until then lines go into the file that was moved.
	moveGrace = 10 * time.Second
)

// Run watches the log until ctx ends: each second whether the file on disk is the one
// that is written, and whether records that could not be written can be; every
// AnchorPeriod it keeps the head in the database.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(watchPeriod)
	defer tick.Stop()
	kept := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := l.watch(); err != nil {
			l.cfg.Logger.ErrorContext(ctx, "audit: the log on disk", "err", err)
		}
		if err := l.emitUnrecorded(); err != nil {
			l.cfg.Logger.ErrorContext(ctx, "audit: records that could not be written", "err", err)
		}
		if err := l.emitRefused(false); err != nil {
			l.cfg.Logger.ErrorContext(ctx, "audit: counting what was refused", "err", err)
		}
		if time.Since(kept) < AnchorPeriod {
			continue
		}
		kept = time.Now()
		if err := l.keepHead(ctx); err != nil && ctx.Err() == nil {
			l.cfg.Logger.WarnContext(ctx, "audit: keeping the head of the log in the database", "err", err)
		}
	}
}

// watch looks at the file on disk.
func (l *Log) watch() error {
	l.records.turn.Lock()
	defer l.records.turn.Unlock()
	if l.records.closed {
		return nil
	}
	return errors.Join(l.checkFile(), l.checkIntents())
}

// checkIntents writes the open intents anew, from memory, when their file was removed,
// replaced or cut: a crash would lose them. The caller has the turn of the records.
func (l *Log) checkIntents() error {
	a := &l.intents
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.file == nil {
		return nil
	}
	was, err := a.file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(a.path)
	if err == nil && os.SameFile(was, there) && there.Size() >= a.size {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := l.replaceIntents(l.openIntents()); err != nil {
		return err
	}
	const what = "the file of the intents was removed or changed; the open ones are written anew"
	l.cfg.Logger.Error("audit: the log was disturbed", "what", what)
	l.mu.Lock()
	l.disturbed = what
	l.mu.Unlock()
	return l.records.put(l.ownLine(disturbed, failure, what, Claims{}))
}

// Disturbed says what was last found of somebody's changes to the file on disk since
// the log was opened; "" when there was nothing.
func (l *Log) Disturbed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.disturbed
}

// Reopen begins a new file at the log's path when the one there was moved away, as
// logrotate does. No line is lost: those before are in the file that was moved.
func (l *Log) Reopen() error {
	a := &l.records
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.closed {
		return errClosed
	}
	what, moved, err := l.disturbance()
	switch {
	case err != nil:
		return err
	case what != "":
		return l.beginAnew(what)
	case !moved:
		return nil
	}
	if err := l.leaveFile(); err != nil {
		return err
	}
	return a.put(l.ownLine(reopened, success, "", Claims{}))
}

// leaveFile closes the file, which is complete and durable, to begin another one at
// the log's path. The caller has the turn of the records.
func (l *Log) leaveFile() error {
	// Settled intents are dropped before, so that only the file that comes has to be
	// searched for the records of those left.
	if err := l.compact(); err != nil {
		return err
	}
	a := &l.records
	if l.cfg.Sync && a.file != nil {
		if err := a.file.Sync(); err != nil {
			return err
		}
	}
	a.drop()
	a.size, a.is, l.movedAt, l.rotates = 0, nil, time.Time{}, l.cfg.MaxBytes
	return nil
}

// checkFile makes sure that the file on disk is the one that is written. The caller
// has the turn of the records.
func (l *Log) checkFile() error {
	l.checked = time.Now()
	what, moved, err := l.disturbance()
	if err != nil || what == "" && !moved {
		l.movedAt = time.Time{}
		return err
	}
	if moved {
		if l.movedAt.IsZero() {
			l.movedAt = l.checked
		}
		if l.checked.Sub(l.movedAt) < moveGrace {
			return nil
		}
		what = "the file was moved away, and nobody asked to begin another one (SIGHUP)"
	}
	return l.beginAnew(what)
}

// disturbance compares the file on disk with the one that is written, and says in a
// sentence what somebody did to it; "" when nothing. A file that was moved, with
// nothing or an empty file in its place, is no disturbance yet: logrotate does that.
// The caller has the turn of the records.
func (l *Log) disturbance() (what string, moved bool, err error) {
	a := &l.records
	was := a.is
	if a.file != nil {
		if was, err = a.file.Stat(); err != nil {
			return "", false, err
		}
	}
	if was == nil {
		return "", false, nil
	}
	there, err := os.Lstat(a.path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return "", false, err
	}
	same, empty := !absent && os.SameFile(was, there), absent || there.Size() == 0
	links := linksOf(was)
	switch {
	case absent && (links == 0 || a.file == nil):
		return "the file was removed", false, nil
	case !same && links > 0 && a.file != nil && empty:
		return "", true, nil
	case !same:
		return "another file is in its place", false, nil
	case there.Size() < a.size:
		return fmt.Sprintf("the file was cut from %d bytes to %d", a.size, there.Size()), false, nil
	case a.file == nil && !a.endsWithHead(): // the number of a removed file is given again
		return "another file is in its place", false, nil
	case there.Size() > a.size && a.file != nil: // else a failed write left it, which is cut
		return fmt.Sprintf("%d bytes were added to the file by somebody else", there.Size()-a.size), false, nil
	case links > 1:
		return fmt.Sprintf("the file has %d names", links), false, nil
	}
	return "", false, nil
}

// linksOf is how many names a file has; 1 where that cannot be known.
func linksOf(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}

// beginAnew goes on in a new file after what was done to the one on disk, with a record
// of that. What is there is kept beside, for whoever looks into it, and what was removed
// is saved, while the file is still open here. The caller has the turn of the records.
func (l *Log) beginAnew(what string) error {
	a := &l.records
	aside := l.asideName()
	if there, err := os.Lstat(a.path); err == nil {
		name := aside
		if a.is == nil || !os.SameFile(a.is, there) {
			name += ".foreign"
		}
		if err := os.Rename(a.path, name); err != nil {
			return err
		}
		what += "; what was there is now " + name
	}
	if a.file != nil && linksOfFile(a.file) == 0 {
		if err := saveFile(a.file, a.size, aside); err != nil {
			what += fmt.Sprintf("; its lines could not be saved (%v)", err)
		} else {
			what += "; its lines were saved as " + aside
		}
	}
	if a.file == nil {
		a.is, a.size = nil, 0
	}
	if err := l.leaveFile(); err != nil {
		return err
	}
	l.mu.Lock()
	l.disturbed = what
	l.mu.Unlock()
	l.cfg.Logger.Error("audit: the log was disturbed; run 'coffer audit verify'", "what", what, "line", l.chain.head.Sequence+1)
	return errors.Join(a.put(l.ownLine(disturbed, failure, what, Claims{})), syncDir(a.path))
}

// asideName is a name that is free, where the file at the log's path is moved to: no
// record is ever written over.
func (l *Log) asideName() string {
	for now := l.cfg.Now().UTC(); ; now = now.Add(1) {
		name := l.cfg.Path + "." + now.Format("20060102T150405.000000000Z")
		if _, err := os.Lstat(name); err != nil { // it is free, or the rename says why it cannot be
			return name
		}
	}
}

func linksOfFile(f File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 1
	}
	return linksOf(info)
}

// saveFile copies a file that has no name any more.
func saveFile(f File, size int64, path string) error {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return errors.ErrUnsupported
	}
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(r, 0, size))
	return errors.Join(err, to.Sync(), to.Close())
}
