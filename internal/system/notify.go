package system

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Notifier tells the service manager about this process, by the protocol of sd_notify(3). Without a manager that asks to be
// told it does nothing.
type Notifier struct {
	socket   string        // "" without a manager that listens
	watchdog time.Duration // after which silence means that the process is stuck; zero: the manager does not ask
}

// NewNotifier reads what the manager has put into the environment, and takes it out, so that no other program speaks for
// this one.
func NewNotifier() Notifier {
	n := Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && us > 0 {
			n.watchdog = time.Duration(us) * time.Microsecond
		}
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"} {
		_ = os.Unsetenv(name)
	}
	return n
}

// Tell sends one state, such as READY=1.
func (n Notifier) Tell(state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"}) // a leading @ is an abstract name
	if err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}

// Pulse is how often to tell WATCHDOG=1: half the time after which silence means that the process is stuck. Zero: never.
func (n Notifier) Pulse() time.Duration {
	if n.socket == "" {
		return 0
	}
	return n.watchdog / 2
}
