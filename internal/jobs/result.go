package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Later is the result of an attempt that did not fail and is not the last: the job
// runs again at that time. What was counted of failures stays counted.
func Later(at time.Time) error { return later(at) }

type later time.Time

func (l later) Error() string { return "later, at " + time.Time(l).UTC().Format(time.RFC3339) }

// Permanent is the result of an attempt after which no other can succeed: the job is
// given up at once.
func Permanent(err error) error { return permanent{err} }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// errLost is the failure of a job whose every worker was lost: it may be what ends
// them.
var errLost = errors.New("its workers ended without a result")

// MaxError bounds what is kept of an error, in bytes.
const MaxError = 500

// text is what is kept of an error: one line of printable characters.
func text(err error) string {
	s := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, fmt.Sprint(err))
	if len(s) <= MaxError {
		return s
	}
	s = s[:MaxError]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
