package authn

import (
	"context"
	"time"
)

// Tx is what the verifier needs of one open transaction.
type Tx interface {
	// RememberAssertion records that a client assertion was used, until it
	// would have expired anyway. It answers false, and changes nothing, when
	// the id is already on record. Of two concurrent transactions only one gets
	// true.
	RememberAssertion(ctx context.Context, id string, until time.Time) (fresh bool, err error)
	// ForgetAssertions drops those whose until is before the given time.
	ForgetAssertions(ctx context.Context, before time.Time) error
}
