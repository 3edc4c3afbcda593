package issuance

import (
	"context"
	"time"

	"coffer/internal/object"
	"coffer/internal/seal"
)

// Issuer makes certificates. It is a state machine whose state the vault keeps: it
// is asked to begin an order and then, again and again, to continue it, by one
// worker at a time. An issuer has no memory of its own, and never sees a private
// key.
//
// Each answer is Pending, Issued, OrderCancelled or a rejection (*OperationError). An
// error is none of them: what is asked for could not be found out now, the state
// stays as it was, and the same question is asked again later. Each step has a
// minute; ctx ends it. Errors are logged and kept, so that they hold no secrets.
type Issuer interface {
	// Begin gives the first answer, from the order alone: it must not send anything.
	// The state of a Pending is durable before Continue is called, so that it can
	// hold what identifies the order to whom it is sent. Begin may run again when
	// what it answered was lost.
	Begin(ctx context.Context, o Order) (Answer, error)

	// Continue sends what is to be sent next and answers how far the order is. Its
	// effect outside may happen and its answer be lost all the same: a process dies,
	// a commit fails, a lease ends. Then it runs again with the state of before. So
	// before it sends what must not be sent twice, it looks whether that was done, by
	// what is in the state: an idempotency key, a list of orders searched for the
	// public key of the request.
	Continue(ctx context.Context, o Order, state seal.Value) (Answer, error)
}

// Canceller is an Issuer that can cancel an order. Without it, a cancelled operation
// leaves its order alone.
type Canceller interface {
	// Cancel is asked instead of Continue while a cancellation is requested. It
	// answers OrderCancelled, also when the order never reached the authority; Issued when
	// it is too late; Pending when it must be asked again, or cannot cancel now. It
	// may run twice like Continue.
	Cancel(ctx context.Context, o Order, state seal.Value) (Answer, error)
}

// Reissuer is an Issuer that renews under the order of an earlier version, where
// the authority tells a renewal from a new order.
type Reissuer interface {
	// Reissue is Begin with what came before: it must not send anything either.
	Reissue(ctx context.Context, o Order, before Predecessor) (Answer, error)
}

// Revoker is an Issuer that can revoke what it issued.
type Revoker interface {
	// Revoke may run twice; a certificate that is revoked already is no error.
	Revoke(ctx context.Context, s Settings, issued Predecessor, reason Reason) error
}

// Predecessor is a certificate of the same issuer that was issued before.
type Predecessor struct {
	State seal.Value // the last state of its order
	Leaf  []byte     // DER
}

// Reason is why a certificate is revoked (RFC 5280, section 5.3.1).
type Reason int

// Order is what an issuer is asked for. It is the same at each step, but for Now.
// What it points at must not be changed.
type Order struct {
	Vault     object.VaultID
	Name      object.Name
	RequestID string // of the operation, 32 hex digits: of no other order, ever

	CSR    []byte  // PKCS#10, DER
	Public []byte  // SubjectPublicKeyInfo of the requested key
	Policy *Policy // as it was when the operation began
	Type   string  // cty as given; "": the issuer's default
	Begun  time.Time
	Now    time.Time

	Settings Settings // of a named issuer

	// SelfSign makes the certificate of the policy under its own key, valid from Now
	// (Policy.Validity): DER. It is for the issuer Self.
	SelfSign func() ([]byte, error)
}

// Settings are those of a named issuer, opened; the zero Settings of the issuer
// Self.
type Settings struct {
	Name           object.Name
	Provider       string
	AccountID      string     // "": not given
	Password       seal.Value // the zero Value: not given
	OrganizationID string     // "": not given
	Admins         []Admin
}

// Admin is an administrator of the organization of an issuer. nil: not given.
type Admin struct {
	FirstName, LastName, Email, Phone *string
}

// Answer is how far an order is: Pending, Issued, OrderCancelled or *OperationError.
type Answer interface{ answer() }

// MaxState bounds the state of an order, in bytes.
const MaxState = 64 << 10

// Pending is the answer of an order that goes on.
type Pending struct {
	// State is what the issuer needs next time, at most MaxState bytes, in a form of
	// its own. It may hold secrets: it is sealed at rest. It is never empty.
	State seal.Value
	// Look is when to ask again, at most a day ahead. Zero, or a time that is not
	// after now: at once, when the state is durable.
	Look time.Time
}

// Issued is the answer of an order that is done: DER, as the authority gave it. The
// certificate for the key of the request is looked for in all of it, and what is not
// as ordered ends the operation (Accept). At most 100 in all.
type Issued struct {
	Leaf  []byte
	Chain [][]byte // in any order
}

// OrderCancelled is the answer of an order that was cancelled, by the vault or by
// somebody else.
type OrderCancelled struct{}

func (Pending) answer()         {}
func (Issued) answer()          {}
func (OrderCancelled) answer()  {}
func (*OperationError) answer() {}

// OrderPlace is where the state of the order of an operation is sealed to.
func OrderPlace(v object.VaultID, n object.Name, requestID string) seal.Place {
	return seal.Place{Kind: "operation", Vault: v, Name: n.Key(), Version: requestID, Column: "order"}
}
