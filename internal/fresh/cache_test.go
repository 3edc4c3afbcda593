package fresh_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/fresh"
)

// reads counts how often a cache had to read.
type reads struct {
	*fresh.Cache[string, int]
	n int
}

func newReads(s fresh.Source) *reads {
	return &reads{Cache: fresh.NewCache[string, int](s, fresh.Objects, 100, nil)}
}

// get tells whether the cache had to read.
func (r *reads) get(k string) bool {
	before := r.n
	_, _ = r.Get(k, func() (int, error) { r.n++; return r.n, nil })
	return r.n > before
}

func TestAloneAValueServesUntilItsAreaChanges(t *testing.T) {
	c := fresh.NewCommits(true)
	r := newReads(fresh.Source{Commits: c, MaxAge: time.Nanosecond}) // the age is for shared databases
	for i, step := range []struct {
		touched fresh.Areas
		reads   bool
	}{{0, true}, {0, false}, {fresh.Vaults | fresh.Assignments, false}, {fresh.Objects, true}, {0, false}, {fresh.All, true}} {
		c.Grow(step.touched)
		if r.get("a") != step.reads {
			t.Errorf("step %d: read: %v", i, !step.reads)
		}
	}
}

func TestSharedAValueServesForAnAgeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fresh.NewCommits(false)
		r := newReads(fresh.Source{Commits: c, MaxAge: time.Second})
		slow := func() (int, error) { time.Sleep(900 * time.Millisecond); return 0, nil }
		_, _ = r.Get("a", slow)
		time.Sleep(100*time.Millisecond - 1)
		if r.get("a") {
			t.Error("read again before its time")
		}
		time.Sleep(time.Nanosecond) // the age counts from before the read
		if !r.get("a") {
			t.Error("older than allowed")
		}
		c.Grow(fresh.Objects)
		if !r.get("a") {
			t.Error("a commit of this process does not count at once")
		}
	})
}

func TestAClockThatGoesBackKeepsNothingAlive(t *testing.T) {
	now := time.Unix(1000, 0)
	r := newReads(fresh.Source{Commits: fresh.NewCommits(false), MaxAge: time.Second, Now: func() time.Time { return now }})
	r.get("a")
	now = now.Add(-time.Hour)
	if !r.get("a") {
		t.Error("kept for an hour")
	}
}

// Who finds what is kept wanting has it read again, but nobody does so at will; and what
// was read again is kept as what is read for the first time.
func TestAMissIsReadAgainWithinABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReads(fresh.Source{Commits: fresh.NewCommits(false), MaxAge: time.Hour})
		read := func() (int, error) { r.n++; return r.n, nil }
		r.get("a")
		for range 1000 {
			_, _ = r.Reread("a", read)
		}
		if r.n != 1+20 {
			t.Errorf("%d reads at once, want the first and 20", r.n)
		}
		if v, _ := r.Get("a", read); v != 21 || r.get("a") {
			t.Errorf("kept is the value of read %d", v)
		}
		r.n = 0
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			_, _ = r.Reread("a", read)
		}
		if r.n < 99 || r.n > 101 {
			t.Errorf("%d reads in 10 s, want 100", r.n)
		}
		alone := newReads(fresh.Source{Commits: fresh.NewCommits(true)})
		alone.get("a")
		if _, _ = alone.Reread("a", func() (int, error) { alone.n++; return 0, nil }); alone.n != 1 {
			t.Error("alone, there is nothing new to read")
		}
	})
}

func TestNothingIsKept(t *testing.T) {
	for name, s := range map[string]fresh.Source{
		"zero": {}, "shared without an age": {Commits: fresh.NewCommits(false)}, "of no database": {MaxAge: time.Hour},
	} {
		r := newReads(s)
		for range 2 {
			if !r.get("a") {
				t.Errorf("%s: something was kept", name)
			}
		}
	}
	r := newReads(fresh.Source{Commits: fresh.NewCommits(true)})
	if _, err := r.Get("a", func() (int, error) { return 7, errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if !r.get("a") {
		t.Error("a failure was kept")
	}
}

// A commit can be read before the one who commits has counted it: who has seen it must not
// be given what was kept before it.
func TestNobodyGoesBackBehindACommitThatWasRead(t *testing.T) {
	c := fresh.NewCommits(true)
	r := newReads(fresh.Source{Commits: c})
	r.get("a")
	c.Begin(fresh.Vaults)
	if r.get("a") {
		t.Error("read again for a commit elsewhere")
	}
	c.Begin(fresh.Objects)
	for range 2 {
		if !r.get("a") {
			t.Error("what is kept is used while a commit to its area is under way")
		}
	}
	c.End(fresh.Objects)
	for i, reads := range []bool{true, false} {
		if r.get("a") != reads {
			t.Errorf("after the commit, question %d: read: %v", i, !reads)
		}
	}
}

// What is read while somebody commits may be of before the commit.
func TestAReadThatACommitOvertookIsNotKept(t *testing.T) {
	c := fresh.NewCommits(true)
	r := newReads(fresh.Source{Commits: c})
	_, _ = r.Get("a", func() (int, error) { c.Grow(fresh.Objects); return 0, nil })
	if !r.get("a") {
		t.Error("kept")
	}
}

// Whatever readers and writers do at one time, nobody who asks after a commit was
// answered gets what was there before it.
func TestNoReaderIsBehindAnAnsweredCommit(t *testing.T) {
	c := fresh.NewCommits(true)
	cache := fresh.NewCache[int, uint64](fresh.Source{Commits: c}, fresh.Objects, 8, nil)
	var stored, answered [4]atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5000 {
				k := rand.IntN(len(stored))
				if rand.IntN(4) == 0 {
					n := stored[k].Add(1) // the commit
					c.Grow(fresh.Objects)
					for old := answered[k].Load(); old < n && !answered[k].CompareAndSwap(old, n); old = answered[k].Load() {
					}
					continue
				}
				least := answered[k].Load()
				if v, _ := cache.Get(k, func() (uint64, error) { return stored[k].Load(), nil }); v < least {
					t.Errorf("got %d after %d was answered", v, least)
				}
			}
		})
	}
	wg.Wait()
}

func TestAMapIsBounded(t *testing.T) {
	m := fresh.NewMap[int, int](100, nil)
	for i := range 1000 {
		m.Get(0) // in use
		m.Put(i, i)
		if n := m.Drop(func(int) bool { return false }); n > 100 {
			t.Fatalf("%d entries", n)
		}
	}
	if _, ok := m.Get(0); !ok {
		t.Error("what is in use was displaced by what is not")
	}
	if _, ok := m.Get(1); ok {
		t.Error("what was not asked for is kept")
	}
	if n := m.Drop(func(v int) bool { return v > 0 }); n != 1 {
		t.Errorf("%d left", n)
	}
}

func TestAMapIsBoundedBySize(t *testing.T) {
	m := fresh.NewMap[string](100, func(s string) int { return len(s) })
	all := 0
	for i := range 1000 {
		s := fmt.Sprintf("%0*d", 1+rand.IntN(50), i%7)
		m.Put(fmt.Sprint(rand.IntN(20)), s)
		all = 0
		m.Drop(func(s string) bool { all += len(s); return false })
		if all > 100 {
			t.Fatalf("%d bytes", all)
		}
	}
	if all == 0 {
		t.Error("nothing is kept")
	}
	m.Put("a", "small")
	m.Put("a", fmt.Sprintf("%051d", 0))
	if v, ok := m.Get("a"); ok {
		t.Errorf("too large, or old: %q", v)
	}
}
