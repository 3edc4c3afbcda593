package audit

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A database that lacks what the log has on record is an older copy. What a crash leaves,
// or a database that could not be written for a while, is not.
func TestOlderDatabaseIsFoundByTheLog(t *testing.T) {
	type step struct {
		after     time.Duration
		operation string
		status    int
	}
	for _, c := range []struct {
		name  string
		steps []step
		older bool
	}{
		{"nothing behind the head", nil, false},
		{"the last seconds before a crash", []step{{time.Hour, "SecretSet", 200}, {time.Hour + 5*time.Second, "SecretSet", 200}}, false},
		{"changes of a day", []step{{time.Minute, "SecretSet", 200}, {24 * time.Hour, "SecretDelete", 200}}, true},
		{"reads and refusals while the disk was full", []step{{time.Second, "SecretGet", 200}, {time.Hour, "SecretSet", 503},
			{2 * time.Hour, "KeyGetDeleted", 200}, {2 * time.Hour, "KeySign", 200}}, false},
		{"a restore that a crash kept from happening", []step{{time.Second, "VaultRestore", 200}, {time.Hour, "VaultRestore", 200}}, false},
	} {
		for _, head := range []string{"a head", "no head"} {
			if head == "no head" && !c.older {
				continue // the first line is behind it, too
			}
			t.Run(c.name+", "+head, func(t *testing.T) {
				db := &heads{}
				cfg := Config{Anchor: db.anchor(), MaxBytes: 1500} // a file for two lines
				l := openLog(t, cfg)
				cfg.Path = l.cfg.Path
				finish(t, l.Begin(arrival), 200)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				kept := db.kept["local"]
				if head == "no head" {
					delete(db.kept, "local")
				}
				past := Config{Path: cfg.Path, MaxBytes: cfg.MaxBytes} // it goes on, and the copy of the database does not know
				l = openLog(t, past)
				for _, s := range c.steps {
					finishWith(t, l.Begin(arrival.Add(s.after)), &Facts{Operation: s.operation}, s.status)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l, err := Open(cfg)
				older, is := errors.AsType[*OlderError](err)
				if is != c.older || is == (err == nil) || is && !strings.Contains(older.What, "SecretDelete was done") {
					t.Fatalf("opened with %v", err)
				}
				if err == nil {
					l.Close()
					return
				}
				// Taken note of, the chain goes on without a break.
				cfg.Accept = &Claims{UPN: "ann"}
				l = openLog(t, cfg)
				if l.Older != older.What || l.Accepted != "" {
					t.Errorf("%q, %q", l.Older, l.Accepted)
				}
				if err := errors.Join(l.RecordRestore(t.Context(), l.Older, *cfg.Accept), l.Close()); err != nil {
					t.Fatal(err)
				}
				cfg.Accept = nil
				if l, err = Open(cfg); err != nil {
					t.Fatal(err)
				}
				l.Close()
				if got := wrong(t, Check{Path: cfg.Path, Kept: db.kept["local"]}); len(got) > 0 || db.kept["local"] == kept {
					t.Errorf("%q", got)
				}
			})
		}
	}
}
