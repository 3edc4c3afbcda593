package jobs

import (
	"context"
	"encoding/json"
	"time"

	"coffer/internal/object"
)

// Kind names what a job does; one Spec serves each kind.
type Kind string

// MaxArgs bounds the arguments of a job, in bytes: what is larger belongs in a row
// of its own.
const MaxArgs = 4 << 10

// Job is one piece of work.
type Job struct {
	ID    string // 32 hex digits, or the kind of work that there is once
	Kind  Kind
	Vault object.VaultID  // "": of the installation
	Name  string          // canonical name of the object it is about
	Ref   string          // what of it: the request id of an operation
	Args  json.RawMessage // what else the work needs, never a secret; nil: nothing
	Due   time.Time

	Attempt   int       // grows with each claim; completing compares it
	Failures  int       // attempts that failed, or whose worker was lost, since it was enqueued
	LastError string    // of the last failure, at most MaxError bytes; "": none yet
	GaveUp    time.Time // when it was given up; zero: it is still to be done
}

// Tx is what rules need of jobs in one open transaction: a job is enqueued in the
// transaction that makes it needed and removed in the one that does it.
type Tx interface {
	// EnqueueJob inserts a job that has no history; object.ErrExists when the id is
	// taken. Args are at most MaxArgs.
	EnqueueJob(ctx context.Context, j Job) error
	// CheckJob answers object.ErrChanged unless the job is still at that Attempt: for
	// a worker that stores a step and goes on.
	CheckJob(ctx context.Context, j Job) error
	// CompleteJob removes the job under the same condition.
	CompleteJob(ctx context.Context, j Job) error
	// PostponeJob frees the lease and sets the next due time, under the same
	// condition. It is no failure.
	PostponeJob(ctx context.Context, j Job, due time.Time) error
	// HastenJobs makes the jobs of a kind that are about a Ref due at a time, if
	// they are due later. One under way keeps its lease.
	HastenJobs(ctx context.Context, kind Kind, v object.VaultID, ref string, due time.Time) error
	// DeleteJobs removes the jobs of a kind that are about a Ref, whatever their
	// state.
	DeleteJobs(ctx context.Context, kind Kind, v object.VaultID, ref string) error
}

// WorkTx is what those who do jobs need of one open transaction. Leases are told by
// the clock of JobClock, due times by the worker's own: the clocks of replicas differ.
// Jobs that were given up are passed over.
type WorkTx interface {
	PostponeJob(ctx context.Context, j Job, due time.Time) error // as in Tx

	// JobClock is the one clock of all who share the database; zero when nobody
	// does, and the worker's own serves.
	JobClock(ctx context.Context) (time.Time, error)
	// ClaimJobs takes at most limit jobs of the given kinds that are due and not
	// leased beyond now, oldest due first, sets their lease to until and adds one
	// to Attempt. A lease that ended without a result counts as a failure. Two
	// claimers never get the same job.
	ClaimJobs(ctx context.Context, kinds []Kind, due, now, until time.Time, limit int) ([]Job, error)
	// RenewJob moves the end of the lease of a job that is still at that Attempt,
	// else it answers object.ErrChanged.
	RenewJob(ctx context.Context, j Job, until time.Time) error
	// FailJob is PostponeJob after a failure, which is counted and kept.
	FailJob(ctx context.Context, j Job, due time.Time, why string) error
	// GiveUpJob counts and keeps a failure too, and leaves the job as it is for an
	// operator to see.
	GiveUpJob(ctx context.Context, j Job, at time.Time, why string) error
	// NextJobs is when the next job of these kinds is due that nobody works on,
	// and when the next lease of one ends; zero times when there is none.
	NextJobs(ctx context.Context, kinds []Kind) (due, leaseEnds time.Time, err error)
}

// FailedTx is what an operator needs of one open transaction.
type FailedTx interface {
	// FailedJobs lists at most limit jobs that were given up, the longest given up
	// first.
	FailedJobs(ctx context.Context, limit int) ([]Job, error)
	// RerunJob makes a job that was given up due again, with no failures counted;
	// object.ErrNotFound when there is none of that id.
	RerunJob(ctx context.Context, id string, due time.Time) error
}
