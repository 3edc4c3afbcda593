package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
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
	jobColumns = `id, kind, vault, name, ref, due, attempt`

	enqueueJob = `INSERT INTO jobs (` + jobColumns + `, lease) VALUES ($1, $2, $3, $4, $5, $6, 0, NULL) ON CONFLICT DO NOTHING`

	completeJob = `DELETE FROM jobs WHERE id = $1 AND attempt = $2`
	retryJob    = `UPDATE jobs SET lease = NULL, due = $3 WHERE id = $1 AND attempt = $2`
	deleteJobs  = `DELETE FROM jobs WHERE vault = $1 AND ref = $2 AND kind = $3`
	// Jobs of the installation have no vault.
	deleteInstallationJobs = `DELETE FROM jobs WHERE vault IS NULL AND ref = $1 AND kind = $2`

	allJobs = `SELECT ` + jobColumns + ` FROM jobs ORDER BY due, id`
)

var errAttempt = errors.New("store: a new job has made no attempt")

// EnqueueJob implements jobs.Tx; object.ErrExists when the id is taken,
// object.ErrNotFound when the vault is gone. Vault may be "": a job of the
// installation.
func (tx *Tx) EnqueueJob(ctx context.Context, j jobs.Job) error {
	if j.Attempt != 0 {
		return errAttempt
	}
	return tx.insert(ctx, "EnqueueJob", enqueueJob, j.ID, string(j.Kind), vaultOrNull(j.Vault), j.Name, j.Ref, j.Due.UnixMilli())
}

func vaultOrNull(v object.VaultID) any {
	if v == "" {
		return nil
	}
	return string(v)
}

// ClaimJobs implements jobs.Tx.
func (tx *Tx) ClaimJobs(ctx context.Context, kinds []jobs.Kind, now, until time.Time, limit int) (list []jobs.Job, err error) {
	if len(kinds) == 0 {
		return nil, nil
	}
	in, args := kindList(4, kinds)
	query := `SELECT id FROM jobs WHERE due <= $1 AND (lease IS NULL OR lease <= $2) AND kind IN (` + in + `)
		ORDER BY due, id LIMIT $3` + tx.session.dialect().skipLocked
	var ids []string
	err = tx.rows(ctx, query, append([]any{now.UnixMilli(), now.UnixMilli(), limit}, args...), func(s scanner) error {
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

const (
	leaseJob  = `UPDATE jobs SET lease = $2, attempt = attempt + 1 WHERE id = $1`
	selectJob = `SELECT ` + jobColumns + ` FROM jobs WHERE id = $1`
)

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

// CompleteJob implements jobs.Tx.
func (tx *Tx) CompleteJob(ctx context.Context, j jobs.Job) error {
	return tx.change(ctx, object.ErrChanged, "CompleteJob", completeJob, j.ID, j.Attempt)
}

// RetryJob implements jobs.Tx.
func (tx *Tx) RetryJob(ctx context.Context, j jobs.Job, due time.Time) error {
	return tx.change(ctx, object.ErrChanged, "RetryJob", retryJob, j.ID, j.Attempt, due.UnixMilli())
}

// DeleteJobs implements jobs.Tx.
func (tx *Tx) DeleteJobs(ctx context.Context, kind jobs.Kind, v object.VaultID, ref string) error {
	query, args := deleteJobs, []any{string(v), ref, string(kind)}
	if v == "" {
		query, args = deleteInstallationJobs, args[1:]
	}
	_, err := tx.exec(ctx, "DeleteJobs", query, args...)
	return err
}

// NextJob implements jobs.Tx: a leased job counts at the end of its lease.
func (tx *Tx) NextJob(ctx context.Context, kinds []jobs.Kind) (time.Time, error) {
	if len(kinds) == 0 {
		return time.Time{}, nil
	}
	in, args := kindList(1, kinds)
	query := `SELECT MIN(t) FROM (
		SELECT * FROM (SELECT due AS t FROM jobs WHERE lease IS NULL AND kind IN (` + in + `) ORDER BY due LIMIT 1) AS free
		UNION ALL
		SELECT * FROM (SELECT lease AS t FROM jobs WHERE lease IS NOT NULL AND kind IN (` + in + `) ORDER BY lease LIMIT 1) AS leased
		) AS next`
	var next sql.NullInt64
	if err := tx.row(ctx, query, args, &next); err != nil || !next.Valid {
		return time.Time{}, err
	}
	return time.UnixMilli(next.Int64).UTC(), nil
}

// Jobs lists every job there is, whatever its state, by due time: for operators
// and checks.
func (tx *Tx) Jobs(ctx context.Context) (list []jobs.Job, err error) {
	err = tx.rows(ctx, allJobs, nil, func(s scanner) error {
		j, err := scanJob(s)
		list = append(list, j)
		return err
	})
	return list, err
}

// scanJob receives jobColumns.
func scanJob(s scanner) (j jobs.Job, err error) {
	var kind string
	var vault sql.NullString
	var due int64
	if err := s.Scan(&j.ID, &kind, &vault, &j.Name, &j.Ref, &due, &j.Attempt); err != nil {
		return j, err
	}
	j.Kind, j.Vault, j.Due = jobs.Kind(kind), object.VaultID(vault.String), time.UnixMilli(due).UTC()
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
