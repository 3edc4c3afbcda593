package audit

import (
	"errors"
	"io"
	"os"
)

// reserved is a file that has room before it is written: zeros follow its lines.
// A sync after a write into room needs nothing of the file system's journal, which
// takes half of the time otherwise. What reads the file first cuts the zeros: see
// repair.
type reserved struct {
	randomAccess
	lines int64 // bytes
	room  int64 // bytes of lines and zeros
}

// randomAccess is a File that was not opened for appending.
type randomAccess interface {
	File
	io.WriterAt
}

// reserve is how many zeros are written at a time.
const reserve = 256 << 10

var zeros [reserve]byte

// openReserved opens a file that has no zeros, and creates it with mode 0600.
func openReserved(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &reserved{f, info.Size(), info.Size()}, nil
}

// Write appends a line. That there is no room to reserve is no failure: the disk
// may be nearly full and yet have enough for the line, and for the records.
func (r *reserved) Write(line []byte) (int, error) {
	if r.lines+int64(len(line)) > r.room {
		if _, err := r.WriteAt(zeros[:], r.room); err == nil && r.randomAccess.Sync() == nil {
			r.room += reserve
		} else if err := r.randomAccess.Truncate(r.room); err != nil {
			return 0, err
		}
	}
	n, err := r.WriteAt(line, r.lines)
	r.lines += int64(n)
	r.room = max(r.room, r.lines)
	return n, err
}

// Sync makes the lines durable. Times of the file are not worth the file system's journal.
func (r *reserved) Sync() error {
	if f, ok := r.randomAccess.(*os.File); ok {
		return syncData(f)
	}
	return r.randomAccess.Sync()
}

// Truncate cuts the zeros too.
func (r *reserved) Truncate(size int64) error {
	if err := r.randomAccess.Truncate(size); err != nil {
		return err
	}
	r.lines, r.room = size, size
	return nil
}

// Close cuts the zeros too.
func (r *reserved) Close() error {
	return errors.Join(r.randomAccess.Truncate(r.lines), r.randomAccess.Close())
}
