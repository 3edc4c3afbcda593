package secret_test

import (
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// Every write of every operation is failed twice, once as if it did nothing and
// once as if it happened all the same. After each failure the vault is whole,
// all of the operation is there or nothing of it, and the caller can repeat it.
func TestFailedWritesLeaveAllOrNothing(t *testing.T) {
	w := newInstallation(t)
	var blob string
	reads := func(want string) func(n string) bool {
		return func(n string) bool { return w.read(n, "") == want }
	}
	set := func(n string) error { _, err := w.try(n, value("new")); return err }
	is := func(k fault.Kind) func(error) bool {
		return func(err error) bool { w.refused(err, k, ""); return true }
	}
	all := storetest.Env{
		Inject: func(f *storetest.Fault) { w.fault.Store(f) }, Least: 2, Dump: w.dump, Check: w.check,
		Clean: func(n string) {
			w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
				return tx.PurgeSecret(t.Context(), w.home.ID, object.MustName(n))
			}))
		},
	}
	for _, s := range []struct { // a storetest.Operation, without its names
		Name    string
		Prepare func(n string)
		Act     func(n string) error
		Done    func(n string) bool
		Again   func(err error) bool
	}{
		{"set", func(string) {}, set, reads("new"), nil},
		{"set anew", func(n string) { w.put(n, value("old")) }, set, reads("new"), nil},
		{"update", func(n string) { w.put(n, value("old")) },
			func(n string) error {
				_, err := w.change(n, "", secret.Change{ContentType: ptr("b"), Tags: object.Tags{"a": "b"}})
				return err
			},
			func(n string) bool {
				b, err := w.Get(t.Context(), w.grant(access.SecretGet, n), "", "")
				return err == nil && b.Version.ContentType == "b" && len(b.Version.Tags) == 1
			}, nil},
		{"delete", func(n string) { w.put(n, value("old")) },
			func(n string) error { _, err := w.Delete(t.Context(), w.grant(access.SecretDelete, n)); return err },
			func(n string) bool {
				_, err := w.GetDeleted(t.Context(), w.grant(access.SecretGetDeleted, n))
				return err == nil
			}, is(fault.NotFound)},
		{"recover", func(n string) { w.put(n, value("old")); w.remove(n) },
			func(n string) error { _, err := w.Recover(t.Context(), w.grant(access.SecretRecover, n)); return err },
			reads("old"), is(fault.NotFound)},
		{"purge", func(n string) { w.put(n, value("old")); w.put(n, value("older")); w.remove(n) },
			w.purge, func(n string) bool { return w.dump(n) == "" }, is(fault.NotFound)},
		{"purge what is due", func(n string) { w.put(n, value("old")); w.remove(n); w.pass(91 * 24 * time.Hour) },
			func(string) error { return w.PurgeDue(t.Context(), unrecorded) },
			func(n string) bool { return w.dump(n) == "" }, nil},
		{"restore", func(n string) {
			w.put(n, value("old"))
			w.put(n, value("kept"))
			blob = w.backup(n)
			w.remove(n)
			w.must(w.purge(n))
		}, func(string) error { _, err := w.restore(w.home, blob); return err }, reads("kept"), is(fault.Conflict)},
	} {
		t.Run(s.Name, func(t *testing.T) {
			all.FailWrites(t, storetest.Operation(s))
		})
	}
}

// unrecorded is the record of a purge that nobody keeps.
func unrecorded(object.Head) (func(error), error) { return func(error) {}, nil }
