package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/audit"
	"coffer/internal/fault"
	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/seal"
	"coffer/internal/store"
)

// dataKeysPeriod is how often data keys are looked at, and dataKeysTime how long one look
// may take: a stop of the process waits for it, and what is left is done at once after.
const (
	dataKeysPeriod = time.Minute
	dataKeysTime   = 10 * time.Second
)

// rotateDataKeys gives the current data keys a successor, each in a transaction of its own;
// careForDataKeys does the rest. After a failure in between some have one: run again, they
// get another.
func (d *Daemon) rotateDataKeys(ctx context.Context, g access.Grant, in admin.DataKeyRotation) (out admin.DataKeysRotated, err error) {
	g.MustEverywhere(access.DataKeyRotate)
	if in.ForgetOld && in.Vault != "" {
		return out, fault.InvalidField("forgetOld", "Backups of objects have a data key of the installation: leave the vault out.")
	}
	keys, err := d.currentDataKeys(ctx, in.Vault)
	if err != nil {
		return out, err
	}
	told := &audit.DataKeysProperties{Keys: []audit.DataKeyChanged{}}
	g.Attempt().Describe(audit.Details{DataKeys: told})
	for _, k := range keys {
		successor, err := d.sealer.Replace(ctx, k)
		if errors.Is(err, object.ErrChanged) {
			continue // it has just been replaced, or is gone with its vault
		}
		if err != nil {
			return out, errors.Join(fmt.Errorf("%d of %d data keys have a successor, run it again: %w", out.DataKeys, len(keys), err), d.dataKeysDue(ctx))
		}
		out.DataKeys++
		told.Count = out.DataKeys
		if told.Count <= audit.MaxDataKeys {
			told.Keys = append(told.Keys, audit.DataKeyChanged{Scope: k.Scope, ID: k.ID, Successor: successor})
		}
		p, err := d.sealer.Progress(ctx, k)
		if err != nil {
			return out, err
		}
		out.Boxes += p.Left
	}
	if in.ForgetOld {
		if err := d.sealer.Release(ctx); err != nil {
			return out, err
		}
		told.ForgetOld = true
	}
	return out, d.dataKeysDue(ctx)
}

// currentDataKeys are those of a vault, or all.
func (d *Daemon) currentDataKeys(ctx context.Context, name string) ([]seal.DataKey, error) {
	scope := ""
	if name != "" {
		v, err := d.vaultByName(ctx, name)
		if err != nil {
			return nil, err
		}
		scope = string(v)
	}
	keys, err := d.sealer.DataKeys(ctx)
	return slices.DeleteFunc(keys, func(k seal.DataKey) bool {
		return !k.Replaced.IsZero() || scope != "" && k.Scope != scope
	}), err
}

func (d *Daemon) vaultByName(ctx context.Context, name string) (id object.VaultID, err error) {
	err = d.db.View(ctx, func(tx *store.Tx) error {
		v, err := tx.Vault(ctx, strings.ToLower(name))
		if errors.Is(err, object.ErrNotFound) {
			return &fault.Error{Kind: fault.NotFound, Subject: fault.Vault, Msg: "There is no vault named '" + name + "'."}
		}
		if err == nil {
			id = v.ID
		}
		return err
	})
	return id, err
}

// dataKeysDue has careForDataKeys run now.
func (d *Daemon) dataKeysDue(ctx context.Context) error {
	err := jobs.Ensure(ctx, store.For[jobs.Tx]{DB: d.db}, dataKeysJob, d.now())
	d.runner.Wake()
	return err
}

// careForDataKeys replaces the data keys that have sealed much, and brings those that
// were replaced to their end: some of it at a time, and nothing is kept but in their rows.
// What fails of one holds up no other.
func (d *Daemon) careForDataKeys(ctx context.Context, j jobs.Job) error {
	some, cancel := context.WithTimeout(ctx, dataKeysTime)
	defer cancel()
	keys, err := d.sealer.DataKeys(some)
	if err != nil {
		return err
	}
	// The rows of everything hang on one key: the others do not wait for it.
	ofRows := func(k seal.DataKey) bool { return k.Scope == seal.Rows }
	last := slices.DeleteFunc(slices.Clone(keys), func(k seal.DataKey) bool { return !ofRows(k) })
	keys = append(slices.DeleteFunc(keys, ofRows), last...)
	now := d.now()
	next := now.Add(dataKeysPeriod)
	var failed []error
	for _, k := range keys {
		at, err := d.careForDataKey(some, k, j.ID)
		switch {
		case ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case some.Err() != nil: // there is more to do
			at, err = now, nil
		}
		if err != nil {
			failed = append(failed, err)
		}
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return jobs.Later(next)
}

// careForDataKey does what is to be done about one key, and says when to look again; zero:
// at the next look.
func (d *Daemon) careForDataKey(ctx context.Context, k seal.DataKey, job string) (next time.Time, err error) {
	if ctx.Err() != nil {
		return next, ctx.Err()
	}
	if d.sealer.Due(k) {
		done, err := d.recordDataKey(k, access.DataKeyReplace, job)
		if err != nil {
			return next, err
		}
		successor, err := d.sealer.Replace(ctx, k)
		done(successor, err)
		if errors.Is(err, object.ErrChanged) {
			err = nil
		}
		return d.now(), err
	}
	return d.sealer.Retire(ctx, k, func() (func(error), error) {
		done, err := d.recordDataKey(k, access.DataKeyDestroy, job)
		return func(err error) { done("", err) }, err
	})
}

// recordDataKey is the record of what becomes of a data key, its intent durable before.
func (d *Daemon) recordDataKey(k seal.DataKey, a access.Action, job string) (func(successor string, err error), error) {
	g, err := d.background.Begin(context.Background(), seal.VaultOf(k.Scope), a, object.Name{}, job)
	if err != nil {
		return nil, err
	}
	return func(successor string, err error) {
		g.Attempt().Describe(audit.Details{DataKeys: &audit.DataKeysProperties{Count: 1,
			Keys: []audit.DataKeyChanged{{Scope: k.Scope, ID: k.ID, Successor: successor}}}})
		d.background.Finish(g, access.Outcome(http.StatusOK, err))
	}, nil
}

// dataKeys lists the data keys, with what is left to be sealed again.
func (d *Daemon) dataKeys(ctx context.Context, g access.Grant) (out []admin.DataKeyView, err error) {
	g.MustEverywhere(access.DataKeyRead)
	names := map[object.VaultID]string{}
	err = d.db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Vaults(ctx)
		for _, v := range list {
			names[v.ID] = v.Name
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	keys, err := d.sealer.DataKeys(ctx)
	if err != nil {
		return nil, err
	}
	out = []admin.DataKeyView{}
	for _, k := range keys {
		v := admin.DataKeyView{Scope: k.Scope, ID: k.ID, RootID: k.RootID, State: "current", Created: k.Created, Replaced: k.Replaced, Sealed: k.Sealed}
		if name, ok := names[seal.VaultOf(k.Scope)]; ok {
			v.Scope = name
		}
		switch {
		case k.Replaced.IsZero():
		case k.Closed.IsZero():
			v.State = "replaced"
		case k.Kept:
			v.State = "kept"
		default:
			v.State = "closed"
		}
		if v.State != "current" {
			p, err := d.sealer.Progress(ctx, k)
			if err != nil {
				return nil, err
			}
			v.Left, v.Total = p.Left, p.Total
		}
		out = append(out, v)
	}
	return out, nil
}
