package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/object"
)

// heads is a database of heads in memory.
type heads struct {
	mu   sync.Mutex
	kept map[string]Head
	err  error
}

func (h *heads) View(_ context.Context, fn func(Tx) error) error   { return h.do(fn) }
func (h *heads) Update(_ context.Context, fn func(Tx) error) error { return h.do(fn) }

func (h *heads) do(fn func(Tx) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.err, fn(h))
}

func (h *heads) AuditHead(_ context.Context, log string) (Head, error) {
	if kept, ok := h.kept[log]; ok {
		return kept, nil
	}
	return Head{}, object.ErrNotFound
}

func (h *heads) SetAuditHead(_ context.Context, log string, head Head, _ time.Time) error {
	if h.kept == nil {
		h.kept = map[string]Head{}
	}
	h.kept[log] = head
	return nil
}

func (h *heads) anchor() *Anchor { return &Anchor{DB: h, Log: "local"} }

// chained checks the lines of files, in their order, with the standard library alone:
// not by Verify, nor by what writes the chain.
func chained(t *testing.T, files ...string) (lines int) {
	t.Helper()
	link := regexp.MustCompile(`,"sequence":(\d+),"previousHash":"([0-9a-f]{64})"}}$`)
	previous := strings.Repeat("0", 64)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSuffix(line, "\n")
			lines++
			var r struct {
				Properties struct {
					Sequence     int    `json:"sequence"`
					PreviousHash string `json:"previousHash"`
				} `json:"properties"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			if r.Properties.Sequence != lines || r.Properties.PreviousHash != previous || !link.MatchString(line) {
				t.Fatalf("%s: line %d has %+v, want the hash %s", f, lines, r.Properties, previous)
			}
			sum := sha256.Sum256([]byte(line))
			previous = hex.EncodeToString(sum[:])
		}
	}
	return lines
}

// inOrder are the files of a log as they were written.
func inOrder(t *testing.T, path string) []string {
	t.Helper()
	rotated, err := Rotated(path)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rotated)
	return append(rotated, path)
}

// wrong are the findings of a walk through a log.
func wrong(t *testing.T, c Check) []string {
	t.Helper()
	r, err := Verify(c)
	if err != nil {
		t.Fatal(err)
	}
	return r.Findings
}

// The chain holds over everything that happens to a log: many at once, rotation, crashes
// with torn lines and open intents, and a disk that is full for a while.
func TestChainHoldsOverAll(t *testing.T) {
	var d disk
	var db heads
	l := openLog(t, Config{MaxBytes: 8 << 10, OpenFile: d.open, Anchor: db.anchor()})
	path := l.cfg.Path
	for round := range 4 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					finish(t, intended(t, l), 200)
					f := Facts{Also: []Also{{Operation: "CertificatePolicySet"}}}
					if err := l.Begin(arrival).Finish(&f, Outcome{Status: 200}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		lost := intended(t, l)
		d.full.Store(true)
		d.stuck.Store(round%2 == 0)
		if err := l.Begin(arrival).Finish(&Facts{}, Outcome{Status: 200}); err == nil {
			t.Fatal("written on a full disk")
		}
		d.full.Store(false)
		d.stuck.Store(false)
		finish(t, l.Begin(arrival), 200)
		if err := l.keepHead(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The process is killed within a line.
		f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		fmt.Fprint(f, `{"time":"2026`)
		f.Close()
		l = openLog(t, Config{Path: path, MaxBytes: 8 << 10, OpenFile: d.open, Anchor: db.anchor()})
		if got := results(t, path, lost.RequestID()); !slices.Equal(got, []string{"Unknown"}) {
			t.Errorf("round %d: %v", round, got)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files := inOrder(t, path)
	if n := chained(t, files...); n != 4*(8*5*3+2) || len(files) < 5 {
		t.Errorf("%d lines in %d files", n, len(files))
	}
	if got := wrong(t, Check{Path: path, Kept: db.kept["local"]}); got != nil {
		t.Errorf("%q", got)
	}
}

// A log of an earlier version goes on: the chain begins behind its lines, and holds
// the last of them.
func TestChainBeginsBehindOldLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	old := `{"time":"2026-01-01T00:00:00.0000000Z","properties":{"requestId":"a"}}`
	if err := os.WriteFile(path, []byte(old+"\n"+old+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, Config{Path: path})
	finish(t, l.Begin(arrival), 200)
	finish(t, l.Begin(arrival), 200)
	line := readLines(t, path)[2]["properties"].(map[string]any)
	if sum := sha256.Sum256([]byte(old)); line["sequence"] != 1.0 || line["previousHash"] != hex.EncodeToString(sum[:]) {
		t.Errorf("%v", line)
	}
	r, err := Verify(Check{Path: path})
	if err != nil || len(r.Findings) > 0 || r.Lines != 2 || !strings.Contains(strings.Join(r.Notes, ""), "2 lines are of a version") {
		t.Errorf("%+v, %v", r, err)
	}
	data, _ := os.ReadFile(path)
	os.WriteFile(path, bytes.Replace(data, []byte(`"a"`), []byte(`"b"`), 2)[:], 0o600)
	if got := wrong(t, Check{Path: path}); len(got) != 1 {
		t.Errorf("the last old line altered: %q", got)
	}
}

// What a caller writes cannot look like a link.
func TestLinkCannotBeForgedByACaller(t *testing.T) {
	l := openLog(t, Config{})
	bad := `","sequence":99,"previousHash":"` + strings.Repeat("a", 64) + `"}}`
	f := Facts{Request: Request{UserAgent: bad, CorrelationID: bad}, Caller: Claims{UPN: bad}}
	if err := l.Begin(arrival).Finish(&f, Outcome{Status: 400, Message: bad}); err != nil {
		t.Fatal(err)
	}
	if n := chained(t, l.cfg.Path); n != 1 {
		t.Errorf("%d lines", n)
	}
	for _, line := range []string{"", "}}", `"}}`, `,"sequence":1,"previousHash":"` + strings.Repeat("g", 64) + `"}}`,
		`,"sequence":x,"previousHash":"` + strings.Repeat("a", 64) + `"}}`, `"sequence":1,"previousHash":"` + strings.Repeat("a", 64) + `"}}`} {
		if _, _, ok := parseLink([]byte(line)); ok {
			t.Errorf("%q has a link", line)
		}
	}
}

// logged is a log of some files, closed, with its head in a database.
func logged(t *testing.T) (path string, db *heads) {
	t.Helper()
	db = &heads{}
	l := openLog(t, Config{MaxBytes: 4 << 10, Anchor: db.anchor()})
	for range 20 {
		finish(t, intended(t, l), 200)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.cfg.Path, db
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// cutLine takes the line of that index out of data.
func cutLine(data []byte, i int) []byte {
	lines := bytes.SplitAfter(data, []byte{'\n'})
	return bytes.Join(slices.Delete(lines, i, i+1), nil)
}

// Whatever is done to the files of a log that is not running is found, and told where.
func TestVerifyFindsEveryChange(t *testing.T) {
	for _, tt := range []struct {
		what   string
		change func(t *testing.T, files []string)
		want   string // of one finding
		starts bool   // the log can be opened all the same: its end is there
	}{
		{"nothing", func(*testing.T, []string) {}, "", true},
		{"an edit in an old file", func(t *testing.T, f []string) {
			edit(t, f[1], func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"httpStatusCode":200`), []byte(`"httpStatusCode":404`), 1)
			})
		}, "was altered", true},
		{"a line is taken out of an old file", func(t *testing.T, f []string) {
			edit(t, f[1], func(b []byte) []byte { return cutLine(b, 1) })
		}, "is missing, between", true},
		{"a line is put in", func(t *testing.T, f []string) {
			edit(t, f[1], func(b []byte) []byte { return append([]byte("{\"properties\":{}}\n"), b...) })
		}, "has no number", true},
		{"a line is doubled", func(t *testing.T, f []string) {
			edit(t, f[1], func(b []byte) []byte { return append(b, b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]...) })
		}, "it is a copy, or was moved", true},
		{"an old file is removed", func(t *testing.T, f []string) { os.Remove(f[1]) }, "are missing, between", true},
		{"an old file ends within a line", func(t *testing.T, f []string) {
			edit(t, f[1], func(b []byte) []byte { return b[:len(b)-10] })
		}, "ends within a line", true},
		{"the last line is removed", func(t *testing.T, f []string) {
			edit(t, f[len(f)-1], func(b []byte) []byte { return b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1] })
		}, "the end is missing", false},
		{"the last line is altered", func(t *testing.T, f []string) {
			edit(t, f[len(f)-1], func(b []byte) []byte {
				i := bytes.LastIndex(b, []byte("SecretSet"))
				return append(append(b[:i:i], "SecretGet"...), b[i+9:]...)
			})
		}, "is not the one that the database has seen", false},
		{"the current file is removed", func(t *testing.T, f []string) { os.Remove(f[len(f)-1]) }, "the end is missing", false},
		{"the current file is emptied", func(t *testing.T, f []string) { os.Truncate(f[len(f)-1], 0) }, "the end is missing", false},
		{"all is removed", func(t *testing.T, f []string) {
			for _, name := range f {
				os.Remove(name)
			}
		}, "the end is missing", false},
		{"all is written anew, with a chain of its own", func(t *testing.T, f []string) {
			for _, name := range f[:len(f)-1] {
				os.Remove(name)
			}
			os.Remove(f[len(f)-1])
			l := openLog(t, Config{Path: f[len(f)-1]})
			for range 30 {
				finish(t, l.Begin(arrival), 200)
			}
			l.Close()
		}, "is not the one that the database has seen", false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			path, db := logged(t)
			kept := db.kept["local"]
			tt.change(t, inOrder(t, path))
			got := wrong(t, Check{Path: path, Kept: db.kept["local"]})
			if (tt.want == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, "\n"), tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			l, err := Open(Config{Path: path, Anchor: db.anchor()})
			var lost *LostError
			if tt.starts != (err == nil) || err != nil && !errors.As(err, &lost) {
				t.Fatalf("opened with %v", err)
			}
			if err == nil {
				l.Close()
				return
			}
			// Somebody takes note of it: that is on record, and so is the gap.
			l, err = Open(Config{Path: path, Anchor: db.anchor(), Accept: &Claims{UPN: "ann", UID: "7"}})
			if err != nil {
				t.Fatal(err)
			}
			finish(t, l.Begin(arrival), 200)
			l.Close()
			lines := readLines(t, path)
			own := lines[len(lines)-2]
			if own["operationName"] != "AuditLogAccepted" || own["resultDescription"] != lost.What || l.Accepted != lost.What ||
				own["identity"].(map[string]any)["claim"].(map[string]any)["uid"] != "7" {
				t.Errorf("%v", own)
			}
			if p := own["properties"].(map[string]any); p["sequence"].(float64) <= float64(kept.Sequence) || p["previousHash"] != hex.EncodeToString(kept.Hash[:]) {
				t.Errorf("the break does not show: %v after line %d", p, kept.Sequence)
			}
			openLog(t, Config{Path: path, Anchor: db.anchor()})
			r, err := Verify(Check{Path: path, Kept: db.kept["local"]})
			if err != nil || !strings.Contains(strings.Join(r.Findings, "\n"), "AuditLogAccepted: "+lost.What) {
				t.Errorf("what was accepted is forgotten: %+v, %v", r, err)
			}
			since := uint64(own["properties"].(map[string]any)["sequence"].(float64))
			if got := wrong(t, Check{Path: path, Kept: db.kept["local"], Since: since}); len(got) != 0 {
				t.Errorf("since line %d: %q", since, got)
			}
		})
	}
}

// A head is kept only of lines that are durable: else a loss of power would leave the
// log behind it.
func TestHeadIsKeptBehindTheSync(t *testing.T) {
	var d disk
	var db heads
	l := openLog(t, Config{OpenFile: d.open, Anchor: db.anchor()})
	finish(t, l.Begin(arrival), 200)
	var then Head
	d.syncing = func() { then = db.kept["local"] }
	d.syncs.Store(0)
	if err := l.keepHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.syncs.Load() != 1 || then.Sequence != 0 || db.kept["local"].Sequence != 1 {
		t.Errorf("%d syncs, %d kept before and %d after", d.syncs.Load(), then.Sequence, db.kept["local"].Sequence)
	}
	if l.keepHead(t.Context()); d.syncs.Load() != 1 {
		t.Error("nothing new, and yet a sync")
	}
	d.syncing = nil
	db.err = errors.New("away")
	finish(t, l.Begin(arrival), 200) // no request waits for the database
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(Config{Path: l.cfg.Path, Anchor: db.anchor()}); err == nil {
		t.Error("opened without knowing what the log must have")
	}
}

// The log runs ahead of its anchor when the process is killed.
func TestLogAheadOfItsAnchorIsWhole(t *testing.T) {
	path, db := logged(t)
	for range 3 {
		l := openLog(t, Config{Path: path, MaxBytes: 4 << 10, Anchor: db.anchor()})
		for range 15 { // over the end of a file
			finish(t, intended(t, l), 200)
		}
	}
	if n := chained(t, inOrder(t, path)...); n != 20+3*15 {
		t.Errorf("%d lines", n)
	}
}
