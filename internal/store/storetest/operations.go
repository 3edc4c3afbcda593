package storetest

import (
	"errors"
	"fmt"
	"testing"

	"coffer/internal/store"
)

// Operation is an operation of a domain whose writes are failed, each on an object
// of its own name.
type Operation struct {
	Name    string
	Prepare func(n string)
	Act     func(n string) error
	Done    func(n string) bool
	// Again judges what a repetition is told when the first call had happened; nil:
	// it succeeds.
	Again func(err error) bool
}

// Env is what operations are done in.
type Env struct {
	Inject func(*Fault)          // nil: no more faults
	Least  int                   // writes of every operation
	Dump   func(n string) string // all that is stored of a name
	Check  func()                // that the whole is whole
	Clean  func(n string)        // removes a name, whatever is left of it
}

// FailWrites fails every write of an operation twice, once as if it did nothing and
// once as if it happened all the same. After each failure the vault is whole, all of
// the operation is there or nothing of it, and the caller can repeat it.
func (w Env) FailWrites(t *testing.T, op Operation) {
	run := func(n string, f *Fault) (before string, err error) {
		op.Prepare(n)
		before = w.Dump(n)
		w.Inject(f)
		defer w.Inject(nil)
		return before, op.Act(n)
	}
	clean := func(n string) {
		t.Helper()
		w.Check()
		w.Clean(n)
	}
	count := Nth(0, store.Before)
	if _, err := run("count", count); err != nil {
		t.Fatal(err)
	}
	if !op.Done("count") {
		t.Fatal("not done")
	}
	clean("count")
	if count.Passed() < w.Least {
		t.Fatalf("%d writes", count.Passed())
	}
	for i := 1; i <= count.Passed(); i++ {
		for _, when := range []store.When{store.Before, store.After} {
			n := fmt.Sprintf("n-%d-%v", i, when)
			before, err := run(n, Nth(i, when))
			if !errors.Is(err, ErrInjected) {
				t.Fatalf("%v write %d: got %v", when, i, err)
			}
			w.Check()
			happened := i == count.Passed() && when == store.After // the commit is the last
			if !happened && w.Dump(n) != before {
				t.Errorf("%v write %d: left\n%s\nof\n%s", when, i, w.Dump(n), before)
			}
			if happened && !op.Done(n) {
				t.Errorf("%v write %d: the commit happened, and it is not done", when, i)
			}
			err = op.Act(n)
			if happened && op.Again != nil {
				if !op.Again(err) {
					t.Errorf("%v write %d: repeated: %v", when, i, err)
				}
			} else if err != nil {
				t.Errorf("%v write %d: repeated: %v", when, i, err)
			}
			if !op.Done(n) {
				t.Errorf("%v write %d: not done after the repetition", when, i)
			}
			clean(n)
		}
	}
}
