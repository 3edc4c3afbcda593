package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
)

// A job's times are milliseconds since 1970, so that jobs due at once start at
// once. A leased job is due when its lease ends: it was due before that.
const (
	jobColumns = `id, kind, vault, name, ref, args, due, attempt, failures, last_error, gave_up`

	enqueueJob = `INSERT INTO jobs (id, kind, vault, name, ref, args, due, attempt, lease)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, NULL) ON CONFLICT DO NOTHING`

	completeJob = `DELETE FROM jobs WHERE id = $1 AND attempt = $2`
	postponeJob = `UPDATE jobs SET lease = NULL, due = $3 WHERE id = $1 AND attempt = $2 AND gave_up IS NULL`
	renewJob    = `UPDATE jobs SET lease = $3 WHERE id = $1 AND attempt = $2 AND lease IS NOT NULL`
	failJob     = `UPDATE jobs SET lease = NULL, due = $3, failures = failures + 1, last_error = $4 WHERE id = $1 AND attempt = $2`
	giveUpJob   = `UPDATE jobs SET lease = NULL, gave_up = $3, failures = failures + 1, last_error = $4 WHERE id = $1 AND attempt = $2`
	rerunJob    = `UPDATE jobs SET gave_up = NULL, failures = 0, due = $2 WHERE id = $1 AND gave_up IS NOT NULL`

	// Jobs of the installation have no vault, and NULL is equal to nothing.
	ofVault        = `vault = $1 AND ref = $2 AND kind = $3`
	ofInstallation = `vault IS NULL AND ref = $1 AND kind = $2`
	deleteJobs     = `DELETE FROM jobs WHERE ` + ofVault
	deleteOwnJobs  = `DELETE FROM jobs WHERE ` + ofInstallation
	hastenJobs     = `UPDATE jobs SET due = $4 WHERE ` + ofVault + ` AND due > $4`
	hastenOwnJobs  = `UPDATE jobs SET due = $3 WHERE ` + ofInstallation + ` AND due > $3`

	// A worker that was lost is a failure like any other.
	workerLost = `'its worker ended without a result'`
	leaseJob   = `UPDATE jobs SET lease = $2, attempt = attempt + 1,
		failures = failures + CASE WHEN lease IS NULL THEN 0 ELSE 1 END,
		last_error = CASE WHEN lease IS NULL THEN last_error ELSE ` + workerLost + ` END WHERE id = $1`
	freeLeases = `UPDATE jobs SET lease = NULL, failures = failures + 1, last_error = ` + workerLost + ` WHERE lease IS NOT NULL`

	checkJob   = `SELECT 1 FROM jobs WHERE id = $1 AND attempt = $2 AND gave_up IS NULL`
	selectJob  = `SELECT ` + jobColumns + ` FROM jobs WHERE id = $1`
	failedJobs = `SELECT ` + jobColumns + ` FROM jobs WHERE gave_up IS NOT NULL ORDER BY gave_up, id LIMIT $1`
	allJobs    = `SELECT ` + jobColumns + ` FROM jobs ORDER BY due, id`
)

var (
	errHistory = errors.New("store: a new job has no history")
	errArgs    = fmt.Errorf("store: the arguments of a job are longer than %d bytes", jobs.MaxArgs)
)

// EnqueueJob implements jobs.Tx; object.ErrNotFound when the vault is gone.
func (tx *Tx) EnqueueJob(ctx context.Context, j jobs.Job) error {
	switch {
	case j.Attempt != 0 || j.Failures != 0 || j.LastError != "" || !j.GaveUp.IsZero():
		return errHistory
	case len(j.Args) > jobs.MaxArgs:
		return errArgs
	}
	var args any
	if j.Args != nil {
		args = string(j.Args)
	}
	return tx.insert(ctx, "EnqueueJob", enqueueJob, j.ID, string(j.Kind), vaultOrNull(j.Vault), j.Name, j.Ref, args, j.Due.UnixMilli())
}

func vaultOrNull(v object.VaultID) any {
	if v == "" {
		return nil
	}
	return string(v)
}

// JobClock implements jobs.WorkTx.
func (tx *Tx) JobClock(ctx context.Context) (time.Time, error) {
	query := tx.session.dialect().clock
	if query == "" {
		return time.Time{}, nil
	}
	var now int64
	if err := tx.row(ctx, query, nil, &now); err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(now).UTC(), nil
}

// ClaimJobs implements jobs.WorkTx.
func (tx *Tx) ClaimJobs(ctx context.Context, kinds []jobs.Kind, due, now, until time.Time, limit int) (list []jobs.Job, err error) {
	if len(kinds) == 0 {
		return nil, nil
	}
	in, args := kindList(4, kinds)
	query := `SELECT id FROM jobs WHERE gave_up IS NULL AND due <= $1 AND (lease IS NULL OR lease <= $2) AND kind IN (` + in + `)
		ORDER BY due, id LIMIT $3` + tx.session.dialect().skipLocked
	var ids []string
	err = tx.rows(ctx, query, append([]any{due.UnixMilli(), now.UnixMilli(), limit}, args...), func(s scanner) error {
		var id string
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		j, err := tx.claim(ctx, id, until)
		if err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	slices.SortFunc(list, func(a, b jobs.Job) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func (tx *Tx) claim(ctx context.Context, id string, until time.Time) (j jobs.Job, err error) {
	if err := tx.change(ctx, object.ErrChanged, "ClaimJobs", leaseJob, id, until.UnixMilli()); err != nil {
		return j, err
	}
	err = tx.rows(ctx, selectJob, []any{id}, func(s scanner) error {
		j, err = scanJob(s)
		return err
	})
	return j, err
}

// CheckJob implements jobs.Tx.
func (tx *Tx) CheckJob(ctx context.Context, j jobs.Job) error {
	var one int
	return changedIfAbsent(tx.row(ctx, checkJob, []any{j.ID, j.Attempt}, &one))
}

// CompleteJob implements jobs.Tx.
func (tx *Tx) CompleteJob(ctx context.Context, j jobs.Job) error {
	return tx.change(ctx, object.ErrChanged, "CompleteJob", completeJob, j.ID, j.Attempt)
}

// PostponeJob implements jobs.Tx.
func (tx *Tx) PostponeJob(ctx context.Context, j jobs.Job, due time.Time) error {
	return tx.change(ctx, object.ErrChanged, "PostponeJob", postponeJob, j.ID, j.Attempt, due.UnixMilli())
}

// RenewJob implements jobs.WorkTx.
func (tx *Tx) RenewJob(ctx context.Context, j jobs.Job, until time.Time) error {
	return tx.change(ctx, object.ErrChanged, "RenewJob", renewJob, j.ID, j.Attempt, until.UnixMilli())
}

// FailJob implements jobs.WorkTx.
func (tx *Tx) FailJob(ctx context.Context, j jobs.Job, due time.Time, why string) error {
	return tx.change(ctx, object.ErrChanged, "FailJob", failJob, j.ID, j.Attempt, due.UnixMilli(), why)
}

// GiveUpJob implements jobs.WorkTx.
func (tx *Tx) GiveUpJob(ctx context.Context, j jobs.Job, at time.Time, why string) error {
	return tx.change(ctx, object.ErrChanged, "GiveUpJob", giveUpJob, j.ID, j.Attempt, at.UnixMilli(), why)
}

// RerunJob implements jobs.FailedTx.
func (tx *Tx) RerunJob(ctx context.Context, id string, due time.Time) error {
	return tx.change(ctx, object.ErrNotFound, "RerunJob", rerunJob, id, due.UnixMilli())
}

// FreeLeases ends every lease: for a process that has the database alone, at its
// start, when whoever held them is gone.
func (tx *Tx) FreeLeases(ctx context.Context) error {
	_, err := tx.exec(ctx, "FreeLeases", freeLeases)
	return err
}

// HastenJobs implements jobs.Tx.
func (tx *Tx) HastenJobs(ctx context.Context, kind jobs.Kind, v object.VaultID, ref string, due time.Time) error {
	query, args := jobsOf(v, hastenJobs, hastenOwnJobs, ref, string(kind), due.UnixMilli())
	_, err := tx.exec(ctx, "HastenJobs", query, args...)
	return err
}

// DeleteJobs implements jobs.Tx.
func (tx *Tx) DeleteJobs(ctx context.Context, kind jobs.Kind, v object.VaultID, ref string) error {
	query, args := jobsOf(v, deleteJobs, deleteOwnJobs, ref, string(kind))
	_, err := tx.exec(ctx, "DeleteJobs", query, args...)
	return err
}

// jobsOf chooses the query of a vault's jobs, or that of the installation's own.
func jobsOf(v object.VaultID, query, own string, args ...any) (string, []any) {
	if v == "" {
		return own, args
	}
	return query, append([]any{string(v)}, args...)
}

// NextJobs implements jobs.WorkTx.
func (tx *Tx) NextJobs(ctx context.Context, kinds []jobs.Kind) (due, leaseEnds time.Time, err error) {
	if len(kinds) == 0 {
		return due, leaseEnds, nil
	}
	in, args := kindList(1, kinds)
	query := `SELECT
		(SELECT due FROM jobs WHERE lease IS NULL AND gave_up IS NULL AND kind IN (` + in + `) ORDER BY due LIMIT 1),
		(SELECT lease FROM jobs WHERE lease IS NOT NULL AND kind IN (` + in + `) ORDER BY lease LIMIT 1)`
	var free, leased sql.NullInt64
	if err := tx.row(ctx, query, args, &free, &leased); err != nil {
		return due, leaseEnds, err
	}
	return fromNullMilli(free), fromNullMilli(leased), nil
}

// FailedJobs implements jobs.FailedTx.
func (tx *Tx) FailedJobs(ctx context.Context, limit int) ([]jobs.Job, error) {
	return tx.jobs(ctx, failedJobs, limit)
}

// Jobs lists every job there is, whatever its state, by due time: for operators
// and checks.
func (tx *Tx) Jobs(ctx context.Context) ([]jobs.Job, error) { return tx.jobs(ctx, allJobs) }

func (tx *Tx) jobs(ctx context.Context, query string, args ...any) (list []jobs.Job, err error) {
	err = tx.rows(ctx, query, args, func(s scanner) error {
		j, err := scanJob(s)
		list = append(list, j)
		return err
	})
	return list, err
}

// scanJob receives jobColumns.
func scanJob(s scanner) (j jobs.Job, err error) {
	var kind string
	var vault, args sql.NullString
	var due int64
	var gaveUp sql.NullInt64
	if err := s.Scan(&j.ID, &kind, &vault, &j.Name, &j.Ref, &args, &due, &j.Attempt, &j.Failures, &j.LastError, &gaveUp); err != nil {
		return j, err
	}
	j.Kind, j.Vault, j.Due, j.GaveUp = jobs.Kind(kind), object.VaultID(vault.String), time.UnixMilli(due).UTC(), fromNullMilli(gaveUp)
	if args.Valid {
		j.Args = []byte(args.String)
	}
	return j, nil
}

// kindList makes the list of an IN, its placeholders numbered from first. A
// program has few kinds of jobs and asks for the same ones always, so that there
// are few statements of it to prepare.
func kindList(first int, kinds []jobs.Kind) (in string, args []any) {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(first+i))
		args = append(args, string(k))
	}
	return b.String(), args
}
