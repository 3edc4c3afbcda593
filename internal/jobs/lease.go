package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"coffer/internal/object"
)

// errLeaseLost is why the context of a handler ends whose job another worker may
// have by now.
var errLeaseLost = errors.New("jobs: the lease was lost")

// held runs fn while it renews the lease of j. The context of fn ends when the
// lease is another's, or has ended because it could not be renewed: what fn sends
// out then, another may send too.
func held(ctx context.Context, db object.DB[WorkTx], now func() time.Time, j Job, log *slog.Logger, fn func(context.Context) error) error {
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for until := time.Now().Add(lease - renewal); ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(renewal):
			}
			sent := time.Now()
			err := renew(ctx, db, now, j)
			switch {
			case err == nil:
				until = sent.Add(lease - renewal)
			case errors.Is(err, object.ErrChanged), !time.Now().Before(until):
				lost(errLeaseLost)
				return
			case ctx.Err() == nil:
				log.WarnContext(ctx, "the lease of a job could not be renewed", "error", err)
			}
		}
	}()
	err := fn(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, errLeaseLost) && err != nil {
		err = errors.Join(err, cause)
	}
	lost(nil)
	<-ended
	return err
}

func renew(ctx context.Context, db object.DB[WorkTx], now func() time.Time, j Job) error {
	ctx, cancel := context.WithTimeout(ctx, renewal)
	defer cancel()
	return db.Update(ctx, func(tx WorkTx) error {
		at, err := clock(ctx, tx, now)
		if err != nil {
			return err
		}
		return tx.RenewJob(ctx, j, at.Add(lease))
	})
}

// Once is work that must run only once at a time whatever the number of replicas,
// and that somebody waits for. Its job is a row that no runner takes.
type Once struct {
	DB     object.DB[OnceTx]
	Kind   Kind // its id too
	Now    func() time.Time
	Logger *slog.Logger
}

// OnceTx is what Once needs of one open transaction.
type OnceTx interface {
	Tx
	WorkTx
}

// ErrUnderWay reports work that another one is doing now.
var ErrUnderWay = errors.New("jobs: it is under way already")

// Do runs fn, or answers ErrUnderWay. After a crash in the middle it can run again
// once the lease has ended.
func (o Once) Do(ctx context.Context, fn func(context.Context) error) error {
	var j Job
	err := o.DB.Update(ctx, func(tx OnceTx) error {
		now, err := clock(ctx, tx, o.Now)
		if err != nil {
			return err
		}
		if err := tx.EnqueueJob(ctx, Job{ID: string(o.Kind), Kind: o.Kind, Due: now}); err != nil && !errors.Is(err, object.ErrExists) {
			return err
		}
		took, err := tx.ClaimJobs(ctx, []Kind{o.Kind}, now, now, now.Add(lease), 1)
		if err != nil {
			return err
		}
		if len(took) == 0 {
			return ErrUnderWay
		}
		j = took[0]
		return nil
	})
	if err != nil {
		return err
	}
	err = held(ctx, workDB{o.DB}, o.Now, j, o.Logger, fn)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterRun)
	defer cancel()
	end := o.DB.Update(ctx, func(tx OnceTx) error { return tx.CompleteJob(ctx, j) })
	if end != nil {
		o.Logger.WarnContext(ctx, "the work can begin again when its lease ends", "kind", o.Kind, "error", end)
	}
	return err
}

// workDB is a database of OnceTx for who needs only WorkTx.
type workDB struct{ db object.DB[OnceTx] }

func (w workDB) View(ctx context.Context, fn func(WorkTx) error) error {
	return w.db.View(ctx, func(tx OnceTx) error { return fn(tx) })
}

func (w workDB) Update(ctx context.Context, fn func(WorkTx) error) error {
	return w.db.Update(ctx, func(tx OnceTx) error { return fn(tx) })
}

// Every is the handler of work that is done again and again, by one replica at a
// time: fn, and then later. Ensure its job at the start.
func Every(period time.Duration, now func() time.Time, fn func(context.Context) error) Handler {
	return func(ctx context.Context, _ Job) error {
		if err := fn(ctx); err != nil {
			return err
		}
		return Later(now().Add(period))
	}
}

// Ensure stores the job of a kind that there is once, due now. Its id is the kind.
func Ensure(ctx context.Context, db object.DB[Tx], kind Kind, now time.Time) error {
	return db.Update(ctx, func(tx Tx) error {
		err := tx.EnqueueJob(ctx, Job{ID: string(kind), Kind: kind, Ref: string(kind), Due: now})
		if errors.Is(err, object.ErrExists) {
			return tx.HastenJobs(ctx, kind, "", string(kind), now)
		}
		return err
	})
}
