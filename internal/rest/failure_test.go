package rest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"coffer/internal/object"
)

// What is no fault of the caller tells him what he can do, and nothing of what was found.
func TestFailuresThatAreNotTheCallers(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{object.ErrNotAuthentic, 500, "was changed outside of the vault"},
		{object.ErrOutcomeUnknown, 504, "may have taken effect"},
		{context.DeadlineExceeded, 504, "took too long"},
		{fmt.Errorf("something else"), 500, "internal error"},
	} {
		f := FailureOf(fmt.Errorf("row credentials 17: %w", c.err), "id-1", nil)
		if f.Status != c.status || !strings.Contains(f.Message, c.says) || strings.Contains(f.Message, "17") {
			t.Errorf("%v: %d %s", c.err, f.Status, f.Message)
		}
	}
}
