package secret_test

import (
	"errors"
	"fmt"
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
	w := newWorld(t)
	var blob string
	reads := func(want string) func(n string) bool {
		return func(n string) bool { return w.read(n, "") == want }
	}
	set := func(n string) error { _, err := w.try(n, value("new")); return err }
	for _, s := range []struct {
		name    string
		prepare func(n string)
		act     func(n string) error
		done    func(n string) bool
		// again is what a repetition is told when the first call had happened; 0: it
		// succeeds.
		again fault.Kind
	}{
		{"set", func(string) {}, set, reads("new"), 0},
		{"set anew", func(n string) { w.put(n, value("old")) }, set, reads("new"), 0},
		{"update", func(n string) { w.put(n, value("old")) },
			func(n string) error {
				_, err := w.change(n, "", secret.Change{ContentType: ptr("b"), Tags: object.Tags{"a": "b"}})
				return err
			},
			func(n string) bool {
				b, err := w.Get(t.Context(), w.grant(access.SecretGet, n), "", "")
				return err == nil && b.Version.ContentType == "b" && len(b.Version.Tags) == 1
			}, 0},
		{"delete", func(n string) { w.put(n, value("old")) },
			func(n string) error { _, err := w.Delete(t.Context(), w.grant(access.SecretDelete, n)); return err },
			func(n string) bool {
				_, err := w.GetDeleted(t.Context(), w.grant(access.SecretGetDeleted, n))
				return err == nil
			}, fault.NotFound},
		{"recover", func(n string) { w.put(n, value("old")); w.remove(n) },
			func(n string) error { _, err := w.Recover(t.Context(), w.grant(access.SecretRecover, n)); return err },
			reads("old"), fault.NotFound},
		{"purge", func(n string) { w.put(n, value("old")); w.put(n, value("older")); w.remove(n) },
			w.purge, func(n string) bool { return w.dump(n) == "" }, fault.NotFound},
		{"purge what is due", func(n string) { w.put(n, value("old")); w.remove(n); w.pass(91 * 24 * time.Hour) },
			func(string) error { return w.PurgeDue(t.Context(), unrecorded) },
			func(n string) bool { return w.dump(n) == "" }, 0},
		{"restore", func(n string) {
			w.put(n, value("old"))
			w.put(n, value("kept"))
			blob = w.backup(n)
			w.remove(n)
			w.must(w.purge(n))
		}, func(string) error { _, err := w.restore(w.home, blob); return err }, reads("kept"), fault.Conflict},
	} {
		t.Run(s.name, func(t *testing.T) {
			run := func(n string, f *storetest.Fault) (before string, err error) {
				s.prepare(n)
				before = w.dump(n)
				w.fault.Store(f)
				defer w.fault.Store(nil)
				return before, s.act(n)
			}
			count := storetest.Nth(0, store.Before)
			_, err := run("count", count)
			w.must(err)
			if !s.done("count") || count.Passed() < 2 {
				t.Fatalf("%d writes", count.Passed())
			}
			for i := 1; i <= count.Passed(); i++ {
				for _, when := range []store.When{store.Before, store.After} {
					n := fmt.Sprintf("n-%d-%v", i, when)
					before, err := run(n, storetest.Nth(i, when))
					if !errors.Is(err, storetest.ErrInjected) {
						t.Fatalf("%v write %d: got %v", when, i, err)
					}
					w.check()
					happened := i == count.Passed() && when == store.After // the commit is the last
					if !happened && w.dump(n) != before {
						t.Errorf("%v write %d: left\n%s\nof\n%s", when, i, w.dump(n), before)
					}
					if happened && !s.done(n) {
						t.Errorf("%v write %d: the commit happened, and it is not done", when, i)
					}
					switch err := s.act(n); {
					case happened && s.again != 0:
						w.refused(err, s.again, "")
					case err != nil:
						t.Errorf("%v write %d: repeated: %v", when, i, err)
					}
					if !s.done(n) {
						t.Errorf("%v write %d: not done after the repetition", when, i)
					}
				}
			}
			// The next scenario has the names to itself.
			w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
				for _, deleted := range []bool{false, true} {
					list := tx.Secrets
					if deleted {
						list = tx.DeletedSecrets
					}
					all, err := list(t.Context(), w.home.ID, object.Page{Limit: 100})
					if err != nil {
						return err
					}
					for _, l := range all {
						if err := tx.PurgeSecret(t.Context(), w.home.ID, l.Head.Name); err != nil {
							return err
						}
					}
				}
				return nil
			}))
		})
	}
}

// unrecorded is the record of a purge that nobody keeps.
func unrecorded(object.Head) (func(error), error) { return func(error) {}, nil }
