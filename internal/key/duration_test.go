package key

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	from := time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)
	at := func(y int, m time.Month, d, h, min, s int) time.Time {
		return time.Date(y, m, d, h, min, s, 0, time.UTC)
	}
	for _, c := range []struct {
		text   string
		days   float64 // for comparing: a year has 365, a month 30
		after  time.Time
		before time.Time
	}{
		{"P30D", 30, from.Add(30 * day), from.Add(-30 * day)},
		{"P90D", 90, from.Add(7_776_000 * time.Second), from.Add(-90 * day)},
		{"P1M", 30, at(2026, 2, 28, 14, 5, 6), at(2025, 12, 31, 14, 5, 6)}, // the last of a shorter month
		{"P3M", 90, at(2026, 4, 30, 14, 5, 6), at(2025, 10, 31, 14, 5, 6)},
		{"P1Y", 365, at(2027, 1, 31, 14, 5, 6), at(2025, 1, 31, 14, 5, 6)},
		{"P12M", 365, at(2027, 1, 31, 14, 5, 6), at(2025, 1, 31, 14, 5, 6)},
		{"P1Y10D", 375, at(2027, 2, 10, 14, 5, 6), at(2025, 1, 21, 14, 5, 6)},
		{"P2W", 14, from.Add(14 * day), from.Add(-14 * day)},
		{"PT48H", 2, from.Add(2 * day), from.Add(-2 * day)},
		{"P1DT1H1M1S", 1 + 3661.0/86400, at(2026, 2, 1, 15, 6, 7), at(2026, 1, 30, 13, 4, 5)},
		{"P1Y1M1W1DT0S", 365 + 30 + 8, at(2027, 3, 8, 14, 5, 6), at(2024, 12, 23, 14, 5, 6)},
		{"P0D", 0, from, from},
		{"P100Y", 36500, at(2126, 1, 31, 14, 5, 6), at(1926, 1, 31, 14, 5, 6)},
		{"PT3153600000S", 36500, from.Add(36500 * day), from.Add(-36500 * day)},
	} {
		d, err := ParseDuration(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if d.String() != c.text || d.IsZero() || d.about().Hours()/24 != c.days {
			t.Errorf("%s: %s, %v days", c.text, d, d.about().Hours()/24)
		}
		if got := d.After(from); !got.Equal(c.after) {
			t.Errorf("%s after: %v, want %v", c.text, got, c.after)
		}
		if got := d.Before(from); !got.Equal(c.before) {
			t.Errorf("%s before: %v, want %v", c.text, got, c.before)
		}
	}
	for _, bad := range []string{"", "P", "PT", "P1", "30D", "p30d", "P30d", "P-1D", "P+1D", "P1.5D", "P1DT", "P1D1D", "P1D1M", "P1H", "PT1D",
		"P 1D", "P1D ", "-P1D", "P1YT", "PT1S1H", "P99999999999D", "P9999999999D", "P101Y", "PT3153600001S", "P36501D", "P1D\x00", "P١D", "PTT1H",
		"P0000000000000000000000000000000000000000000000000000000000000001D"} {
		if d, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is %+v", bad, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"P30D", "P1Y2M3W4DT5H6M7S", "PT0S", "P", "PT", "P9999999999D", "P1M1D", "P1D1M"} {
		f.Add(seed)
	}
	from := time.Date(2026, 1, 31, 14, 5, 6, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		again, err := ParseDuration(d.String())
		if err != nil || again != d || d.String() != text {
			t.Fatalf("%q: %+v, %+v, %v", text, d, again, err)
		}
		if d.about() < 0 || d.about() > maxSpan || d.After(from).Before(from) || d.Before(from).After(from) || d.After(from).Year() > 2130 {
			t.Fatalf("%q: %v, %v, %v", text, d.about(), d.After(from), d.Before(from))
		}
	})
}
