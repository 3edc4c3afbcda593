package throttle

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxSources bounds how many addresses are counted in each of two generations.
// One who has more addresses than that is not held up by a limit per address.
const maxSources = 5000

// Sources is a token bucket for each source address. It is safe for concurrent
// use.
type Sources struct {
	perSec rate.Limit
	burst  int

	mu         sync.Mutex
	young, old map[netip.Prefix]*rate.Limiter // guarded by mu
}

// NewSources lets each source have perSec a second, and burst at once.
func NewSources(perSec rate.Limit, burst int) *Sources {
	return &Sources{perSec: perSec, burst: burst, young: map[netip.Prefix]*rate.Limiter{}}
}

// Allow takes one from the source's bucket. A source is an IPv4 address, or the
// /64 that an IPv6 host usually has to itself; what is not an address shares one.
func (l *Sources) Allow(remote string, now time.Time) bool { return l.AllowN(remote, now, 1) }

// AllowN is Allow of n at once.
func (l *Sources) AllowN(remote string, now time.Time, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	source := SourceOf(remote)
	b, ok := l.young[source]
	if !ok {
		if b, ok = l.old[source]; !ok {
			b = rate.NewLimiter(l.perSec, l.burst)
		}
		if len(l.young) >= maxSources {
			l.young, l.old = map[netip.Prefix]*rate.Limiter{}, l.young
		}
		l.young[source] = b
	}
	return b.AllowN(now, n)
}

// SourceOf reads an address, with a port or without: an IPv4 address, or the /64 of an
// IPv6 one. What is not an address is the zero source.
func SourceOf(remote string) netip.Prefix {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		ap, err := netip.ParseAddrPort(remote)
		if err != nil {
			return netip.Prefix{}
		}
		addr = ap.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
