package throttle

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// Listen makes a listener of l that accepts no more than all connections at a time,
// and no more than perSource of them from one source (SourceOf): one client must not
// keep everyone else out.
//
// A connection from one of balancers must begin with a PROXY protocol header, version 1
// or 2, within headerTimeout; its client is then who the header names, and is what is
// counted. Nobody else's header is read.
func Listen(l net.Listener, all, perSource int, balancers ...netip.Prefix) net.Listener {
	return &listener{Listener: l, slots: make(chan struct{}, all), closed: make(chan struct{}),
		perSource: perSource, balancers: balancers, sources: map[netip.Prefix]int{}}
}

// headerTimeout is how long a balancer may take for its header, which it sends with
// its first packet.
const headerTimeout = 5 * time.Second

type listener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	perSource int
	balancers []netip.Prefix
	mu        sync.Mutex
	sources   map[netip.Prefix]int // guarded by mu; connections of a source
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
	inner, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	c := &conn{Conn: inner, listener: l}
	if l.isBalancer(inner.RemoteAddr()) {
		// The header is read by whoever reads from the connection, or asks for its
		// address: never here, where everybody waits.
		c.Conn = proxyproto.NewConn(inner, proxyproto.WithPolicy(proxyproto.REQUIRE),
			proxyproto.SetReadHeaderTimeout(headerTimeout), proxyproto.ValidateHeader(c.introduce))
		return c, nil
	}
	if err := c.enter(inner.RemoteAddr()); err != nil {
		_ = c.Close()
		return nil, nil
	}
	return c, nil
}

func (l *listener) isBalancer(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && slices.ContainsFunc(l.balancers, func(p netip.Prefix) bool { return p.Contains(ap.Addr().Unmap().WithZone("")) })
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// conn is a connection that counts for its source until it is closed.
type conn struct {
	net.Conn
	listener *listener

	// Guarded by the listener's mu.
	source  netip.Prefix
	entered bool // it counts for source
	closed  bool
}

var (
	errTooMany   = errors.New("throttle: too many connections of one client")
	errNoAddress = errors.New("throttle: a PROXY header without an address of TCP")
)

// introduce takes the client of a balancer's connection from its header. A balancer
// that speaks for itself, as for a check of health, is its own client.
func (c *conn) introduce(h *proxyproto.Header) error {
	if h.Command.IsLocal() {
		return nil
	}
	if _, ok := h.SourceAddr.(*net.TCPAddr); !ok {
		return errNoAddress
	}
	return c.enter(h.SourceAddr)
}

func (c *conn) enter(a net.Addr) error {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	source := SourceOf(a.String())
	if c.closed || l.sources[source] >= l.perSource {
		return errTooMany
	}
	l.sources[source]++
	c.source, c.entered = source, true
	return nil
}

// leave gives back what the connection takes, once.
func (c *conn) leave() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	<-l.slots // its own: this does not wait
	if !c.entered {
		return
	}
	if l.sources[c.source]--; l.sources[c.source] <= 0 {
		delete(l.sources, c.source)
	}
}

func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
