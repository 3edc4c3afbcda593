package system

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestTheServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		pid  string
		want time.Duration
	}{{"", 5 * time.Second}, {strconv.Itoa(os.Getpid()), 5 * time.Second}, {"1", 0}} { // of another process
		t.Setenv("NOTIFY_SOCKET", path)
		t.Setenv("WATCHDOG_USEC", "10000000")
		t.Setenv("WATCHDOG_PID", c.pid)
		n := NewNotifier()
		if n.Pulse() != c.want {
			t.Errorf("pid %q: every %v, want %v", c.pid, n.Pulse(), c.want)
		}
		for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
			if _, ok := os.LookupEnv(name); ok {
				t.Errorf("%s is passed on", name)
			}
		}
		if err := n.Tell("READY=1"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		got, err := l.Read(buf)
		if err != nil || string(buf[:got]) != "READY=1" {
			t.Errorf("%q, %v", buf[:got], err)
		}
	}
	if err := (Notifier{}).Tell("READY=1"); err != nil || NewNotifier().Pulse() != 0 {
		t.Errorf("without a manager: %v", err)
	}
}
