package pki

import "time"

// AddMonths is t in UTC, moved by calendar months: the same day and time of
// day, or the last day of a month that is too short.
func AddMonths(t time.Time, months int) time.Time {
	t = t.UTC()
	year, month, day := t.Date()
	first := time.Date(year, month+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	if last := first.AddDate(0, 1, -1).Day(); day > last {
		day = last
	}
	return time.Date(first.Year(), first.Month(), day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// MonthsBetween is the smallest m, 0 or more, such that notBefore and m calendar
// months reach notAfter (contract certificates.md, 8.2).
func MonthsBetween(notBefore, notAfter time.Time) int {
	from, to := notBefore.UTC(), notAfter.UTC()
	if !to.After(from) {
		return 0
	}
	m := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
	if AddMonths(from, m).Before(to) {
		m++
	}
	return m
}
