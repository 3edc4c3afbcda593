package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration is a time.Duration that also takes days: 90d, 1d12h.
type duration time.Duration

// UnmarshalText reads what time.ParseDuration does, with days before the rest.
func (d *duration) UnmarshalText(text []byte) error {
	rest := string(text)
	var days time.Duration
	if n, after, ok := strings.Cut(rest, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 90d or 12h", text)
		}
		days, rest = time.Duration(count)*24*time.Hour, after
	}
	if rest == "" && days > 0 {
		*d = duration(days)
		return nil
	}
	parsed, err := time.ParseDuration(rest)
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is not a duration such as 90d or 12h", text)
	}
	*d = duration(days + parsed)
	return nil
}
