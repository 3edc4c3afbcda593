package system

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Guard keeps the memory of this process, and the environment that it was started with, from other processes of the same
// user (ptrace, /proc/PID/mem, /proc/PID/environ) and out of core files. Programs that it starts are as they would be, but
// for the soft limit of their core files.
func Guard() error {
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return fmt.Errorf("the limit of core files: %w", err)
	}
	core.Cur = 0 // the hard limit stays for what coffer dev runs: a process that is not dumpable writes none anyway
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return fmt.Errorf("the limit of core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("guarding the memory of the process: %w", err)
	}
	return nil
}

// ErrNotLocked reports memory that may be swapped.
var ErrNotLocked = errors.New("the memory of the process, keys among it, is not locked")

// Lock keeps all memory of this process, now and later, out of swap. It needs CAP_IPC_LOCK or no limit of locked memory:
// under a limit the runtime could not grow its heap any more and would end the process, so that ErrNotLocked comes first.
//
// All of it, because a key is in many places that no program chooses: schedules of ciphers, big numbers, stacks.
// Pages are locked when they are first used, so that what the runtime only reserves costs nothing.
func Lock() error {
	if !unlimited() {
		return fmt.Errorf("%w: the limit of locked memory (ulimit -l, LimitMEMLOCK=) is not unlimited", ErrNotLocked)
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("%w: %w", ErrNotLocked, err)
	}
	return nil
}

// unlimited reports whether any amount of memory may be locked.
func unlimited() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == unix.RLIM_INFINITY {
		return true
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // bits 0 to 31, and the rest
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}

// Swaps reports whether the system has somewhere to swap to.
func Swaps() bool {
	list, err := os.ReadFile("/proc/swaps")
	return err != nil || bytes.Count(list, []byte("\n")) > 1 // a line of headings comes first
}
