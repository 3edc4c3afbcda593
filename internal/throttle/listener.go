package throttle

import (
	"net"
	"net/netip"
	"sync"
)

// Listen makes a listener of l that accepts no more than all connections at a time,
// and no more than perAddress of them from one address: one client must not keep
// everyone else out.
func Listen(l net.Listener, all, perAddress int) net.Listener {
	return &listener{Listener: l, slots: make(chan struct{}, all), closed: make(chan struct{}),
		perAddress: perAddress, sources: map[netip.Addr]int{}}
}

type listener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	perAddress int
	mu         sync.Mutex
	sources    map[netip.Addr]int // guarded by mu; connections of an address
}

// Accept waits for a slot. It ends with Close even when there is none: a server
// that stops waits for Accept before it closes what is idle.
func (l *listener) Accept() (net.Conn, error) {
	for {
		if c, err := l.accept(); c != nil || err != nil {
			return c, err
		}
	}
}

// accept is Accept, with nothing to show for a connection that was one too many.
func (l *listener) accept() (net.Conn, error) {
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
	from := addressOf(c)
	if !l.enter(from) {
		<-l.slots
		_ = c.Close()
		return nil, nil
	}
	return &conn{Conn: c, release: sync.OnceFunc(func() { l.leave(from); <-l.slots })}, nil
}

// addressOf is the address of the peer; the zero one when it has none.
func addressOf(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (l *listener) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[from] >= l.perAddress {
		return false
	}
	l.sources[from]++
	return true
}

func (l *listener) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[from]--; l.sources[from] <= 0 {
		delete(l.sources, from)
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type conn struct {
	net.Conn
	release func()
}

func (c *conn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
