package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"coffer/internal/fresh"
	"coffer/internal/object"
)

// Tx is one open transaction. It implements what the domains declare; their
// interfaces say what each method does. It is not safe for concurrent use, and
// good only while the function that received it runs.
type Tx struct {
	session session
	faults  Faults
	guard   *protection
	// verified are the rows that are known to be authentic, by name, and what they are; nil: nothing
	// is written.
	verified map[string][]any
	touched  fresh.Areas // by what was written
	// failed is the first error that the database itself gave. After it the
	// transaction can only be rolled back, whatever its function returns.
	failed error
}

// session runs statements on the connection of a transaction.
type session interface {
	exec(ctx context.Context, query string, args []any) (sql.Result, error)
	query(ctx context.Context, query string, args []any) (*sql.Rows, error)
	// translate makes an error of the database one of object's where it is one.
	translate(err error) error
	// saw marks an error that tells of damage.
	saw(err error) error
	dialect() dialect
}

// exec runs one write and tells how many rows it touched. point names it for
// faults and errors. A row that is already there is not an error here: inserts
// say ON CONFLICT DO NOTHING and look at the count, because in PostgreSQL a
// failed statement ends the transaction.
func (tx *Tx) exec(ctx context.Context, point, query string, args ...any) (int64, error) {
	if tx.failed != nil {
		return 0, tx.failed
	}
	if err := tx.faults(point, Before); err != nil {
		return 0, tx.fail(point, err)
	}
	tx.touched |= areasOf(point)
	n, err := tx.runWrite(ctx, query, args)
	if err != nil {
		return 0, tx.fail(point, err)
	}
	if err := tx.faults(point, After); err != nil {
		return 0, tx.fail(point, err)
	}
	return n, nil
}

// runWrite runs one write.
func (tx *Tx) runWrite(ctx context.Context, query string, args []any) (int64, error) {
	if p := tx.guard.planOf(query); p != nil {
		return tx.write(ctx, p, args)
	}
	res, err := tx.session.exec(ctx, query, args)
	if err != nil {
		return 0, tx.session.translate(err)
	}
	return res.RowsAffected()
}

// insert is exec that answers object.ErrExists when the row was already there.
func (tx *Tx) insert(ctx context.Context, point, query string, args ...any) error {
	n, err := tx.exec(ctx, point, query, args...)
	if err == nil && n == 0 {
		err = object.ErrExists
	}
	return err
}

// change is exec that answers absent when no row was touched.
func (tx *Tx) change(ctx context.Context, absent error, point, query string, args ...any) error {
	n, err := tx.exec(ctx, point, query, args...)
	if err == nil && n == 0 {
		err = absent
	}
	return err
}

// rows calls scan for each row of a query.
func (tx *Tx) rows(ctx context.Context, query string, args []any, scan func(scanner) error) error {
	if tx.failed != nil {
		return tx.failed
	}
	p := tx.guard.planOf(query)
	if p != nil {
		query = p.text
	}
	rows, err := tx.session.query(ctx, query, args)
	if err != nil {
		return tx.fail("reading", err)
	}
	defer rows.Close()
	row := scanner(rows)
	if p != nil {
		row = verifying{rows, tx, p}
	}
	for rows.Next() {
		err := scan(row)
		if err != nil && p != nil && p.each && errors.Is(err, ErrNotAuthentic) {
			continue
		}
		if err != nil {
			return fmt.Errorf("store: reading a row: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return tx.fail("reading", err)
	}
	return nil
}

// row reads the first row of a query; object.ErrNotFound when there is none.
func (tx *Tx) row(ctx context.Context, query string, args []any, dest ...any) error {
	found := false
	err := tx.rows(ctx, query, args, func(s scanner) error {
		if found {
			return errors.New("more than one row")
		}
		found = true
		return s.Scan(dest...)
	})
	if err == nil && !found {
		err = object.ErrNotFound
	}
	return err
}

func (tx *Tx) fail(what string, err error) error {
	tx.failed = fmt.Errorf("store: %s: %w", what, tx.session.saw(err))
	return tx.failed
}

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// run calls fn and ends the Tx. An error of the database outlives what fn made
// of it.
func (tx *Tx) run(fn func(*Tx) error) error {
	defer func() { tx.session = ended{} }()
	err := fn(tx)
	if err == nil {
		err = tx.failed
	}
	return err
}

// ended is the session of a Tx whose function has returned.
type ended struct{ session }

var errEnded = errors.New("the transaction has ended")

func (ended) exec(context.Context, string, []any) (sql.Result, error) { return nil, errEnded }
func (ended) query(context.Context, string, []any) (*sql.Rows, error) { return nil, errEnded }
func (ended) translate(err error) error                               { return err }
func (ended) saw(err error) error                                     { return err }
