package key_test

import (
	"errors"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// Every write of every operation is failed twice, once as if it did nothing and
// once as if it happened all the same. After each failure the vault is whole, all
// of the operation is there or nothing of it, and the caller can repeat it.
func TestFailedWritesLeaveAllOrNothing(t *testing.T) {
	w := newInstallation(t)
	ctx := t.Context()
	var job jobs.Job
	var blob string
	make1 := func(n string) {
		w.made(n, "EC", func(p *key.CreateParams) { p.Expires = ptr(w.now().AddDate(1, 0, 0)) })
		w.must(w.setPolicy(n, rotation("P30D")))
	}
	versions := func(n string) int {
		vs, _, _, err := w.service.ListVersions(ctx, w.grant(access.KeyListVersions, n), object.Page{Limit: 9})
		w.must(err)
		return len(vs)
	}
	lost := func(err error) bool { return errors.Is(err, object.ErrChanged) }
	is := func(k fault.Kind) func(error) bool { return func(err error) bool { return fault.Is(err, k) } }
	all := storetest.Env{
		Inject: func(f *storetest.Fault) { w.fault.Store(f) }, Least: 2, Dump: w.dump, Check: w.check,
		Clean: func(n string) {
			w.must(w.db.Update(ctx, func(tx *store.Tx) error {
				return errors.Join(tx.PurgeKey(ctx, w.home.ID, object.MustName(n)),
					tx.DeleteJobs(ctx, key.RotateJob, w.home.ID, n), tx.DeleteJobs(ctx, key.NoticeJob, w.home.ID, n))
			}))
			for _, j := range w.claim() { // what is to be told is told
				if j.Kind == outbox.DeliverJob {
					w.must(w.do(j))
				}
			}
		},
	}
	for _, s := range []struct { // a storetest.Operation, without its names
		Name    string
		Prepare func(n string)
		Act     func(n string) error
		Done    func(n string) bool
		Again   func(err error) bool
	}{
		{"create", func(string) {},
			func(n string) error {
				_, err := w.create(n, key.CreateParams{Type: "EC", Given: key.Given{Expires: ptr(w.now().AddDate(1, 0, 0))}})
				return err
			},
			func(n string) bool { return versions(n) > 0 && !w.dueAt(key.NoticeJob, n).IsZero() }, nil},
		{"create anew", make1,
			func(n string) error { _, err := w.create(n, key.CreateParams{Type: "RSA"}); return err },
			func(n string) bool { return versions(n) > 1 && w.get(n).Version.Spec.Size == 2048 }, nil},
		{"import", make1,
			func(n string) error { _, err := w.importing(n, imported(rsaKeys()[0])); return err },
			func(n string) bool { return w.get(n).Version.Spec.Size == 2048 }, nil},
		{"update", make1,
			func(n string) error {
				_, err := w.update(n, "", key.Given{Enabled: ptr(false), Ops: []string{"sign"}, Expires: ptr(w.now().AddDate(2, 0, 0))})
				return err
			},
			func(n string) bool { return !w.get(n).Version.Attributes.Enabled }, nil},
		{"rotate", make1,
			func(n string) error { _, err := w.service.Rotate(ctx, w.grant(access.KeyRotate, n)); return err },
			func(n string) bool { return versions(n) > 1 }, nil},
		{"set the policy", make1,
			func(n string) error { return w.setPolicy(n, rotation("P60D")) },
			func(n string) bool { return w.dueAt(key.RotateJob, n).Equal(w.now().AddDate(0, 0, 60)) }, nil},
		{"rotate when due", func(n string) {
			make1(n)
			w.pass(30 * 24 * time.Hour)
			job = w.claim()[0]
		},
			func(string) error { return w.service.RotateDue(ctx, job) },
			func(n string) bool { return versions(n) == 2 }, lost},
		{"announce", func(n string) {
			w.made(n, "EC", func(p *key.CreateParams) { p.Expires = ptr(w.now().AddDate(0, 0, 20)) })
			job = w.claim()[0]
		},
			func(string) error { return w.service.Announce(ctx, job) },
			func(n string) bool { return w.dueAt(key.NoticeJob, n).IsZero() }, lost},
		{"delete", make1,
			func(n string) error { _, err := w.service.Delete(ctx, w.grant(access.KeyDelete, n)); return err },
			func(n string) bool {
				_, err := w.service.GetDeleted(ctx, w.grant(access.KeyGetDeleted, n))
				return err == nil && w.dueAt(key.RotateJob, n).IsZero()
			}, is(fault.NotFound)},
		{"recover", func(n string) { make1(n); w.remove(n) },
			func(n string) error { _, err := w.service.Recover(ctx, w.grant(access.KeyRecover, n)); return err },
			func(n string) bool { return versions(n) == 1 && !w.dueAt(key.RotateJob, n).IsZero() }, is(fault.NotFound)},
		{"purge", func(n string) { make1(n); w.remove(n) }, w.purge,
			func(n string) bool { return w.dump(n) == "" }, is(fault.NotFound)},
		{"restore", func(n string) {
			make1(n)
			w.made(n, "EC")
			blob = w.backup(n)
			w.remove(n)
			w.must(w.purge(n))
		},
			func(string) error { _, err := w.restore(w.home, blob); return err },
			func(n string) bool { return versions(n) == 2 && !w.dueAt(key.RotateJob, n).IsZero() }, is(fault.Conflict)},
	} {
		t.Run(s.Name, func(t *testing.T) {
			all.FailWrites(t, storetest.Operation(s))
		})
	}
}
