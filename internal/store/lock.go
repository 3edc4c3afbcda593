package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock that keeps a second process away from a database. The
// kernel drops it when the process ends, however it ends, so there are no stale
// locks; the file stays, because removing it would open a race.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is held by process %s", ErrInUse, path, holder(f))
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads the process id that the holder wrote; a number of at most ten
// digits and a line end.
func holder(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 16))
	if _, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return "(unknown)"
	}
	return strings.TrimSpace(string(b))
}
