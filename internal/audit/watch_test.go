package audit

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// notice lets the time pass after which the file on disk is looked at.
func notice(l *Log) {
	l.records.turn.Lock()
	l.checked = time.Time{}
	if !l.movedAt.IsZero() {
		l.movedAt = l.movedAt.Add(-moveGrace)
	}
	l.records.turn.Unlock()
}

// last is the last line of a log that the log wrote about itself.
func lastOwn(t *testing.T, path string) (operation, what string) {
	t.Helper()
	for _, m := range readLines(t, path) {
		if name := m["operationName"].(string); strings.HasPrefix(name, "AuditLog") {
			operation, what = name, m["resultDescription"].(string)
		}
	}
	return operation, what
}

// What is done to the file of a running log is found, by the next record or by the
// watch, and no record after that is lost.
func TestChangesWhileRunningAreFound(t *testing.T) {
	for _, tt := range []struct {
		what   string
		change func(t *testing.T, path string)
		want   string // in the record of it
		found  string // by a walk; "": every line is still there
	}{
		{"removed", func(t *testing.T, path string) { os.Remove(path) }, "the file was removed; its lines were saved as", ""},
		{"replaced by a copy", func(t *testing.T, path string) {
			data, _ := os.ReadFile(path)
			os.WriteFile(path+".new", bytes.ReplaceAll(data, []byte("SecretSet"), []byte("SecretGet")), 0o600)
			os.Rename(path+".new", path)
		}, "another file is in its place; what was there is now", ""},
		{"removed and made anew", func(t *testing.T, path string) { os.Remove(path); os.WriteFile(path, nil, 0o600) }, "another file is in its place", ""},
		{"emptied", func(t *testing.T, path string) { os.Truncate(path, 0) }, "bytes to 0; what was there", ""}, // but the walk begins late
		{"cut", func(t *testing.T, path string) { edit(t, path, func(b []byte) []byte { return cutLine(b, 3) }) }, "the file was cut from", "is missing"},
		{"added to", func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return append(b, "{\"properties\":{}}\n"...) })
		}, "18 bytes were added to the file by somebody else", "has no number"},
		{"named twice", func(t *testing.T, path string) { os.Link(path, path+".foreign") }, "the file has 2 names", ""},
		{"moved away", func(t *testing.T, path string) {
			os.Rename(path, path+".1")
		}, "the file was moved away", ""},
		{"moved away, another put there", func(t *testing.T, path string) {
			os.Rename(path, path+".1")
			os.WriteFile(path, []byte("{}\n"), 0o600)
		}, "another file is in its place", ""},
	} {
		for _, idle := range []bool{false, true} {
			t.Run(tt.what, func(t *testing.T) {
				var out bytes.Buffer
				l := openLog(t, Config{Sync: true, Logger: slog.New(slog.NewTextHandler(&out, nil))})
				path := l.cfg.Path
				for range 5 {
					finish(t, intended(t, l), 200)
				}
				open := intended(t, l)
				tt.change(t, path)
				for range 2 {
					notice(l)
					if !idle {
						finish(t, intended(t, l), 200)
					} else if err := l.watch(); err != nil {
						t.Fatal(err)
					}
				}
				finish(t, open, 200)
				if op, what := lastOwn(t, path); op != "AuditLogDisturbed" || !strings.Contains(what, tt.want) || l.Disturbed() != what {
					t.Errorf("%s: %q, %q", op, what, l.Disturbed())
				}
				if !strings.Contains(out.String(), "level=ERROR") {
					t.Errorf("the operator is told %q", &out)
				}
				got := wrong(t, Check{Path: path})
				if !strings.Contains(strings.Join(got, "\n"), " AuditLogDisturbed: ") {
					t.Errorf("a walk says %q", got)
				}
				got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, " AuditLogDisturbed: ") })
				if (len(got) == 0) != (tt.found == "") || !strings.Contains(strings.Join(got, "\n"), tt.found) {
					t.Errorf("a walk finds %q, want %q", got, tt.found)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l = openLog(t, Config{Path: path}); l.Disturbed() != "" {
					t.Errorf("%q in the next process", l.Disturbed())
				}
			})
		}
	}
}

// The intents that are open are worth as much as records: they are written anew from
// memory, and survive a crash.
func TestLostIntentsAreWrittenAnew(t *testing.T) {
	for what, change := range map[string]func(path string){
		"removed": func(path string) { os.Remove(path) },
		"replaced": func(path string) {
			os.Remove(path)
			os.WriteFile(path+".x", []byte("{}\n"), 0o600)
			os.Rename(path+".x", path)
		},
		"emptied": func(path string) { os.Truncate(path, 0) },
		"nothing": func(string) {},
	} {
		for _, some := range []bool{false, true} {
			l := openLog(t, Config{Sync: true})
			path := l.cfg.Path
			finish(t, intended(t, l), 200)
			var open *Entry
			if some {
				open = intended(t, l)
			}
			change(path + ".intent")
			if err := l.watch(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if op, _ := lastOwn(t, path); (op == "AuditLogDisturbed") != (what != "nothing") {
				t.Errorf("%s: the last own line is %q", what, op)
			}
			late := intended(t, l)
			openLog(t, Config{Path: path, Sync: true}) // after a crash
			for _, e := range []*Entry{open, late} {
				if e == nil {
					continue
				}
				if got := results(t, path, e.RequestID()); !slices.Equal(got, []string{"Unknown"}) {
					t.Errorf("%s: %v", what, got)
				}
			}
			if files, _ := filepath.Glob(path + "*.torn"); len(files) > 0 {
				t.Errorf("%s: %v", what, files)
			}
		}
	}
}

// An edit that leaves the size shows in a walk as soon as there is a line behind it.
func TestEditWhileRunningIsFoundByAWalk(t *testing.T) {
	l := openLog(t, Config{})
	for range 3 {
		finish(t, l.Begin(arrival), 200)
	}
	f, _ := os.OpenFile(l.cfg.Path, os.O_WRONLY, 0)
	f.WriteAt([]byte(`{"time":"1999`), 0)
	f.Close()
	if got := wrong(t, Check{Path: l.cfg.Path}); len(got) != 1 || !strings.Contains(got[0], ":1: line 1 was altered") {
		t.Errorf("%q", got)
	}
}

// A failed write closes the file. When it is another one afterwards, nothing of that is
// cut or written over.
func TestChangeWhileTheFileIsClosedIsFound(t *testing.T) {
	for what, change := range map[string]func(path string){
		"removed":  func(path string) { os.Remove(path) },
		"replaced": func(path string) { os.Remove(path); os.WriteFile(path, []byte("precious\n"), 0o600) },
		// The number of the removed file is often that of the next one.
		"replaced by more": func(path string) {
			os.Remove(path)
			os.WriteFile(path, []byte("precious\n"+strings.Repeat("x", 4096)), 0o600)
		},
		"emptied": func(path string) { os.Truncate(path, 0) },
	} {
		var d disk
		l := openLog(t, Config{OpenFile: d.open})
		finish(t, l.Begin(arrival), 200)
		d.full.Store(true)
		if err := l.Begin(arrival).Finish(&Facts{}, Outcome{Status: 200}); err == nil {
			t.Fatal("written")
		}
		d.full.Store(false)
		change(l.cfg.Path)
		finish(t, l.Begin(arrival), 200)
		if op, _ := lastOwn(t, l.cfg.Path); op != "AuditLogDisturbed" {
			t.Errorf("%s: the last own line is %q", what, op)
		}
		if err := l.Healthy(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		kept, _ := filepath.Glob(l.cfg.Path + ".2*")
		if strings.HasPrefix(what, "replaced") && (len(kept) != 1 || !strings.HasPrefix(content(t, kept[0]), "precious\n")) {
			t.Errorf("%s: the other file: %v", what, kept)
		}
	}
}

// logrotate moves the file and says so: no line is lost, nothing is disturbed, and a
// crash in between changes nothing of that.
func TestReopenGoesOnInANewFile(t *testing.T) {
	for _, made := range []bool{false, true} { // logrotate may make an empty file
		for _, killed := range []bool{false, true} {
			var db heads
			l := openLog(t, Config{Sync: true, Anchor: db.anchor()})
			path := l.cfg.Path
			if err := l.Reopen(); err != nil || len(readLines(t, path)) != 0 {
				t.Fatalf("nothing was moved: %v", err)
			}
			for range 3 {
				finish(t, intended(t, l), 200)
			}
			lost := intended(t, l)
			os.Rename(path, path+"-20261201")
			if made {
				os.WriteFile(path, nil, 0o640)
			}
			finish(t, intended(t, l), 200) // between the move and the signal
			notice(l)
			settled := intended(t, l)
			finish(t, settled, 200)
			if killed {
				l = openLog(t, Config{Path: path, Sync: true, Anchor: db.anchor()})
			} else if err := l.Reopen(); err != nil {
				t.Fatal(err)
			} else if op, _ := lastOwn(t, path); op != "AuditLogReopened" {
				t.Errorf("%q", op)
			}
			finish(t, l.Begin(arrival), 200)
			if l.Disturbed() != "" {
				t.Error(l.Disturbed())
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 && killed {
				t.Errorf("mode %v", info.Mode())
			}
			openLog(t, Config{Path: path, Anchor: db.anchor()})
			want := 8
			if killed { // nobody asked to reopen it
				want = 7
			}
			if n := chained(t, path+"-20261201", path); n != want {
				t.Errorf("%d lines", n)
			}
			if got := append(results(t, path+"-20261201", settled.RequestID()), results(t, path, settled.RequestID())...); !slices.Equal(got, []string{"Success"}) {
				t.Errorf("settled before the move was noticed: %v", got)
			}
			if got := results(t, path, lost.RequestID()); !slices.Equal(got, []string{"Unknown"}) {
				t.Errorf("open over the move: %v", got)
			}
		}
	}
}

// While records fail nothing may begin; what was under way is on record as soon as there
// is room again, once, and without a restart.
func TestFullLogRefusesAtTheIntent(t *testing.T) {
	var full, intentsFull disk
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openLog(t, Config{Path: path, OpenFile: func(name string) (File, error) {
		if strings.HasSuffix(name, ".intent") { // it has room reserved
			return intentsFull.open(name)
		}
		return full.open(name)
	}})
	under, retried := intended(t, l), intended(t, l)
	full.full.Store(true)
	for _, e := range []*Entry{under, under, retried} {
		if err := e.Finish(&Facts{Operation: "SecretSet"}, Outcome{Status: 200}); err == nil {
			t.Fatal("recorded on a full disk")
		}
	}
	for range 3 {
		if err := l.Begin(arrival).Intent(t.Context(), &Facts{}); err == nil {
			t.Fatal("an intent while records fail")
		}
	}
	if n := len(readLines(t, path+".intent")); n != 2 {
		t.Errorf("%d intents", n)
	}
	if err := l.emitUnrecorded(); err != nil {
		t.Errorf("nobody has given up yet: %v", err)
	}
	l.mu.Lock()
	l.open[under.RequestID()].failed = time.Now().Add(-retryGrace)
	l.mu.Unlock()
	if err := l.emitUnrecorded(); err == nil {
		t.Error("emitted on a full disk")
	}
	full.full.Store(false)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for end := time.Now().Add(10 * time.Second); len(results(t, path, under.RequestID())) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not recorded")
		}
	}
	finish(t, retried, 503)
	finish(t, under, 503) // late, and on record already
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Begin(arrival).Intent(t.Context(), &Facts{}); err != nil {
		t.Errorf("refused although there is room: %v", err)
	}
	if got := results(t, path, under.RequestID()); !slices.Equal(got, []string{"Unknown"}) {
		t.Errorf("given up: %v", got)
	}
	if got := results(t, path, retried.RequestID()); len(got) != 1 {
		t.Errorf("tried again: %v", got)
	}
	if len(l.open) != 1 {
		t.Errorf("%d intents are open", len(l.open))
	}
}
