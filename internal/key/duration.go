package key

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"coffer/internal/pki"
)

// Duration is a span of a rotation policy: P[nY][nM][nW][nD][T[nH][nM][nS]] of
// ISO 8601, with whole numbers (contract keys.md, 9.9). The zero Duration is none.
type Duration struct {
	text   string
	months int
	days   int
	clock  time.Duration
}

// maxSpan bounds a Duration: a hundred years.
const maxSpan = 100 * 365 * day

const day = 24 * time.Hour

// maxDigits bounds one number: a hundred years have less than 10^10 seconds.
const maxDigits = 10

// ErrDuration reports a text that is not a Duration.
var ErrDuration = errors.New("a duration is written like P90D, P3M, PT48H or P1Y10D, and has at most 100 years")

// ParseDuration reads a Duration.
func ParseDuration(text string) (Duration, error) {
	const maxText = 64
	rest, ok := strings.CutPrefix(text, "P")
	if !ok || rest == "" || len(text) > maxText {
		return Duration{}, ErrDuration
	}
	d := Duration{text: text}
	date, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" {
		return Duration{}, ErrDuration
	}
	var years, months, weeks, days, hours, minutes, seconds int64
	if !parts(date, "YMWD", &years, &months, &weeks, &days) || !parts(clock, "HMS", &hours, &minutes, &seconds) {
		return Duration{}, ErrDuration
	}
	// In float64, which no ten digits overflow.
	const yearDays, monthDays = 365, 30 // contract keys.md, 9.9: for comparing
	about := (float64(years)*yearDays+float64(months)*monthDays+float64(weeks)*7+float64(days))*day.Seconds() +
		float64(hours)*3600 + float64(minutes)*60 + float64(seconds)
	if about > maxSpan.Seconds() {
		return Duration{}, ErrDuration
	}
	d.months, d.days = int(12*years+months), int(7*weeks+days)
	d.clock = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
	return d, nil
}

// parts reads numbers with their units, which come in order and at most once.
func parts(s, units string, to ...*int64) bool {
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if n < 1 || n > maxDigits {
			return false
		}
		unit := strings.IndexByte(units, s[n])
		if unit < 0 {
			return false
		}
		v, err := strconv.ParseInt(s[:n], 10, 64)
		if err != nil {
			return false
		}
		*to[unit] = v
		units, to, s = units[unit+1:], to[unit+1:], s[n+1:]
	}
	return true
}

// String is the text as it was given.
func (d Duration) String() string { return d.text }

// IsZero reports whether there is none.
func (d Duration) IsZero() bool { return d.text == "" }

// about is the length for comparing: a month counts as 30 days, twelve of them
// as 365.
func (d Duration) about() time.Duration {
	days := d.months/12*365 + d.months%12*30 + d.days
	return time.Duration(days)*day + d.clock
}

// After is the time that lies the duration after t, by the calendar, in UTC.
func (d Duration) After(t time.Time) time.Time {
	return pki.AddMonths(t, d.months).AddDate(0, 0, d.days).Add(d.clock)
}

// Before is the time that lies the duration before t.
func (d Duration) Before(t time.Time) time.Time {
	return pki.AddMonths(t, -d.months).AddDate(0, 0, -d.days).Add(-d.clock)
}
