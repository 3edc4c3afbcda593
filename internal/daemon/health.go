package daemon

import (
	"context"
	"errors"
	"time"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/health"
)

const (
	// rootKeyPeriod is how often it is asked whether the root key of every data key is at
	// hand: another replica may have rotated it.
	rootKeyPeriod = 10 * time.Second
	// While the first look at all pages is under way, slicePause is between two tables;
	// afterwards it is slicePeriod.
	slicePause  = time.Second
	slicePeriod = time.Minute
)

// checks are what this process can tell of itself.
func (d *Daemon) checks() *health.Checks {
	list := []health.Check{
		{Name: "the database", Ask: d.db.Ping},
		{Name: "the integrity of the database", Ask: func(context.Context) error { return d.db.Damage() }},
		{Name: "the audit log", Ask: func(context.Context) error { return d.audit.Healthy() }},
		{Name: "the root key", Slow: func(ctx context.Context) (time.Duration, error) { return rootKeyPeriod, d.sealer.AtHand(ctx) }},
		{Name: "the files of the audit log", Serves: true, Ask: func(context.Context) error {
			if what := d.audit.Disturbed(); what != "" {
				return errors.New(what + "; run 'coffer audit verify'")
			}
			return nil
		}},
	}
	if d.hsm != nil {
		list = append(list, health.Check{Name: "the HSM", Ask: d.hsm.Ready, Serves: true})
	}
	return health.New(d.now, d.log, list...)
}

// verifyPages reads the database, a table at a time, until ctx ends. What it finds is in
// the database's Damage.
func (d *Daemon) verifyPages(ctx context.Context) error {
	for pause := slicePause; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		round, err := d.db.VerifyNext(ctx)
		switch {
		case err != nil && ctx.Err() == nil && d.db.Damage() == nil:
			d.log.WarnContext(ctx, "the pages of the database cannot be verified now", "error", err)
			pause = slicePeriod
		case round:
			pause = slicePeriod
		}
	}
}

// health answers the operator what is wrong.
func (d *Daemon) health(ctx context.Context, g access.Grant) (view admin.HealthView, err error) {
	g.MustEverywhere(access.HealthRead)
	view.Ready = true
	view.Findings = []admin.HealthFinding{}
	for _, f := range d.well.Findings(ctx) {
		view.Ready = view.Ready && f.Serves
		view.Findings = append(view.Findings, admin.HealthFinding{Check: f.Check, What: f.What, Since: f.Since, Serves: f.Serves})
	}
	return view, nil
}
