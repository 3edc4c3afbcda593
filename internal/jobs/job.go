package jobs

import (
	"context"
	"time"

	"coffer/internal/object"
)

// Kind names what a job does; one handler serves each kind.
type Kind string

// Job is one piece of work.
type Job struct {
	ID      string // 32 hex digits
	Kind    Kind
	Vault   object.VaultID
	Name    string // canonical name of the object it is about
	Ref     string // what of it: the request id of an operation
	Due     time.Time
	Attempt int // grows with each claim; completing compares it
}

// Tx is what jobs need of one open transaction.
type Tx interface {
	// EnqueueJob inserts a job; Attempt must be zero.
	EnqueueJob(ctx context.Context, j Job) error
	// ClaimJobs takes at most limit jobs of the given kinds that are due at now
	// and not leased beyond now, oldest due first, sets their lease to until and
	// adds one to Attempt. Two claimers never get the same job.
	ClaimJobs(ctx context.Context, kinds []Kind, now, until time.Time, limit int) ([]Job, error)
	// CompleteJob removes the job if it is still at that Attempt, else answers
	// object.ErrChanged.
	CompleteJob(ctx context.Context, j Job) error
	// RetryJob frees the lease and sets the next due time, under the same
	// condition.
	RetryJob(ctx context.Context, j Job, due time.Time) error
	// DeleteJobs removes the jobs of a kind that are about a Ref, whatever their
	// state.
	DeleteJobs(ctx context.Context, kind Kind, v object.VaultID, ref string) error
	// NextJob is when the next unleased or expired job of these kinds is due;
	// the zero time when there is none.
	NextJob(ctx context.Context, kinds []Kind) (time.Time, error)
}
