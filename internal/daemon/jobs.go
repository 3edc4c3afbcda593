package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/audit"
	"coffer/internal/certificate"
	"coffer/internal/fault"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/store"
)

// The kinds of work that there is once, whatever the number of replicas.
const (
	purgeJob    jobs.Kind = "purge"
	rotateJob   jobs.Kind = "rotate-root-key"
	dataKeysJob jobs.Kind = "data-keys"
)

// purgePeriod is how often what has been deleted long enough is looked for, and
// purgeTime how long one look may take.
const (
	purgePeriod = time.Minute
	purgeTime   = 10 * time.Minute
)

// soon is for work that is there always: with every minute more becomes due.
var soon = []time.Duration{time.Second, 10 * time.Second, time.Minute}

// kinds are the jobs that this program does.
func (d *Daemon) kinds() map[jobs.Kind]jobs.Spec {
	return map[jobs.Kind]jobs.Spec{
		certificate.IssueJob: {Run: d.certs.Issue, Timeout: certificate.IssueTime},
		key.RotateJob:        {Run: d.keys.RotateDue},
		key.NoticeJob:        {Run: d.keys.Announce},
		key.DestroyJob:       {Run: d.keys.DestroyInHSM},
		outbox.DeliverJob:    d.outbox.Spec(),
		purgeJob:             {Run: jobs.Every(purgePeriod, d.now, d.purge), Timeout: purgeTime, Retry: soon},
		dataKeysJob:          {Run: d.careForDataKeys, Retry: soon},
	}
}

// ensureJobs stores the jobs that are there always.
func (d *Daemon) ensureJobs(ctx context.Context) error {
	return errors.Join(
		jobs.Ensure(ctx, store.For[jobs.Tx]{DB: d.db}, purgeJob, d.now()),
		jobs.Ensure(ctx, store.For[jobs.Tx]{DB: d.db}, dataKeysJob, d.now()))
}

// purge removes what has been deleted long enough.
func (d *Daemon) purge(ctx context.Context) error {
	return errors.Join(
		d.certs.PurgeDue(ctx, d.recordPurge(access.CertificatePurgeDue)),
		d.keys.PurgeDue(ctx, d.recordPurge(access.KeyPurgeDue)),
		d.secrets.PurgeDue(ctx, d.recordPurge(access.SecretPurgeDue)))
}

// rotate replaces the root key without stopping. At every line a crash leaves
// each data key with its root key in the file, or in the HSM. Another rotation, of
// this replica or of another, must not retire the key that this one uses.
func (d *Daemon) rotate(ctx context.Context, g access.Grant, forgetOld bool) (out admin.Rotated, err error) {
	g.MustEverywhere(access.RootKeyRotate)
	once := jobs.Once{DB: store.For[jobs.OnceTx]{DB: d.db}, Kind: rotateJob, Now: d.now, Logger: d.log}
	err = once.Do(ctx, func(ctx context.Context) error {
		g.Attempt().DescribeBefore(audit.Details{RootKey: &audit.RootKeyProperties{ID: d.root.CurrentID()}})
		if err := d.root.Rotate(ctx, d.now()); err != nil {
			return err
		}
		n, err := d.sealer.Rewrap(ctx)
		if err != nil {
			return fmt.Errorf("the data keys keep the old root key, which stays where it is: %w", err)
		}
		if d.ca != nil {
			if err := d.ca.Reseal(); err != nil {
				return fmt.Errorf("the keys of TLS keep the old root key, which stays where it is: %w", err)
			}
		}
		g.Attempt().Describe(audit.Details{RootKey: &audit.RootKeyProperties{ID: d.root.CurrentID(), DataKeys: n}})
		out = admin.Rotated{RootKey: d.root.CurrentID(), DataKeys: n, InHSM: d.settings.RootKey.HSM}
		if forgetOld {
			return d.root.Retire(ctx)
		}
		return d.root.Keep(ctx)
	})
	if errors.Is(err, jobs.ErrUnderWay) {
		return out, &fault.Error{Kind: fault.Conflict, Msg: "The root key is being rotated already."}
	}
	return out, err
}

// maxFailedJobs bounds what is listed of the jobs that were given up.
const maxFailedJobs = 1000

// failedJobs are the jobs that were given up, the longest given up first.
func (d *Daemon) failedJobs(ctx context.Context, g access.Grant) (out []admin.JobView, err error) {
	g.MustEverywhere(access.JobList)
	var list []jobs.Job
	err = d.db.View(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.FailedJobs(ctx, maxFailedJobs)
		return err
	})
	out = []admin.JobView{}
	for _, j := range list {
		out = append(out, admin.JobView{ID: j.ID, Kind: string(j.Kind), Vault: string(j.Vault), Name: j.Name, Ref: j.Ref,
			Failures: j.Failures, Error: j.LastError, GaveUp: j.GaveUp})
	}
	return out, err
}

// retryJob has a job that was given up run again, with all its attempts.
func (d *Daemon) retryJob(ctx context.Context, g access.Grant, id string) error {
	g.MustEverywhere(access.JobRetry)
	err := d.db.Update(ctx, func(tx *store.Tx) error { return tx.RerunJob(ctx, id, d.now()) })
	if errors.Is(err, object.ErrNotFound) {
		return &fault.Error{Kind: fault.NotFound, Msg: fmt.Sprintf("There is no job '%s' that was given up.", id)}
	}
	if err == nil {
		d.runner.Wake()
	}
	return err
}
