package throttle

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestOneAddressGetsAShareOfTheConnections: the fifth of eight slots' quarter is
// closed at once, and a slot that is given back can be used again.
func TestOneAddressGetsAShareOfTheConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner, 8, 2)
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	closed := func(c net.Conn) bool {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		ne, ok := err.(net.Error)
		return err != nil && !(ok && ne.Timeout())
	}
	dial()
	dial()
	first := <-accepted
	<-accepted
	if !closed(dial()) {
		t.Fatal("a third connection of one address was let in")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	dial()
	select {
	case <-accepted:
	case <-time.After(5 * time.Second):
		t.Fatal("a slot that was given back is not used")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-accepted; open {
		t.Error("the listener still accepts")
	}
}

// dial connects to l from an address of this machine.
func dial(t *testing.T, l net.Listener, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func loopback(t *testing.T, n int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Listen(l, n, max(n/4, 1))
}

// TestSlotsAreGivenBackOnce: all addresses together have n connections, and a
// connection that is closed twice, as net/http does, frees one.
func TestSlotsAreGivenBackOnce(t *testing.T) {
	l := loopback(t, 2)
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		dial(t, l, from)
	}
	first, second := <-accepted, <-accepted
	if n := len(l.(*listener).slots); n != 2 {
		t.Errorf("two connections take %d slots", n)
	}
	for range 2 {
		if err := first.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
	third := <-accepted
	if n := len(l.(*listener).slots); n != 2 {
		t.Errorf("%d slots are taken after one was given back", n)
	}
	if err := errors.Join(second.Close(), third.Close()); err != nil {
		t.Error(err)
	}
	(<-accepted).Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := <-accepted; ok {
		t.Error("a connection after Close")
	}
}

// TestShutdownDoesNotWaitForASlot: with all slots taken by idle connections, a
// server that stops must not wait until they time out.
func TestShutdownDoesNotWaitForASlot(t *testing.T) {
	l := loopback(t, 1)
	srv := &http.Server{Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	c := dial(t, l, "127.0.0.1")
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil { // it is answered: idle from here on
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(ctx) }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("it stopped with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
