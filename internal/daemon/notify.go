package daemon

import (
	"context"
	"time"

	"coffer/internal/system"
)

// tell says to the service manager how this process is; one that does not listen any more changes nothing.
func (d *Daemon) tell(n system.Notifier, state string) {
	if err := n.Tell(state); err != nil {
		d.log.Warn("the service manager was not told", "state", state, "error", err)
	}
}

// pulse tells the service manager that the process is not stuck, until ctx ends. A health that says no is no reason for a
// restart, which would not bring a database back; one that does not answer is.
func (d *Daemon) pulse(ctx context.Context, n system.Notifier) error {
	every := n.Pulse()
	if every == 0 {
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			_ = d.ready()
			d.tell(n, "WATCHDOG=1")
		}
	}
}
