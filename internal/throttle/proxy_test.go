package throttle

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// header2 is a PROXY header of version 2, as its specification (section 2.2) draws it.
func header2(command byte, from netip.AddrPort) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command)
	family, to := byte(0x11), netip.MustParseAddr("192.0.2.1")
	if from.Addr().Is6() {
		family, to = 0x21, netip.MustParseAddr("2001:db8::1")
	}
	addresses := append(from.Addr().AsSlice(), to.AsSlice()...)
	addresses = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(addresses, from.Port()), 443)
	return append(binary.BigEndian.AppendUint16(append(b, family), uint16(len(addresses))), addresses...)
}

// behind is a listener that trusts 127.0.0.1 as a balancer, and what a connection from
// an address came to: who the peer is, and the first byte after the header.
func behind(t *testing.T, perSource int) func(from string, send []byte) (peer string, first byte, hangUp func()) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner, 16, perSource, netip.MustParsePrefix("127.0.0.1/32"))
	t.Cleanup(func() { l.Close() })
	return func(from string, send []byte) (string, byte, func()) {
		t.Helper()
		client := dial(t, l, from)
		if _, err := client.Write(send); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		peer, b := c.RemoteAddr().String(), make([]byte, 1)
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return peer, 0, func() { c.Close() }
		}
		return peer, b[0], func() { c.Close() }
	}
}

func TestBehindABalancerTheClientIsTheClient(t *testing.T) {
	connect := behind(t, 4)
	for _, tt := range []struct{ name, from, send, peer string }{
		{"version 2", "127.0.0.1", string(header2(1, netip.MustParseAddrPort("203.0.113.9:4711"))), "203.0.113.9:4711"},
		{"version 2, IPv6", "127.0.0.1", string(header2(1, netip.MustParseAddrPort("[2001:db8::9]:4711"))), "[2001:db8::9]:4711"},
		{"version 1", "127.0.0.1", "PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", "203.0.113.9:4711"},
	} {
		if peer, first, _ := connect(tt.from, []byte(tt.send+"x")); peer != tt.peer || first != 'x' {
			t.Errorf("%s: the peer is %s, and the first byte %q", tt.name, peer, first)
		}
	}
	// Its own checks of health.
	if peer, first, _ := connect("127.0.0.1", append(header2(0, netip.MustParseAddrPort("203.0.113.9:4711")), 'x')); first != 'x' || peer[:10] != "127.0.0.1:" {
		t.Errorf("for itself: the peer is %s, and the first byte %q", peer, first)
	}
}

// TestHeadersAreStrict: a balancer must send one, and nobody else's is believed.
func TestHeadersAreStrict(t *testing.T) {
	connect := behind(t, 4)
	if peer, first, _ := connect("127.0.0.1", []byte("\x16\x03\x01 no header, and long enough for one")); first != 0 {
		t.Errorf("a balancer without a header: %s, %q", peer, first)
	}
	if peer, first, _ := connect("127.0.0.1", []byte("PROXY UNKNOWN\r\nx")); first != 0 && peer[:10] != "127.0.0.1:" {
		t.Errorf("a client that is not known: %s, %q", peer, first)
	}
	peer, first, _ := connect("127.0.0.2", append(header2(1, netip.MustParseAddrPort("203.0.113.9:4711")), 'x'))
	if first != '\r' || peer[:10] != "127.0.0.2:" {
		t.Errorf("the header of somebody else: %s, %q; want it left to TLS, which refuses it", peer, first)
	}
}

// TestClientsBehindABalancerAreCounted: each its own connections, by /64 of IPv6.
func TestClientsBehindABalancerAreCounted(t *testing.T) {
	connect := behind(t, 2)
	from := func(a string) (byte, func()) {
		_, first, hangUp := connect("127.0.0.1", append(header2(1, netip.MustParseAddrPort(a)), 'x'))
		return first, hangUp
	}
	first, hangUp := from("[2001:db8::1]:1")
	if first != 'x' {
		t.Fatal("the first")
	}
	if first, _ := from("[2001:db8::2]:1"); first != 'x' {
		t.Error("the second of a /64")
	}
	if first, _ := from("[2001:db8::3]:1"); first != 0 {
		t.Error("the third of a /64 is let in")
	}
	if first, _ := from("[2001:db8:0:1::3]:1"); first != 'x' {
		t.Error("the next /64 is not let in")
	}
	hangUp()
	hangUp()
	if first, _ := from("[2001:db8::3]:1"); first != 'x' {
		t.Error("a place that was given back")
	}
	if first, _ := from("[2001:db8::4]:1"); first != 0 {
		t.Error("one place was given back twice")
	}
}

func TestOneSourceIsOneHost(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.9:1": "203.0.113.9/32", "[::ffff:203.0.113.9]:1": "203.0.113.9/32", "[2001:db8::ab:1]:1": "2001:db8::/64",
		"[2001:db8::ffff:ffff:ffff:ffff]:2": "2001:db8::/64", "[fe80::1%eth0]:1": "fe80::/64", "@": "invalid Prefix", "": "invalid Prefix",
	} {
		if got := SourceOf(remote).String(); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
