package main

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestTheServiceManagerIsTold when the vault answers, that it is not stuck, and when it stops.
func TestTheServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f := newFolder(t, nil)
	f.env = append(f.env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=400000")
	p := f.start()
	next := func(want string) {
		t.Helper()
		buf := make([]byte, 100)
		if err := l.SetReadDeadline(time.Now().Add(deadline)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if got := string(buf[:n]); got == want {
				return
			} else if got != "WATCHDOG=1" {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
	next("READY=1")
	next("WATCHDOG=1")
	next("WATCHDOG=1")
	p.stop(syscall.SIGTERM)
	next("STOPPING=1")
}
