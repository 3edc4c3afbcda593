package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// A server that is not there, or is another's standby by now, is no failure of the
// vault: the caller is told to come again.
func TestServerThatIsAwayIsUnavailable(t *testing.T) {
	conf, err := pgconn.ParseConfig("postgres://nobody@127.0.0.1:1/x?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	_, refused := pgconn.ConnectConfig(t.Context(), conf)
	for _, err := range []error{refused, &pgconn.PgError{Code: "57P01"}, &pgconn.PgError{Code: "08006"}, &pgconn.PgError{Code: "25006"}} {
		if got := away(fmt.Errorf("store: reading: %w", err)); !fault.Is(got, fault.Unavailable) || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
	for _, err := range []error{nil, object.ErrNotFound, seal.ErrBox, context.Canceled, context.DeadlineExceeded, &pgconn.PgError{Code: "42P01"}} {
		if got := away(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
