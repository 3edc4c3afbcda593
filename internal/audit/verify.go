package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Check says which lines Verify walks, and what it compares them with.
type Check struct {
	// Path is a log: its file and those moved from it that lie beside. "": none.
	Path string
	// Files are further ones, in any order; those named .gz are read as gzip.
	Files []string
	// Kept is what the database has seen of the log; zero: nothing is known.
	Kept Head
	// Since is the first line whose link to the one before counts; 0: all do.
	Since uint64
	// Progress is called as the walk goes on, with bytes read and all bytes; nil: it is
	// not.
	Progress func(done, all int64)
}

// Report is what Verify found. Findings and Notes are sentences: what is missing or
// altered, and what the log says about itself, or cannot say.
type Report struct {
	Files       int
	Lines       uint64 // that have a number
	First, Last uint64 // the numbers of the first and the last; 0: there is none
	Findings    []string
	Notes       []string
}

// maxSentences bounds each list of a Report.
const maxSentences = 100

// Verify walks a log from its first line to its last: each line must have the number
// after the one before and its hash, and what the database has seen must be there. It
// may run while the log is written. An error says that it could not walk; what is
// wrong with the log is in the report.
func Verify(c Check) (*Report, error) {
	files, err := c.open()
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	w := walk{check: c, report: &Report{Files: len(files)}, progress: &progress{report: c.Progress}}
	for _, f := range files {
		w.progress.all += f.size
	}
	for i, f := range files {
		if err := w.file(f, i == len(files)-1); err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
		}
	}
	w.end()
	return w.report, nil
}

// logFile is an open file of a log, with what its place among the others depends on.
type logFile struct {
	*os.File
	size  int64
	first uint64 // number of its first line that has one; 0: none at its beginning
	time  string // of its first line
}

// maxUnnumbered is how many lines of a file may lack a number before it is taken for one
// of a version that did not number them.
const maxUnnumbered = 100

// open opens the files in the order of their lines. While it does, the log may begin
// another one: then it looks again.
func (c *Check) open() (files []logFile, err error) {
	for {
		names, err := c.names()
		if err != nil {
			return files, err
		}
		for _, name := range names {
			f, err := openLogFile(name)
			if f.File != nil {
				files = append(files, f)
			}
			if err != nil {
				return files, fmt.Errorf("reading %s: %w", name, err)
			}
		}
		again, err := c.names()
		if err != nil {
			return files, err
		}
		if slices.Equal(names, again) {
			slices.SortStableFunc(files, func(a, b logFile) int { return cmp.Or(cmp.Compare(a.first, b.first), strings.Compare(a.time, b.time)) })
			return files, nil
		}
		for _, f := range files {
			f.Close()
		}
		files = nil
	}
}

func (c *Check) names() (names []string, err error) {
	names = slices.Clone(c.Files)
	if c.Path == "" {
		return names, nil
	}
	if _, err := os.Stat(c.Path); err == nil {
		names = append(names, c.Path)
	}
	rotated, err := Rotated(c.Path)
	return append(names, rotated...), err
}

func openLogFile(name string) (f logFile, err error) {
	if f.File, err = os.Open(name); err != nil {
		return logFile{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return f, err
	}
	f.size = info.Size()
	lines, err := f.lines(f.File)
	if err != nil {
		return f, err
	}
	for n := 0; n < maxUnnumbered && f.first == 0 && err == nil; n++ {
		var line []byte
		line, err = lines.ReadSlice('\n')
		f.first, _, _ = parseLink(bytes.TrimSuffix(line, []byte{'\n'}))
		if n == 0 {
			f.time = string(line[:min(len(line), len(`{"time":"`)+len(timeForm))])
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return f, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// lines reads lines from r, which is the file.
func (f *logFile) lines(r io.Reader) (*bufio.Reader, error) {
	if strings.HasSuffix(f.Name(), ".gz") && f.size > 0 {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = unzipped
	}
	return bufio.NewReaderSize(r, maxLine), nil
}

// walk is where Verify is.
type walk struct {
	check    Check
	report   *Report
	progress *progress

	some      bool // there was a line
	last      Head // of the line before
	at        string
	unchained uint64 // lines without a number, before the first that has one
	sawKept   bool
}

func (w *walk) find(format string, args ...any) {
	w.report.Findings = sentence(w.report.Findings, fmt.Sprintf(format, args...))
}

func (w *walk) note(format string, args ...any) {
	w.report.Notes = sentence(w.report.Notes, fmt.Sprintf(format, args...))
}

func sentence(list []string, s string) []string {
	switch {
	case len(list) < maxSentences:
		return append(list, s)
	case len(list) == maxSentences:
		return append(list, "There is more of the kind.")
	}
	return list
}

func (w *walk) file(f logFile, last bool) error {
	w.progress.r = f.File
	lines, err := f.lines(w.progress)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		at := fmt.Sprintf("%s:%d", f.Name(), n)
		switch {
		case err == nil:
			w.line(line[:len(line)-1], at)
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d has more than %d bytes", n, maxLine)
		case !errors.Is(err, io.EOF):
			return err
		case len(line) > 0 && last:
			w.note("%s: the last line is not complete: it is being written, or a crash tore it.", at)
			return nil
		case len(line) > 0:
			w.find("%s: the file ends within a line.", at)
			return nil
		default:
			return nil
		}
	}
}

func (w *walk) line(line []byte, at string) {
	sequence, previous, ok := parseLink(line)
	before := w.at
	w.at = at
	if !ok {
		if w.last.Sequence > 0 {
			w.find("%s: the line has no number: it was altered, or added.", at)
			return
		}
		w.unchained++
		w.some, w.last.Hash = true, sha256.Sum256(line)
		return
	}
	w.report.Lines++
	if w.report.First == 0 {
		w.report.First = sequence
	}
	if sequence > w.check.Since {
		w.link(sequence, previous, before, at)
	}
	w.some, w.last = true, headOf(line)
	w.report.Last = max(w.report.Last, sequence)
	if sequence == w.check.Kept.Sequence && !w.sawKept {
		w.sawKept = true
		if w.last != w.check.Kept {
			w.find("%s: line %d is not the one that the database has seen: it was altered.", at, sequence)
		}
	}
	w.own(line, at, sequence)
}

// link compares a line with the one before.
func (w *walk) link(sequence uint64, previous [sha256.Size]byte, before, at string) {
	switch {
	case !w.some && sequence > 1:
		w.note("%s: the walk begins with line %d. What was before is not among these files.", at, sequence)
	case sequence <= w.last.Sequence:
		w.find("%s: line %d comes after line %d: it is a copy, or was moved.", at, sequence, w.last.Sequence)
	case sequence == w.last.Sequence+2:
		w.find("Line %d is missing, between %s and %s.", sequence-1, cmp.Or(before, "the beginning"), at)
	case sequence > w.last.Sequence+1:
		w.find("Lines %d to %d are missing, between %s and %s.", w.last.Sequence+1, sequence-1, cmp.Or(before, "the beginning"), at)
	case previous != w.last.Hash && before == "":
		w.find("%s: line %d tells of a line before, which is not there.", at, sequence)
	case previous != w.last.Hash:
		w.find("%s: line %d was altered: it is not the one that line %d follows.", before, w.last.Sequence, sequence)
	}
}

// own tells what the log says about itself: that it was disturbed, or that somebody took
// note of a loss, until Since says that it is known.
func (w *walk) own(line []byte, at string, sequence uint64) {
	if !bytes.Contains(line, []byte(`"operationName":"AuditLog`)) {
		return
	}
	var r record
	if json.Unmarshal(line, &r) != nil {
		return
	}
	tell := w.find
	if r.OperationName == reopened || sequence <= w.check.Since {
		tell = w.note
	}
	tell("%s: line %d, of %s, says %s: %s", at, sequence, r.Time, r.OperationName, r.ResultDescription)
}

// end compares the end with what the database has seen.
func (w *walk) end() {
	if w.unchained > 0 {
		w.note("%d lines are of a version that did not number them: nothing shows whether they were altered.", w.unchained)
	}
	kept := w.check.Kept.Sequence
	switch {
	case kept == 0 || w.sawKept:
	case w.report.Last < kept:
		w.find("The log ends with line %d, but the database has seen line %d: the end is missing.", w.report.Last, kept)
	default:
		w.find("Line %d, which the database has seen, is missing.", kept)
	}
}

// progress counts what is read.
type progress struct {
	r         io.Reader
	done, all int64
	report    func(done, all int64)
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	if p.report != nil {
		p.report(p.done, p.all)
	}
	return n, err
}
