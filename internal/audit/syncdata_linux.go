package audit

import (
	"os"
	"syscall"
)

// syncData makes the bytes of a file durable, and of what is told about it only what
// reading them needs: fdatasync(2).
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
