package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
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
	lost, err := l.compare(kept)
	if err != nil || lost == nil {
		return err
	}
	if l.cfg.Accept == nil {
		return lost
	}
	// The next line follows the one that the database has seen, so that the break shows.
	l.chain.head = Head{max(l.chain.head.Sequence, kept.Sequence), kept.Hash}
	l.Accepted = lost.What
	return l.records.append(l.ownLine(accepted, success, lost.What, *l.cfg.Accept))
}

// compare tells what the log lacks of what was kept.
func (l *Log) compare(kept Head) (*LostError, error) {
	head := l.chain.head
	switch {
	case kept.Sequence == 0 || head == kept:
		return nil, nil
	case head.Sequence == 0:
		return &LostError{fmt.Sprintf("the log has no line, but the database has seen %d", kept.Sequence)}, nil
	case head.Sequence < kept.Sequence:
		return &LostError{fmt.Sprintf("the log ends with line %d, but the database has seen line %d", head.Sequence, kept.Sequence)}, nil
	}
	rotated, err := Rotated(l.cfg.Path)
	if err != nil {
		return nil, err
	}
	slices.Reverse(rotated) // the latest is the likeliest
	for _, file := range append([]string{l.cfg.Path}, rotated...) {
		h, found, err := findLine(file, kept.Sequence)
		switch {
		case err != nil:
			return nil, err
		case found && h == kept:
			return nil, nil
		case found:
			return &LostError{fmt.Sprintf("line %d of the log is not the one that the database has seen", kept.Sequence)}, nil
		}
	}
	return &LostError{fmt.Sprintf("the log has no line %d, which the database has seen", kept.Sequence)}, nil
}

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
