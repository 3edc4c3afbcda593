package daemon

import (
	"context"
	"io"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/access/accesstest"
	"coffer/internal/fault"
	"coffer/internal/jobs"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// What was given up is seen by an operator, who can have it run again.
func TestFailedJobsAreSeenAndRetried(t *testing.T) {
	d := open(t, newSettings(t), io.Discard)
	defer shut(t, d)
	ctx := t.Context()
	now := time.Now().UTC().Truncate(time.Millisecond)
	err := d.db.Update(ctx, func(tx *store.Tx) error {
		for _, id := range []string{"hopeless", "waits"} {
			if err := tx.EnqueueJob(ctx, jobs.Job{ID: id, Kind: "deliver", Name: "web", Ref: "m", Due: now}); err != nil {
				return err
			}
		}
		return tx.GiveUpJob(ctx, jobs.Job{ID: "hopeless"}, now, "away")
	})
	if err != nil {
		t.Fatal(err)
	}
	grants := accesstest.New(t)
	list, err := d.failedJobs(ctx, grants.Everywhere(access.JobList))
	if err != nil || len(list) != 1 || list[0].ID != "hopeless" || list[0].Error != "away" || list[0].Failures != 1 || !list[0].GaveUp.Equal(now) {
		t.Errorf("got %+v, %v", list, err)
	}
	if err := d.retryJob(ctx, grants.Everywhere(access.JobRetry), "waits"); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that was not given up: %v", err)
	}
	if err := d.retryJob(ctx, grants.Everywhere(access.JobRetry), "hopeless"); err != nil {
		t.Error(err)
	}
	if list, err := d.failedJobs(ctx, grants.Everywhere(access.JobList)); err != nil || len(list) != 0 {
		t.Errorf("after it %+v, %v", list, err)
	}
}

// Of two rotations at one time, on this replica or another, one runs and the other
// is told so.
func TestRotationsDoNotMeet(t *testing.T) {
	d := open(t, newSettings(t), io.Discard)
	defer shut(t, d)
	grants := accesstest.New(t)
	other := jobs.Once{DB: store.For[jobs.OnceTx]{DB: d.db}, Kind: rotateJob, Now: d.now, Logger: d.log} // a replica
	err := other.Do(t.Context(), func(ctx context.Context) error {
		before := d.root.CurrentID()
		_, err := d.rotate(ctx, grants.Everywhere(access.RootKeyRotate), false)
		if !fault.Is(err, fault.Conflict) || d.root.CurrentID() != before {
			t.Errorf("while another runs: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.rotate(t.Context(), grants.Everywhere(access.RootKeyRotate), false); err != nil {
		t.Errorf("after it: %v", err)
	}
	for _, err := range storetest.CheckVault(t.Context(), d.db) {
		t.Error(err)
	}
}
