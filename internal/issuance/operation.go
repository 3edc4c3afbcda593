package issuance

import (
	"context"
	"time"

	"coffer/internal/hsm"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Status is where a pending operation stands, spelled as on the wire
// (contract certificates.md, 9).
type Status string

// The states.
const (
	InProgress Status = "inProgress"
	Completed  Status = "completed"
	Cancelled  Status = "cancelled"
	Failed     Status = "failed"
)

// Operation is the making of one version: at most one for each certificate
// name. A finished one stays until it is overwritten or deleted.
type Operation struct {
	Vault     object.VaultID
	Name      object.Name
	RequestID string // 32 hex digits

	Status                Status
	CancellationRequested bool
	Error                 *OperationError // only when failed

	Policy        *Policy   // as it was when the operation began
	Spec          IssuerRef // the issuer in the casing the caller used
	CSR           []byte    // PKCS#10, DER; stays readable when finished
	Public        []byte    // SubjectPublicKeyInfo of the pending key
	Private       seal.Box  // PKCS#8 or a handle, bound to PendingPlace; nil when completed
	HSM           hsm.ID    // the pending key in the HSM; zero: it is in software, or completed
	PreserveOrder bool

	Order     seal.Box  // what the issuer keeps of its order, bound to OrderPlace; nil: none is begun
	OrderStep int       // how often Order was stored
	OrderLook time.Time // when the issuer is asked again, in milliseconds; zero: at once

	// What the resulting version starts with.
	Enabled bool
	Tags    object.Tags // nil: those of the version that is current then

	Created time.Time
	Updated time.Time
}

// OperationError is why an operation failed, as the poller shows it, and the answer
// of an issuer that rejects an order for good.
type OperationError struct {
	Code    string
	Message string
}

// The codes of OperationError (contract certificates.md, 9).
const (
	RequestRejected = "Request rejected"
	IssuerError     = "Certificate issuer error"
)

// PendingPlace is where the private key of an operation is sealed to.
func PendingPlace(v object.VaultID, n object.Name, requestID string) seal.Place {
	return seal.Place{Kind: "operation", Vault: v, Name: n.Key(), Version: requestID, Column: "private"}
}

// Tx is what operations need of one open transaction.
type Tx interface {
	// Operation answers object.ErrNotFound when the name has none.
	Operation(ctx context.Context, v object.VaultID, n object.Name) (*Operation, error)
	// PutOperation inserts or replaces the operation of its name.
	PutOperation(ctx context.Context, op *Operation) error
	// DeleteOperation removes the operation of a name; absent is not an error.
	DeleteOperation(ctx context.Context, v object.VaultID, n object.Name) error
}
