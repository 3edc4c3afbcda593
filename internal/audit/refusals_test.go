package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRefusalsHaveABudget: a day of refusals from one address takes less than 50 MB, and
// each is on record or counted there.
func TestRefusalsHaveABudget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	l, err := Open(Config{Path: path, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	attempt := func(f Facts) {
		t.Helper()
		if err := l.Begin(now).Finish(&f, Outcome{Status: 401}); err != nil {
			t.Fatal(err)
		}
	}
	const refusals = 24 * 60 * 60
	for n := range refusals {
		now = now.Add(time.Second)
		attempt(Facts{Request: Request{Address: "203.0.113.9", URI: "https://v/" + strings.Repeat("x", 600)}, Powerless: n%2 == 0,
			Unauthenticated: map[bool]*Unauthenticated{false: {WithToken: true}}[n%2 == 0]})
		if n%30 == 0 { // as Run does, each second
			if err := l.emitRefused(false); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Somebody else, and whoever has a right, are on record as ever.
	attempt(Facts{Request: Request{Address: "203.0.113.10", URI: "https://v/other"}, Powerless: true})
	for range 500 {
		attempt(Facts{Request: Request{Address: "203.0.113.9", URI: "https://v/right"}})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 50<<20 {
		t.Errorf("%d bytes", len(b))
	}
	text := string(b)
	if n := strings.Count(text, "https://v/other"); n != 1 {
		t.Errorf("another address has %d records", n)
	}
	if n := strings.Count(text, "https://v/right"); n != 500 {
		t.Errorf("%d of 500 with a right are on record", n)
	}
	told, summaries := strings.Count(text, "https://v/xxx"), 0
	first := regexp.MustCompile(`^(\d+) more refused in the last (\d+) seconds from 1 addresses; the first at 2026-12-0\S+ from 203\.0\.113\.9$`)
	for line := range strings.Lines(text) {
		var r struct{ OperationName, ResultDescription string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.OperationName != "RefusedSummary" {
			continue
		}
		m := first.FindStringSubmatch(r.ResultDescription)
		if m == nil {
			t.Fatalf("%q", r.ResultDescription)
		}
		n, _ := strconv.Atoi(m[1])
		if seconds, _ := strconv.Atoi(m[2]); seconds > 90 {
			t.Errorf("late: %s", m[0])
		}
		told, summaries = told+n, summaries+1
	}
	if told != refusals || summaries < 600 {
		t.Errorf("%d of %d are told, %d summaries", told, refusals, summaries)
	}
	if r, err := Verify(Check{Path: path}); err != nil || len(r.Findings) > 0 {
		t.Errorf("the chain: %v %v", r.Findings, err)
	}
}

// TestAllAddressesShareABudget: whoever has a million addresses fills no more.
func TestAllAddressesShareABudget(t *testing.T) {
	r, now, bytes := newRefusals(), time.Now(), 0
	for n := range 3600 * 10 {
		now = now.Add(100 * time.Millisecond)
		if r.admit(fmt.Sprintf("2001:db8:%x::1", n), 1000, now) {
			bytes += 1000
		}
	}
	if most := refusedOfAllBurst + 3600*refusedOfAll; bytes > most || bytes < most/2 {
		t.Errorf("%d bytes in an hour, want up to %d", bytes, most)
	}
	s, ok := r.take(now, true)
	if !ok || len(s.sources) != maxCounted || !strings.Contains(s.text(now), "from at least 10000 addresses") {
		t.Errorf("%t, %d sources", ok, len(s.sources))
	}
	r.put(s)
	if again, ok := r.take(now, true); !ok || again.count != s.count {
		t.Errorf("%d of %d after they could not be told", again.count, s.count)
	}
}
