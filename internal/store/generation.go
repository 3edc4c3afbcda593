package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SQLite replays a -wal file over whatever database file lies beside it: over a
// backup that was copied there after a crash, too. And an older copy without a log is
// a database like any other, of which nobody is told what it lacks. So each start and
// each stop gives the database a generation, a random number in its header and in a
// file beside it, and only a database file of that generation is opened; copies that
// Backup makes have none. Restore takes the file beside it away.
//
// The number is the user_version of SQLite's file format (fileformat2.html, 1.3):
// four bytes, big-endian, at offset 60 of the file.
const generationOffset = 60

func generationFile(path string) string { return path + ".generation" }

// takeGeneration refuses a database file that is not the one of the last start, and
// makes sure that the generation of a file is known before its log grows.
func takeGeneration(path string) error {
	has, known, err := checkGeneration(path)
	if err != nil || known {
		return err
	}
	return writeGenerations(path, has)
}

// checkGeneration refuses a database file that is not the one of the last start
// (ErrForeignFile), or a log that does not belong to it (ErrForeignLog). known tells
// whether a file beside it says that it is; without one any file without a log is taken.
func checkGeneration(path string) (has uint32, known bool, err error) {
	if has, err = fileGeneration(path); err != nil {
		return 0, false, err
	}
	all, err := readGenerations(path)
	if err != nil || slices.Contains(all, has) {
		return has, err == nil, err
	}
	log, err := os.Stat(path + "-wal")
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return 0, false, err
	// A version of this program that gave no generations left a log without any.
	case err == nil && log.Size() > 0 && (all != nil || has != 0):
		return 0, false, fmt.Errorf("%w: %s is a copy from another time than %s-wal", ErrForeignLog, path, filepath.Base(path))
	case all != nil:
		return 0, false, fmt.Errorf("%w: %s is a copy from another time than %s", ErrForeignFile, path, filepath.Base(generationFile(path)))
	}
	return has, false, nil
}

// execer is a database, or one connection to it.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// stamp gives the database its next generation. A crash at any line leaves a file
// whose generation is known beside it.
func stamp(ctx context.Context, db execer, path string) error {
	has, err := fileGeneration(path)
	if err != nil {
		return err
	}
	var next [4]byte
	for binary.BigEndian.Uint32(next[:]) == 0 {
		rand.Read(next[:])
		next[0] &= 0x7f // user_version is signed
	}
	n := binary.BigEndian.Uint32(next[:])
	if err := writeGenerations(path, has, n); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "PRAGMA user_version = "+strconv.FormatUint(uint64(n), 10)); err != nil {
		return fmt.Errorf("marking the database: %w", err)
	}
	// Into the file itself, which is all that checkLog looks at.
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("marking the database: %w", err)
	}
	if has, err = fileGeneration(path); err != nil {
		return err
	}
	if has != n { // another program reads the file, so that the log stays as it is
		return nil
	}
	return writeGenerations(path, n)
}

// fileGeneration reads the generation of a database file; 0 when it has none.
func fileGeneration(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], generationOffset); errors.Is(err, io.EOF) {
		return 0, nil // all of a young database can be in its log
	} else if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

// clearGeneration makes a copy one that no log belongs to.
func clearGeneration(f *os.File) error {
	_, err := f.WriteAt(make([]byte, 4), generationOffset)
	return err
}

// readGenerations reads those that the log may belong to; nil when there is no such
// file. It holds at most two numbers, a line each.
func readGenerations(path string) (known []uint32, err error) {
	raw, err := os.ReadFile(generationFile(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for word := range strings.FieldsSeq(string(raw)) {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s does not hold the numbers that Coffer wrote", generationFile(path))
		}
		known = append(known, uint32(n))
	}
	return known, nil
}

// writeGenerations replaces the file, durably.
func writeGenerations(path string, known ...uint32) error {
	var b bytes.Buffer
	for _, n := range known {
		fmt.Fprintln(&b, n)
	}
	name := generationFile(path)
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
