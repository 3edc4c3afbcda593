package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Head is the end of a chain of lines.
type Head struct {
	// Sequence is the number of the last line. Lines are numbered from 1, across
	// files; 0: no line has a number yet.
	Sequence uint64
	// Hash is the SHA-256 of that line without its line feed.
	Hash [sha256.Size]byte
}

// chain ties each line to the one before: it gives it the next number and the hash
// of its predecessor. It is guarded by the turn of the records.
type chain struct {
	head    Head   // of what is written
	next    Head   // of what link has tied, until commit
	scratch []byte // what link returned last
}

// The last two members of every line. A line that has none is of an earlier version
// of this program; the chain begins behind those, with the hash of the last of them.
const (
	sequenceMember = `,"sequence":`
	previousMember = `,"previousHash":"`
	lineEnd        = `}}` // of properties, and of the record
	maxLink        = len(sequenceMember) + 20 + len(previousMember) + 2*sha256.Size + 1
)

// link returns whole lines with these members added. They are part of the chain once
// commit is called; the result is good until the next call.
func (c *chain) link(lines []byte) []byte {
	out, h := c.scratch[:0], c.head
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		start := len(out)
		out = append(out, lines[:end-len(lineEnd)]...)
		h.Sequence++
		out = append(out, sequenceMember...)
		out = strconv.AppendUint(out, h.Sequence, 10)
		out = append(out, previousMember...)
		out = hex.AppendEncode(out, h.Hash[:])
		out = append(out, `"`+lineEnd...)
		h.Hash = sha256.Sum256(out[start:])
		out = append(out, '\n')
		lines = lines[end+1:]
	}
	c.next, c.scratch = h, out
	if cap(out) > maxSpare {
		c.scratch = nil
	}
	return out
}

// commit says that what link returned last is written.
func (c *chain) commit() { c.head = c.next }

// parseLink reads the number of a line and the hash of its predecessor; false when
// it has none. A text of a caller cannot look like them: its quotes are escaped.
func parseLink(line []byte) (sequence uint64, previous [sha256.Size]byte, ok bool) {
	rest, ok := bytes.CutSuffix(line, []byte(`"`+lineEnd))
	if !ok || len(rest) < 2*sha256.Size {
		return 0, previous, false
	}
	rest, digits := rest[:len(rest)-2*sha256.Size], rest[len(rest)-2*sha256.Size:]
	if _, err := hex.Decode(previous[:], digits); err != nil {
		return 0, previous, false
	}
	if rest, ok = bytes.CutSuffix(rest, []byte(previousMember)); !ok {
		return 0, previous, false
	}
	at := bytes.LastIndexByte(rest, ':') + 1
	sequence, err := strconv.ParseUint(string(rest[at:]), 10, 64)
	return sequence, previous, err == nil && bytes.HasSuffix(rest[:at], []byte(sequenceMember))
}

// headOf is the head of a chain that ends with this line.
func headOf(line []byte) Head {
	sequence, _, _ := parseLink(line)
	return Head{sequence, sha256.Sum256(line)}
}

// maxLine bounds what is taken for a line, in bytes: several times the longest.
const maxLine = 4 << 20

// lastHead is the head at the end of a file; false when it has no whole line.
func lastHead(path string) (h Head, some bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, false, nil
	}
	if err != nil {
		return Head{}, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Head{}, false, err
	}
	// All of a log that is open; of one that is being written, the last line may be torn.
	whole, err := lastByte(f, info.Size(), func(c byte) bool { return c == '\n' })
	if err != nil || whole == 0 {
		return Head{}, false, err
	}
	h, err = headAt(f, whole)
	return h, true, err
}

// headAt is the head of what r holds up to a size, which is the end of a line.
func headAt(r io.ReaderAt, size int64) (Head, error) {
	start, err := lastByte(r, size-1, func(c byte) bool { return c == '\n' })
	if err != nil {
		return Head{}, err
	}
	line, err := io.ReadAll(io.NewSectionReader(r, start, min(size-start, maxLine)))
	return headOf(bytes.TrimSuffix(line, []byte{'\n'})), err
}

// The operations of lines that the log writes about itself.
const (
	disturbed = "AuditLogDisturbed"
	accepted  = "AuditLogAccepted"
	reopened  = "AuditLogReopened"
	// summarised is of refusals that have no record of their own.
	summarised = "RefusedSummary"
)

// beside are the files that lie beside a log and hold no lines of it that count.
var beside = []string{".intent", ".new", ".torn", ".lock", ".probe", ".id", ".foreign"}

// Rotated lists the files that were moved from a log at path and lie beside it, under
// any name that begins with the log's: ours, or those that logrotate gives.
func Rotated(path string) ([]string, error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), name)
		if ok && len(rest) > 1 && strings.Contains(".-", rest[:1]) && !slices.Contains(beside, filepath.Ext(rest)) && e.Type().IsRegular() {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	return list, nil
}

// resume finds where the chain ends: in the log or, when that is empty, in what was
// moved from it last. It returns the file with that end.
func (l *Log) resume() (file string, err error) {
	l.chain.head, file, err = LastHead(l.cfg.Path)
	return file, err
}

// LastHead is the last whole line of the log at path or, when that is empty, of what was
// moved from it last, and the file that it is in; "" when there is none.
func LastHead(path string) (head Head, file string, err error) {
	head, some, err := lastHead(path)
	if some || err != nil {
		return head, path, err
	}
	files, err := Rotated(path)
	for _, f := range files {
		h, some, e := lastHead(f)
		err = errors.Join(err, e)
		if some && (file == "" || h.Sequence > head.Sequence) {
			file, head = f, h
		}
	}
	return head, file, err
}
