package daemon

import (
	"net"
	"net/netip"
	"sync"
)

// limited is a listener that accepts no more than n connections at a time, and no
// more than share of them from one address: a stranger must not keep everyone else
// out.
func limited(l net.Listener, n, share int) net.Listener {
	return &limitedListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{}),
		share: share, sources: map[netip.Addr]int{}}
}

type limitedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	share   int
	mu      sync.Mutex
	sources map[netip.Addr]int // guarded by mu; connections of an address
}

// Accept waits for a slot. It ends with Close even when there is none: a server
// that stops waits for Accept before it closes what is idle.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		if c, err := l.accept(); c != nil || err != nil {
			return c, err
		}
	}
}

// accept is Accept, with nothing to show for a connection that was one too many.
func (l *limitedListener) accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	from := sourceOf(c)
	if !l.enter(from) {
		<-l.slots
		_ = c.Close()
		return nil, nil
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { l.leave(from); <-l.slots })}, nil
}

// sourceOf is the address of the peer; the zero one when it has none.
func sourceOf(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (l *limitedListener) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[from] >= l.share {
		return false
	}
	l.sources[from]++
	return true
}

func (l *limitedListener) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[from]--; l.sources[from] <= 0 {
		delete(l.sources, from)
	}
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
