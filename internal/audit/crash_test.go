package audit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestIntentWithoutOutcomeIsEmittedOnce(t *testing.T) {
	l := openLog(t, Config{})
	done, lost, twice := intended(t, l), intended(t, l), l.Begin(arrival)
	for _, object := range []string{"", "secrets/db"} { // a restore learns its object late
		if err := twice.Intent(t.Context(), &Facts{Operation: "SecretRestore", Object: object}); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, done, 200)
	// No Close: the process is gone.
	for range 3 {
		l = openLog(t, Config{Path: l.cfg.Path})
		for e, want := range map[*Entry]string{done: "Success", lost: "Unknown", twice: "Unknown"} {
			if got := results(t, l.cfg.Path, e.RequestID()); !slices.Equal(got, []string{want}) {
				t.Fatalf("%v, want %s", got, want)
			}
		}
	}
	last := readLines(t, l.cfg.Path)[2]
	if last["properties"].(map[string]any)["id"] != "/secrets/db" || last["time"] != "2026-01-31T14:05:06.1234567Z" || last["operationName"] != "SecretRestore" {
		t.Errorf("%v", last)
	}
	if n := len(readLines(t, l.cfg.Path+".intent")); n != 0 {
		t.Errorf("%d intents are left", n)
	}
}

func TestCloseKeepsWhatHasNoOutcome(t *testing.T) {
	l := openLog(t, Config{Sync: true})
	done, lost := intended(t, l), intended(t, l)
	finish(t, done, 200)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readLines(t, l.cfg.Path+".intent"); len(got) != 1 || got[0]["intent"] != lost.RequestID() {
		t.Errorf("%v", got)
	}
	if err := lost.Finish(&Facts{}, Outcome{Status: 200}); err == nil {
		t.Error("a record after Close")
	}
	if err := l.Begin(arrival).Intent(t.Context(), &Facts{}); err == nil {
		t.Error("an intent after Close")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// The machine loses power: of the log, which is not synced with each record, any
// part may be missing at the end. Whatever was intended is on record once.
func TestEveryCutOfTheLogIsRepaired(t *testing.T) {
	l := openLog(t, Config{})
	var (
		ids  []string
		ends [4]int // of the records, in the log
	)
	for i := range 4 {
		e := intended(t, l)
		ids = append(ids, e.RequestID())
		if i == 2 {
			continue
		}
		f := Facts{Operation: "SecretSet"}
		if i == 1 {
			f.Also = []Also{{Operation: "CertificatePolicySet"}}
		}
		finishWith(t, e, &f, 200)
		records, _ := os.ReadFile(l.cfg.Path)
		ends[i] = len(records)
		if i == 1 {
			ends[i] = len(records[:bytes.LastIndexByte(records[:len(records)-1], '\n')+1])
		}
	}
	records, _ := os.ReadFile(l.cfg.Path)
	intents, _ := os.ReadFile(l.cfg.Path + ".intent")
	path := filepath.Join(t.TempDir(), "audit.log")
	for cut := 0; cut <= len(records); cut += 23 {
		os.WriteFile(path, records[:cut], 0o600)
		os.WriteFile(path+".intent", intents, 0o600)
		os.Remove(path + ".torn")
		openLog(t, Config{Path: path})
		for i, id := range ids {
			var got []string
			for _, m := range readLines(t, path) {
				if m["properties"].(map[string]any)["requestId"] == id && m["operationName"] == "SecretSet" {
					got = append(got, m["resultType"].(string))
				}
			}
			want := "Unknown"
			if i != 2 && cut >= ends[i] {
				want = "Success"
			}
			if !slices.Equal(got, []string{want}) {
				t.Fatalf("cut at %d, operation %d: %v, want %s", cut, i, got, want)
			}
		}
		torn, _ := os.ReadFile(path + ".torn")
		whole := records[:bytes.LastIndexByte(records[:cut], '\n')+1]
		if want := records[len(whole):cut]; string(bytes.TrimSuffix(torn, []byte("\n"))) != string(want) {
			t.Fatalf("cut at %d: %d bytes were moved aside, want %d", cut, len(torn), len(want))
		}
	}
}

// A torn intent was never acknowledged; it is kept for whoever looks, and does
// not stop the start.
func TestEveryCutOfTheIntentsIsRepaired(t *testing.T) {
	l := openLog(t, Config{})
	first, second := intended(t, l), intended(t, l)
	intents, _ := os.ReadFile(l.cfg.Path + ".intent")
	path := filepath.Join(t.TempDir(), "audit.log")
	ends := []int{bytes.IndexByte(intents, '\n') + 1, len(intents)}
	for cut := 0; cut <= len(intents); cut += 23 {
		os.Remove(path)
		os.WriteFile(path+".intent", intents[:cut], 0o600)
		openLog(t, Config{Path: path})
		for i, e := range []*Entry{first, second} {
			if got, want := len(results(t, path, e.RequestID())) == 1, cut >= ends[i]; got != want {
				t.Fatalf("cut at %d: intent %d emitted: %t", cut, i, got)
			}
		}
	}
}

func TestWhatIsNoIntentIsMovedAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	bad := "\x00\x00\x00\n{}\n{\"record\":{}}\n{\"intent\":\"x\"}\n{\"intent\":\"x\",\"record\":7}\n"
	os.WriteFile(path+".intent", []byte(bad), 0o600)
	openLog(t, Config{Path: path})
	if torn, _ := os.ReadFile(path + ".intent.torn"); string(torn) != bad {
		t.Errorf("%q", torn)
	}
	if n := len(readLines(t, path)); n != 0 {
		t.Errorf("%d records", n)
	}
}

func TestRotationKeepsEveryRecordAndIntent(t *testing.T) {
	for _, sync := range []bool{false, true} {
		l := openLog(t, Config{MaxBytes: 4 << 10, Sync: sync})
		lost := intended(t, l)
		var ids []string
		for range 40 {
			e := intended(t, l)
			finish(t, e, 200)
			ids = append(ids, e.RequestID())
		}
		l = openLog(t, Config{Path: l.cfg.Path, MaxBytes: 4 << 10}) // after a crash
		files, _ := filepath.Glob(l.cfg.Path + "*")
		logs := slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".intent") })
		if len(logs) < 5 {
			t.Fatalf("%v", logs)
		}
		found := map[string][]string{}
		for _, f := range logs {
			if info, _ := os.Stat(f); info.Size() > 4<<10 {
				t.Errorf("%s has %d bytes", f, info.Size())
			}
			for _, m := range readLines(t, f) {
				id := m["properties"].(map[string]any)["requestId"].(string)
				found[id] = append(found[id], m["resultType"].(string))
			}
		}
		for _, id := range ids {
			if !slices.Equal(found[id], []string{"Success"}) {
				t.Errorf("%s: %v", id, found[id])
			}
		}
		if got := found[lost.RequestID()]; !slices.Equal(got, []string{"Unknown"}) {
			t.Errorf("the one without outcome: %v", got)
		}
	}
}

// No record is ever written over, even if the clock stands still.
func TestRotationOverwritesNothing(t *testing.T) {
	l := openLog(t, Config{MaxBytes: 1 << 10, Now: func() time.Time { return arrival }})
	for range 10 {
		finish(t, l.Begin(arrival), 200)
	}
	n := 0
	for _, f := range logFiles(t, l.cfg.Path) {
		n += len(readLines(t, f))
	}
	if n != 10 {
		t.Errorf("%d records", n)
	}
}

func TestIntentFileStaysSmall(t *testing.T) {
	l := openLog(t, Config{})
	l.compacts = 2 << 10
	open := intended(t, l)
	for range 20 {
		finish(t, intended(t, l), 200)
		l.compacts = min(l.compacts, 2<<10)
	}
	got := readLines(t, l.cfg.Path+".intent")
	if len(got) > 6 {
		t.Errorf("%d intents", len(got))
	}
	if got[0]["intent"] != open.RequestID() {
		t.Error("the open intent is gone")
	}
	os.WriteFile(l.cfg.Path+".intent.new", []byte("what a crash left\n"), 0o600)
	l.compacts = 1
	finish(t, intended(t, l), 200) // compacts, and leaves the open one
	late := intended(t, l)
	if got := readLines(t, l.cfg.Path+".intent"); len(got) != 2 || got[1]["intent"] != late.RequestID() {
		t.Errorf("after compaction: %v", got)
	}
	finish(t, open, 200)
	l = openLog(t, Config{Path: l.cfg.Path})
	if got := results(t, l.cfg.Path, open.RequestID()); !slices.Equal(got, []string{"Success"}) {
		t.Errorf("%v", got)
	}
}

// eachRequestID must not depend on where the reader cuts.
func TestRequestIDsAreFoundAcrossReads(t *testing.T) {
	var log bytes.Buffer
	for i := range 6000 {
		fmt.Fprintf(&log, `{"a":"%s","requestId":"id-%d","b":"\"requestId\":\"not me\""}`+"\n", strings.Repeat("x", i%400), i)
	}
	log.WriteString(`{"requestId":"cut`)
	text := log.String()
	var want []string
	for _, m := range regexp.MustCompile(`[^\\]"requestId":"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		want = append(want, m[1])
	}
	for what, r := range map[string]io.Reader{
		"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
		"in halves": iotest.HalfReader(strings.NewReader(text)), "with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		var got []string
		if err := eachRequestID(r, func(id []byte) { got = append(got, string(id)) }); err != nil {
			t.Fatal(err)
		}
		// A member may be seen twice where two reads meet.
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: %d ids, want %d", what, len(got), len(want))
		}
	}
	if err := eachRequestID(iotest.ErrReader(io.ErrUnexpectedEOF), func([]byte) {}); err == nil {
		t.Error("a read error is lost")
	}
}
