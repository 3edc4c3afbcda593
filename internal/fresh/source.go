package fresh

import (
	"sync/atomic"
	"time"
)

// Areas are parts of a database that change apart from one another: a set of bits.
type Areas uint8

// The areas. What is in none of them, such as jobs and data keys, is not kept.
const (
	Vaults      Areas = 1 << iota // settings of vaults, with their access policies
	Assignments                   // role assignments
	Principals                    // principals, their credentials and groups, signing keys of tokens
	Objects                       // certificates, keys, secrets, and what belongs to them

	All  = Vaults | Assignments | Principals | Objects
	bits = 4
)

// Commits counts the commits of this process to one database, by area. It is safe
// for concurrent use.
type Commits struct {
	alone  bool
	counts [bits]atomic.Uint64
	busy   [bits]atomic.Int32 // commits under way
}

// NewCommits begins to count. alone tells that no other process commits to the
// database as long as this one has it open.
func NewCommits(alone bool) *Commits { return &Commits{alone: alone} }

// Grow counts a commit: before it is answered, and also when it is not known whether
// it happened.
func (c *Commits) Grow(touched Areas) {
	for n := range c.counts {
		if touched&(1<<n) != 0 {
			c.counts[n].Add(1)
		}
	}
}

// Begin says that a commit is under way. From some moment before End its effect can be
// read: who has read it, and then asks for what is kept, must not get what was there before.
func (c *Commits) Begin(touched Areas) { c.change(touched, 1) }

// End is Grow for a commit that Begin told of.
func (c *Commits) End(touched Areas) {
	c.Grow(touched)
	c.change(touched, -1)
}

func (c *Commits) change(touched Areas, by int32) {
	for n := range c.busy {
		if touched&(1<<n) != 0 {
			c.busy[n].Add(by)
		}
	}
}

// committing tells whether a commit to any of the areas is under way.
func (c *Commits) committing(a Areas) bool {
	for n := range c.busy {
		if a&(1<<n) != 0 && c.busy[n].Load() > 0 {
			return true
		}
	}
	return false
}

// of is how many commits touched any of the areas. The counters only grow: two equal
// sums are equal counters.
func (c *Commits) of(a Areas) (sum uint64) {
	for n := range c.counts {
		if a&(1<<n) != 0 {
			sum += c.counts[n].Load()
		}
	}
	return sum
}

// Source says how long what was read from one database may be used. The zero Source
// keeps nothing.
type Source struct {
	Commits *Commits // of the database; nil: nothing is kept
	// MaxAge is how long a change by another process may go unseen, where there are
	// others. Zero: nothing is kept there.
	MaxAge time.Duration
	Now    func() time.Time // nil: time.Now
}

// Keeps tells whether anything that is read is kept.
func (s Source) Keeps() bool { return s.Commits != nil && (s.Commits.alone || s.MaxAge > 0) }
