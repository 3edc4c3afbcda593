package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// intent is one line of the intent file.
type intent struct {
	Intent string          `json:"intent"` // the request id
	Record json.RawMessage `json:"record"` // as it is emitted when no outcome follows
}

// repair makes the file at path end with a whole line, and readable by its owner
// only. Zeros at its end were room, or are what a file system leaves that lost
// power. A torn last line is moved aside first: it may be all that is left of an
// attempt.
func (l *Log) repair(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	written, err := lastByte(f, info.Size(), func(c byte) bool { return c != 0 })
	if err != nil {
		return err
	}
	whole, err := lastByte(f, written, func(c byte) bool { return c == '\n' })
	if err != nil || whole == info.Size() {
		return err
	}
	if whole < written {
		torn := path + ".torn"
		if err := moveAside(torn, io.NewSectionReader(f, whole, written-whole)); err != nil {
			return err
		}
		l.cfg.Logger.Warn("audit: a torn line was moved aside", "file", path, "to", torn, "bytes", written-whole)
	}
	if err := f.Truncate(whole); err != nil {
		return err
	}
	return f.Sync()
}

// lastByte is the length of r, size bytes long, up to the last byte that is one of
// those looked for.
func lastByte(r io.ReaderAt, size int64, is func(byte) bool) (int64, error) {
	block := make([]byte, 64<<10)
	for end := size; end > 0; {
		start := max(0, end-int64(len(block)))
		part := block[:end-start]
		if _, err := r.ReadAt(part, start); err != nil {
			return 0, err
		}
		for i := len(part) - 1; i >= 0; i-- {
			if is(part[i]) {
				return start + int64(i) + 1, nil
			}
		}
		end = start
	}
	return 0, nil
}

// moveAside appends what r holds, and a line feed, to the file at path.
func moveAside(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.MultiReader(r, bytes.NewReader([]byte{'\n'})))
	return errors.Join(err, f.Sync(), f.Close())
}

// emitUnfinished writes the records of intents that have none, and empties the
// intent file. A crash on the way repeats it: what was emitted is found then. end is
// the file with the end of the chain, when that is not the log.
func (l *Log) emitUnfinished(end string) error {
	order, unfinished, err := l.readIntents()
	if err != nil {
		return err
	}
	if len(order) > 0 {
		for _, file := range slices.Compact([]string{l.cfg.Path, cmp.Or(end, l.cfg.Path)}) {
			if err := forgetRecorded(file, unfinished); err != nil {
				return err
			}
		}
	}
	for _, key := range order {
		line, ok := unfinished[key]
		if !ok {
			continue
		}
		if err := l.records.append(line); err != nil {
			return err
		}
		delete(unfinished, key)
		l.cfg.Logger.Warn("audit: an operation has no known outcome", "request", key)
	}
	l.records.turn.Lock()
	defer l.records.turn.Unlock()
	return l.compact()
}

// readIntents returns the records of all intents by request id, the last of each
// id, and the ids in the order of their first. What is not an intent is moved
// aside.
func (l *Log) readIntents() (order []string, records map[string][]byte, err error) {
	data, err := os.ReadFile(l.intents.path)
	if err != nil {
		return nil, nil, err
	}
	records = map[string][]byte{}
	for line := range bytes.Lines(data) {
		var in intent
		if err := json.Unmarshal(line, &in); err != nil || in.Intent == "" || !isRecord(in.Record) {
			l.cfg.Logger.Warn("audit: a line that is no intent was moved aside", "file", l.intents.path)
			if err := moveAside(l.intents.path+".torn", bytes.NewReader(bytes.TrimSuffix(line, []byte{'\n'}))); err != nil {
				return nil, nil, err
			}
			continue
		}
		if _, seen := records[in.Intent]; !seen {
			order = append(order, in.Intent)
		}
		records[in.Intent] = append(in.Record, '\n')
	}
	return order, records, nil
}

// isRecord tells whether members can be added at the end of the record's properties.
func isRecord(raw json.RawMessage) bool {
	var r struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	return json.Unmarshal(raw, &r) == nil && len(r.Properties) > 0 && bytes.HasSuffix(raw, []byte(lineEnd))
}

// emitUnrecorded writes, as "Unknown", the records that could not be written when
// their time came: the disk was full. Whoever was to write one may still try for a
// moment.
func (l *Log) emitUnrecorded() error {
	var lines []byte
	var keys []string
	l.mu.Lock()
	for key, o := range l.open {
		if o.writing || o.failed.IsZero() || time.Since(o.failed) < retryGrace {
			continue
		}
		o.writing = true
		keys = append(keys, key)
		_, rec, _ := bytes.Cut(o.line, []byte(recordMember))
		lines = append(append(lines, rec[:len(rec)-len("}\n")]...), '\n')
	}
	l.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	err := l.append(lines, keys...)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if o := l.open[key]; o != nil {
			o.writing = false
		}
	}
	if err == nil {
		l.cfg.Logger.Warn("audit: operations whose records could not be written are recorded as Unknown", "requests", keys)
	}
	return err
}

// retryGrace is how long whoever failed to write a record may try again before it is
// taken for given up.
const retryGrace = time.Second

// forgetRecorded removes the ids that a file has a record of.
func forgetRecorded(path string, unfinished map[string][]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachRequestID(f, func(id []byte) { delete(unfinished, string(id)) })
}

// requestIDMember precedes a request id. Within a JSON string its quotes would
// be escaped, so that no caller can write it.
var requestIDMember = []byte(`"requestId":"`)

// eachRequestID calls found for every request id in the lines that r holds.
// Memory stays bounded whatever their length; a log of 256 MiB takes less than a
// second.
func eachRequestID(r io.Reader, found func(id []byte)) error {
	const longest = 64 // of member and id: 13 + 36, and some
	buf := make([]byte, 0, 1<<20)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		rest := buf
		for {
			i := bytes.Index(rest, requestIDMember)
			if i < 0 || len(rest)-i < longest && !last {
				break
			}
			rest = rest[i+len(requestIDMember):]
			if end := bytes.IndexByte(rest, '"'); end >= 0 {
				found(rest[:end])
			}
		}
		if last {
			return nil
		}
		// What may be the beginning of a member is looked at again.
		if keep := len(rest) - longest; keep > 0 {
			rest = rest[keep:]
		}
		buf = buf[:copy(buf[:cap(buf)], rest)]
	}
}
