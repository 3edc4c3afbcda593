package pki_test

import (
	"testing"
	"time"

	"coffer/internal/pki"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAddMonths(t *testing.T) {
	for _, tc := range []struct {
		from   string
		months int
		want   string
	}{
		{"2026-01-31T10:00:00Z", 1, "2026-02-28T10:00:00Z"},
		{"2028-01-31T10:00:00Z", 1, "2028-02-29T10:00:00Z"},
		{"2028-02-29T23:59:59Z", 12, "2029-02-28T23:59:59Z"},
		{"2028-02-29T00:00:00Z", 48, "2032-02-29T00:00:00Z"},
		{"2026-03-31T00:00:00Z", 1, "2026-04-30T00:00:00Z"},
		{"2026-11-30T00:00:00Z", 3, "2027-02-28T00:00:00Z"},
		{"2026-12-15T00:00:00Z", 1, "2027-01-15T00:00:00Z"},
		{"2026-05-05T05:05:05Z", 1200, "2126-05-05T05:05:05Z"},
		{"2026-05-31T00:00:00Z", 0, "2026-05-31T00:00:00Z"},
		{"2026-03-31T00:00:00Z", -1, "2026-02-28T00:00:00Z"},
		{"2026-02-01T01:00:00+02:00", 1, "2026-02-28T23:00:00Z"}, // 31 January in UTC
	} {
		if got := pki.AddMonths(at(t, tc.from), tc.months); !got.Equal(at(t, tc.want)) || got.Location() != time.UTC {
			t.Errorf("%s and %d months is %v; want %s", tc.from, tc.months, got, tc.want)
		}
	}
}

func TestMonthsBetween(t *testing.T) {
	from := at(t, "2026-03-10T12:00:00Z")
	for _, tc := range []struct {
		from, to time.Time
		want     int
	}{
		// Contract certificates.md, 8.2.
		{from, from.AddDate(0, 0, 3650), 120},
		{from, from.AddDate(0, 0, 265), 9},
		{from, from.AddDate(0, 12, 0).Add(10 * time.Minute), 13},
		{from, from.AddDate(0, 12, 0), 12},
		{from, from.AddDate(0, 12, 0).Add(-time.Second), 12},
		{from, from.Add(time.Second), 1},
		{from, from, 0},
		{from, from.Add(-time.Hour), 0},
		{at(t, "2026-01-31T10:00:00Z"), at(t, "2026-02-28T10:00:00Z"), 1},
		{at(t, "2026-01-31T10:00:00Z"), at(t, "2026-02-28T10:00:01Z"), 2},
		{at(t, "2026-01-01T00:00:00Z"), at(t, "9999-12-31T23:59:59Z"), 95688},
	} {
		if got := pki.MonthsBetween(tc.from, tc.to); got != tc.want {
			t.Errorf("%v to %v is %d months; want %d", tc.from, tc.to, got, tc.want)
		}
	}
}

// The smallest m, by its definition, over many days.
func TestMonthsBetweenIsTheSmallest(t *testing.T) {
	for day := range 400 {
		from := at(t, "2027-01-01T09:00:00Z").AddDate(0, 0, day)
		for _, length := range []int{1, 27, 28, 29, 30, 31, 32, 59, 60, 89, 365, 366, 397, 1095} {
			to := from.AddDate(0, 0, length)
			m := pki.MonthsBetween(from, to)
			if pki.AddMonths(from, m).Before(to) || !pki.AddMonths(from, m-1).Before(to) {
				t.Fatalf("%v to %v is not %d months", from, to, m)
			}
		}
	}
}
