package compute

import "golang.org/x/sys/unix"

// lowerPriority gives the calling thread the lowest priority (nice 19). On Linux
// a nice value belongs to a thread, not to the process (setpriority(2), NOTES).
func lowerPriority() error { return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19) }
