package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"coffer/internal/object"
)

// Tx is what an anchor needs of one open transaction: the heads that logs have had,
// where whoever can change a log's files cannot.
type Tx interface {
	// AuditHead answers the head of a log that was kept last; object.ErrNotFound
	// when there is none.
	AuditHead(ctx context.Context, log string) (Head, error)
	// SetAuditHead keeps the head of a log in place of the one before.
	SetAuditHead(ctx context.Context, log string, h Head, at time.Time) error
}

// Anchor is where the head of a log is kept outside of it.
type Anchor struct {
	DB  object.DB[Tx]
	Log string // the id of the log; logs that share a database differ in it
}

const (
	// AnchorPeriod is how old the head in the database can be while a log grows, and
	// so the end of the log whose loss shows by nothing else when the process is gone.
	AnchorPeriod = 5 * time.Second
	// anchorTimeout bounds one visit to the database.
	anchorTimeout = 10 * time.Second
)

// LostError reports a log that lacks lines which the database has seen, or has others
// in their place. What says how it is: a sentence.
type LostError struct{ What string }

func (e *LostError) Error() string { return e.What }

// OlderError reports a database that has not seen what the log has on record: an older
// copy. What says how it is: a sentence.
type OlderError struct{ What string }

func (e *OlderError) Error() string { return e.What }

// KeptHead is the head that the database has of a log; the zero Head when it has none.
func (a *Anchor) KeptHead(ctx context.Context) (h Head, err error) {
	ctx, cancel := context.WithTimeout(ctx, anchorTimeout)
	defer cancel()
	err = a.DB.View(ctx, func(tx Tx) (err error) {
		h, err = tx.AuditHead(ctx, a.Log)
		return err
	})
	if errors.Is(err, object.ErrNotFound) {
		return Head{}, nil
	}
	return h, err
}

// checkAnchor compares the log with what the database has seen of it. What is missing
// is an error, unless Config.Accept says who takes note of it: then the chain goes on
// behind the lines that are lost, with a record of their loss.
func (l *Log) checkAnchor(ctx context.Context) error {
	if l.cfg.Anchor == nil {
		return nil
	}
	kept, err := l.cfg.Anchor.KeptHead(ctx)
	if err != nil {
		return fmt.Errorf("reading the head of the log in the database: %w", err)
	}
	l.anchored = kept
	err = l.compare(kept)
	lost, isLost := errors.AsType[*LostError](err)
	older, isOlder := errors.AsType[*OlderError](err)
	switch {
	case isOlder && l.cfg.Accept != nil: // the chain is whole, and goes on
		l.Older = older.What
		return nil
	case !isLost || l.cfg.Accept == nil:
		return err
	}
	// The next line follows the one that the database has seen, so that the break shows.
	l.chain.head = Head{max(l.chain.head.Sequence, kept.Sequence), kept.Hash}
	l.Accepted = lost.What
	return l.records.append(l.ownLine(accepted, success, lost.What, *l.cfg.Accept))
}

// compare tells what the log lacks of what was kept (a *LostError), and what the
// database lacks of the log (an *OlderError).
func (l *Log) compare(kept Head) error { return Compare(l.cfg.Path, l.chain.head, kept) }

// Compare is what a start finds of the log at path, whose last line is head, beside a
// database that has seen it up to kept: nil, a *LostError or an *OlderError.
func Compare(path string, head, kept Head) error {
	switch {
	case head == kept:
		return nil
	case head.Sequence == 0:
		return &LostError{fmt.Sprintf("the log has no line, but the database has seen %d", kept.Sequence)}
	case head.Sequence < kept.Sequence:
		return &LostError{fmt.Sprintf("the log ends with line %d, but the database has seen line %d", head.Sequence, kept.Sequence)}
	}
	rotated, err := Rotated(path)
	if err != nil {
		return err
	}
	later := unseen{kept: kept}
	if kept.Sequence == 0 {
		return later.walk(append(rotated, path))
	}
	slices.Reverse(rotated) // the latest is the likeliest
	var behind []string
	for _, file := range append([]string{path}, rotated...) {
		behind = append(behind, file)
		h, found, err := findLine(file, kept.Sequence)
		switch {
		case err != nil:
			return err
		case found && h == kept:
			slices.Reverse(behind)
			return later.walk(behind)
		case found:
			return &LostError{fmt.Sprintf("line %d of the log is not the one that the database has seen", kept.Sequence)}
		}
	}
	return &LostError{fmt.Sprintf("the log has no line %d, which the database has seen", kept.Sequence)}
}

// anchorSlack is how much later than the first line that a database has not seen the log
// may tell of a change in it. A head is kept each AnchorPeriod while changes can be made.
const anchorSlack = time.Minute

// unseen looks for changes that a database must hold, and has not seen: behind the head
// that it has kept, by more than the anchor can be late.
type unseen struct {
	kept  Head
	since time.Time // of the first line behind
}

// walk looks through files, the oldest first.
func (u *unseen) walk(files []string) error {
	for _, name := range files {
		if err := u.file(name); err != nil {
			return err
		}
	}
	return nil
}

func (u *unseen) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		n, _, ok := parseLink(lines.Bytes())
		if !ok || n <= u.kept.Sequence {
			continue
		}
		var r struct{ Time, OperationName, ResultType string }
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // verify tells of it
		}
		at, err := time.Parse(time.RFC3339, r.Time)
		switch {
		case err != nil:
		case u.since.IsZero():
			u.since = at
		case r.ResultType == success && r.OperationName != restored && changes.MatchString(r.OperationName) && at.Sub(u.since) > anchorSlack:
			return &OlderError{fmt.Sprintf("the database has seen line %d of the audit log, and line %d tells that %s was done on %s:"+
				" it is an older copy, which lacks what was done since", u.kept.Sequence, n, r.OperationName, r.Time)}
		}
	}
	return lines.Err()
}

// changes are the operations that leave something in the database; signing, say, does not,
// and a restore is on record before it happens.
var changes = regexp.MustCompile(`(Create|Import|Set|Update|Delete|Recover|Purge|Restore|Rotate|Merge|Put|Patch|Changed|Enable|Disable|Enroll|Renew)$`)

// findLine looks for the line of that number in a file.
func findLine(path string, sequence uint64) (h Head, found bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if n, _, ok := parseLink(lines.Bytes()); ok && n == sequence {
			return headOf(lines.Bytes()), true, nil
		}
	}
	return Head{}, false, lines.Err()
}

// keepHead makes what is written durable and then tells the database how far the log
// goes: in this order, so that no loss of power leaves the log behind its anchor.
func (l *Log) keepHead(ctx context.Context) error {
	if l.cfg.Anchor == nil {
		return nil
	}
	l.anchoring.Lock()
	defer l.anchoring.Unlock()
	l.records.turn.Lock()
	head, file := l.chain.head, l.records.file
	l.records.turn.Unlock()
	if file == nil || head == l.anchored {
		return nil
	}
	// Outside of the turn: nobody waits for it. When the file is closed meanwhile,
	// the next time will do.
	if err := file.Sync(); err != nil {
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, anchorTimeout)
	defer cancel()
	err := l.cfg.Anchor.DB.Update(ctx, func(tx Tx) error { return tx.SetAuditHead(ctx, l.cfg.Anchor.Log, head, l.cfg.Now()) })
	if err == nil {
		l.anchored = head
	}
	return err
}

// ownLine is a line that the log writes about itself.
func (l *Log) ownLine(operation, result, what string, by Claims) []byte {
	r := record{Category: "AuditEvent", Time: stamp(l.cfg.Now()), OperationName: operation, ResultType: result, DurationMs: "0"}
	r.ResultDescription = clip(valid(what), maxText)
	r.Identity.Claim = by
	r.Properties.RequestID, r.Properties.SubnetID = newID(), "(unknown)"
	var b bytes.Buffer
	line, err := r.appendLine(b.Bytes())
	if err != nil { // there is nothing in it that JSON cannot hold
		panic(err)
	}
	return line
}
