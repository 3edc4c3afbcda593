package authn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"coffer/internal/directory"
)

// claims is the payload of a token, member by member. The decoder is go-jose's:
// unlike encoding/json it tells upper from lower case and refuses a member that
// occurs twice, so that no two readers of one token see two callers.
type claims map[string]json.RawMessage

func parseClaims(payload []byte) (claims, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || c == nil {
		return nil, errors.New("the payload is not a JSON object")
	}
	return c, nil
}

// text gives the first of the named members that is there; "" when none is.
func (c claims) text(names ...string) (string, error) {
	for _, name := range names {
		raw, ok := c[name]
		if !ok || name == "" {
			continue
		}
		var s *string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", errors.New(name + " is not a string")
		}
		if s != nil && *s != "" {
			return *s, nil
		}
	}
	return "", nil
}

// texts gives a member that is a string or an array of strings.
func (c claims) texts(name string) ([]string, error) {
	raw, ok := c[name]
	if !ok || name == "" {
		return nil, nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil {
		return nil, errors.New(name + " is neither a string nor an array of strings")
	}
	return many, nil
}

// number gives a whole number; 0 when it is absent.
func (c claims) number(name string) (n int64, err error) {
	if raw, ok := c[name]; ok && json.Unmarshal(raw, &n) != nil {
		return 0, errors.New(name + " is not a whole number")
	}
	return n, nil
}

// maxDate bounds numeric dates: the year 5138 in seconds.
const maxDate = 1e11

// date gives a NumericDate (RFC 7519, section 2), which may have a fraction:
// older Python clients write floats. Absent is the zero time.
func (c claims) date(name string) (time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return time.Time{}, nil
	}
	var f *float64
	if err := json.Unmarshal(raw, &f); err != nil || f == nil || !(*f > 0 && *f < maxDate) {
		return time.Time{}, errors.New(name + " is not a date")
	}
	whole, fraction := math.Modf(*f)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

// overage reports whether the issuer left the groups out because there are too
// many of them for a token.
func (c claims) overage() bool {
	var has bool
	if json.Unmarshal(c["hasgroups"], &has) == nil && has {
		return true
	}
	var names map[string]json.RawMessage
	if json.Unmarshal(c["_claim_names"], &names) != nil {
		return false
	}
	_, ok := names["groups"]
	return ok
}

// times are the limits of a token's life; zero where the token does not say.
type times struct{ issued, notBefore, expires time.Time }

// times reads exp, which is required, and iat and nbf, which are not.
func (c claims) times() (t times, err error) {
	if t.expires, err = c.date("exp"); err != nil {
		return t, err
	}
	if t.expires.IsZero() {
		return t, errors.New("exp is required")
	}
	if t.notBefore, err = c.date("nbf"); err != nil {
		return t, err
	}
	t.issued, err = c.date("iat")
	return t, err
}

// start is when the token was issued, as it says; zero when it does not.
func (t times) start() time.Time {
	if t.issued.IsZero() {
		return t.notBefore
	}
	return t.issued
}

// long reports whether a token is good for longer than any may be, by what it says of
// itself or from now on: one that is made to begin later must not last longer by that.
func (t times) long(now time.Time, skew time.Duration) bool {
	start := t.start()
	return !start.IsZero() && t.expires.Sub(start) > directory.MaxTokenLife || t.expires.After(now.Add(directory.MaxTokenLife+skew))
}

// tell says what long found, for a refusal.
func (t times) tell() string {
	switch {
	case !t.issued.IsZero():
		return fmt.Sprintf(" (exp - iat is %d s)", int64(t.expires.Sub(t.issued)/time.Second))
	case !t.notBefore.IsZero():
		return fmt.Sprintf(" (exp - nbf is %d s)", int64(t.expires.Sub(t.notBefore)/time.Second))
	}
	return " from now on"
}

func (t times) over(now time.Time, skew time.Duration) bool { return now.After(t.expires.Add(skew)) }
func (t times) early(now time.Time, skew time.Duration) bool {
	return now.Before(t.notBefore.Add(-skew)) || now.Before(t.issued.Add(-skew))
}

// intersect reports whether the lists share a member.
func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
