package datadir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Make makes a folder that only its owner may enter. One that is there and empty
// becomes so; one with something in it that others may enter is refused, for what
// is in it may be theirs.
func Make(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return os.Chmod(path, 0o700)
	}
	return fmt.Errorf("others may enter the data folder %s (mode %#o): run chmod 700 %s", path, info.Mode().Perm(), path)
}

// Full tells whether an error says that there is no room on the disk, or no more for this
// user.
func Full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Free is how many bytes a user may still write to the disk that a folder is on.
func Free(folder string) (uint64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(folder, &disk); err != nil {
		return 0, err
	}
	return disk.Bavail * uint64(disk.Bsize), nil
}

// Writable is nil when this user may make files in a folder. It makes none.
func Writable(folder string) error { return unix.Access(folder, unix.W_OK|unix.X_OK) }

// HeldError reports a lock that another process has.
type HeldError struct {
	Path   string
	Holder string // its process id, or "(unknown)"
}

func (e *HeldError) Error() string { return e.Path + " is held by process " + e.Holder }

// Lock takes the lock at path until the file is closed, or answers a *HeldError.
// The kernel drops it when the process ends, however it ends, so there are no
// stale locks; the file stays, because removing it would open a race.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &HeldError{path, holder(f)}
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
	text := strings.TrimSpace(string(b))
	if _, err := strconv.Atoi(text); err != nil {
		return "(unknown)"
	}
	return text
}
