package store

import (
	"context"
	"errors"
	"fmt"

	"coffer/internal/fresh"
)

const (
	// maxGroup bounds how many updates share one commit, and so how long the
	// first of them waits for the others.
	maxGroup = 64
	// maxQueue bounds how many updates wait with nothing but their request in
	// memory; further callers wait at the door.
	maxQueue = 256
)

// writer owns the one writing connection of a SQLite database. It commits in
// groups: whatever waits is run as savepoints of one transaction, and each
// caller is answered after the common commit, so that one fsync serves them all.
//
// The functions run in their callers' goroutines, one after another: the writer
// hands each caller the transaction and takes it back. So a panic stays with who
// caused it.
type writer struct {
	guard  *protection
	conn   *sqliteConn
	faults Faults
	queue  chan *request
	stop   chan struct{} // closed to end run
	done   chan struct{} // closed when run has ended

	commits *fresh.Commits // told before and after each commit, and before anyone is answered
	touched fresh.Areas    // by the group that is running
}

// request is one waiting Update.
type request struct {
	ctx    context.Context
	turn   chan *Tx   // the writer lends the transaction
	ran    chan error // the caller gives it back
	answer chan error // how it ended
	err    error      // what fn made of it; the writer's
}

func newWriter(conn *sqliteConn, faults Faults, commits *fresh.Commits, guard *protection) *writer {
	w := &writer{
		conn:    conn,
		faults:  faults,
		commits: commits,
		guard:   guard,
		queue:   make(chan *request, maxQueue),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go w.run()
	return w
}

// close ends the writer after the group that is running.
func (w *writer) close() {
	close(w.stop)
	<-w.done
}

// update waits for a turn, which ctx may end; from then on it finishes.
func (w *writer) update(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, turn: make(chan *Tx), ran: make(chan error, 1), answer: make(chan error, 1)}
	select {
	case <-w.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case w.queue <- r:
	}
	select {
	case <-w.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case err := <-r.answer: // no transaction could be begun
		return err
	case tx := <-r.turn:
		r.run(tx, fn)
	}
	return <-r.answer
}

var errAborted = errors.New("store: the function did not return")

// run gives the transaction back also when fn panics or ends its goroutine.
func (r *request) run(tx *Tx, fn func(*Tx) error) {
	err := errAborted
	defer func() { r.ran <- err }()
	err = tx.run(fn)
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			return
		case r := <-w.queue:
			w.group(r)
		}
	}
}

// group runs r and what waits behind it in one transaction. A crash before the
// commit leaves nothing of any of them, after it all of those that succeeded.
// An update that failed is answered after the commit too: what made it fail may
// be a neighbour's write.
func (w *writer) group(r *request) {
	if err := w.conn.control("BEGIN IMMEDIATE"); err != nil {
		r.answer <- fmt.Errorf("store: beginning: %w", err)
		return
	}
	members := make([]*request, 0, maxGroup)
	writes := false
	w.touched = 0
	for r != nil {
		ran, err := w.one(r)
		if ran {
			members = append(members, r)
			writes = writes || r.err == nil
		}
		if err != nil { // SQLite has ended the transaction by itself, for a full disk for instance
			w.rollback()
			answer(members, err)
			return
		}
		r = nil
		if len(members) < maxGroup {
			select {
			case r = <-w.queue:
			default:
			}
		}
	}
	if !writes {
		w.rollback()
		answer(members, nil)
		return
	}
	answer(members, w.commit())
}

// one runs one member in a savepoint. ran is false when its caller has gone. An
// error means that the transaction of the whole group is lost.
func (w *writer) one(r *request) (ran bool, err error) {
	if err := w.conn.control("SAVEPOINT one"); err != nil {
		r.err = err
		return true, fmt.Errorf("store: savepoint: %w", err)
	}
	tx := &Tx{session: w.conn, faults: w.faults, guard: w.guard, verified: map[string][]any{}}
	select {
	case <-w.stop:
		return false, w.conn.control("RELEASE one")
	case <-r.ctx.Done():
		return false, w.conn.control("RELEASE one")
	case r.turn <- tx:
	}
	if r.err = <-r.ran; r.err != nil {
		if err := w.conn.control("ROLLBACK TO one"); err != nil {
			return true, fmt.Errorf("store: the transaction was lost: %w", r.err)
		}
	} else {
		w.touched |= tx.touched
	}
	if err := w.conn.control("RELEASE one"); err != nil {
		return true, fmt.Errorf("store: savepoint: %w", err)
	}
	return true, nil
}

func (w *writer) commit() error {
	if err := w.faults(Commit, Before); err != nil {
		w.rollback()
		return fmt.Errorf("store: committing: %w", err)
	}
	w.commits.Begin(w.touched)
	err := w.conn.control("COMMIT")
	w.commits.End(w.touched) // also when it is not known whether it happened
	if err != nil {
		w.rollback()
		return unanswered(err) // the log may hold it, and be replayed
	}
	if err := w.faults(Commit, After); err != nil {
		return unanswered(err)
	}
	return nil
}

// rollback ends the transaction; there may be none left to end.
func (w *writer) rollback() { _ = w.conn.control("ROLLBACK") }

// answer tells every member how the group ended, and its own error if the group
// ended well.
func answer(members []*request, group error) {
	for _, r := range members {
		if group != nil {
			r.answer <- group
		} else {
			r.answer <- r.err
		}
	}
}
