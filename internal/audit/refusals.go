package audit

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"coffer/internal/throttle"
)

// The records of those who have no right here, and who can make as many as they like,
// have a budget: what one source may have written on average, and at once, and what all
// of them may, in bytes. One source fills 26 MB a day, all of them 177 MB.
const (
	refusedOfOne      = 300 // a second
	refusedOfOneBurst = 64 << 10
	refusedOfAll      = 2 << 10 // a second
	refusedOfAllBurst = 1 << 20

	// summaryPeriod is how long what was not written waits for the line that counts it.
	summaryPeriod = time.Minute
	// maxCounted is how many sources a summary tells apart.
	maxCounted = 10_000
)

// refusals counts the records that are beyond the budget. It is safe for concurrent use.
type refusals struct {
	one, all *throttle.Sources

	mu      sync.Mutex
	pending summary // guarded by mu
}

// summary is of records that were not written.
type summary struct {
	count   int
	since   time.Time // the first one
	first   string    // its address
	sources map[netip.Prefix]struct{}
}

func newRefusals() *refusals {
	return &refusals{one: throttle.NewSources(refusedOfOne, refusedOfOneBurst), all: throttle.NewSources(refusedOfAll, refusedOfAllBurst)}
}

// admit takes n bytes from the budget for a record about address, or counts it instead.
func (r *refusals) admit(address string, n int, now time.Time) bool {
	// The budget of all is that of the source that has no address.
	if r.one.AllowN(address, now, n) && r.all.AllowN("", now, n) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.pending
	if s.count == 0 {
		*s = summary{since: now, first: cmp.Or(address, "no address"), sources: map[netip.Prefix]struct{}{}}
	}
	s.count++
	if len(s.sources) < maxCounted {
		s.sources[throttle.SourceOf(address)] = struct{}{}
	}
	return false
}

// take gives what is to be told by now; ok tells whether there is anything. end asks for
// all of it, however young.
func (r *refusals) take(now time.Time, end bool) (s summary, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending.count == 0 || !end && now.Sub(r.pending.since) < summaryPeriod {
		return s, false
	}
	s, r.pending = r.pending, summary{}
	return s, true
}

// put takes back what could not be told.
func (r *refusals) put(s summary) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pending.sources {
		s.sources[p] = struct{}{}
	}
	s.count += r.pending.count
	r.pending = s
}

func (s summary) text(now time.Time) string {
	atLeast := ""
	if len(s.sources) >= maxCounted {
		atLeast = "at least "
	}
	return fmt.Sprintf("%d more refused in the last %d seconds from %s%d addresses; the first at %s from %s",
		s.count, max(1, int(now.Sub(s.since)/time.Second)), atLeast, len(s.sources), stamp(s.since), strings.ToValidUTF8(s.first, "?"))
}

// emitRefused writes the line that counts what was not written, when it is time, or at
// the end. A crash loses the count of a minute at most.
func (l *Log) emitRefused(end bool) error {
	now := l.cfg.Now()
	s, ok := l.refused.take(now, end)
	if !ok {
		return nil
	}
	err := l.records.append(l.ownLine(summarised, failure, s.text(now), Claims{}))
	if err != nil {
		l.refused.put(s)
	}
	return err
}
