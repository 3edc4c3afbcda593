package keyvault

import (
	"net/http"

	"coffer/internal/issuance"
	"coffer/internal/object"
)

// operationBody is contract certificates.md, 5.5.
type operationBody struct {
	ID            string          `json:"id"`
	Issuer        operationIssuer `json:"issuer"`
	CSR           []byte          `json:"csr"`
	Cancellation  bool            `json:"cancellation_requested"`
	Status        string          `json:"status"`
	StatusDetails string          `json:"status_details,omitempty"` // only in progress
	Error         *errorObject    `json:"error,omitempty"`          // only failed
	Target        string          `json:"target,omitempty"`         // only completed
	PreserveOrder *bool           `json:"preserveCertOrder,omitempty"`
	RequestID     string          `json:"request_id"`
}

// operationIssuer has the name only (recorded).
type operationIssuer struct {
	Name string `json:"name"`
}

// The recorded texts of an operation in progress (contract certificates.md, 9).
const (
	waitsForIssuer = "Pending certificate created. Certificate request is in progress." +
		" This may take some time based on the issuer provider. Please check again later."
	waitsForMerge = "Pending certificate created. Please Perform Merge to complete the request."
)

// pollAfter is what pollers are told to wait, in seconds (recorded).
const pollAfter = 10

func newOperationBody(c *call, op *issuance.Operation) operationBody {
	b := operationBody{
		ID: c.pendingID(op.Name), Issuer: operationIssuer{op.Spec.Name}, CSR: op.CSR,
		Cancellation: op.CancellationRequested, Status: string(op.Status), RequestID: op.RequestID,
	}
	switch op.Status {
	case issuance.InProgress:
		b.StatusDetails = waitsForIssuer
		if op.Spec.IsUnknown() {
			b.StatusDetails = waitsForMerge
		}
	case issuance.Completed:
		b.Target = c.objectID(object.Certificates, op.Name, "")
	case issuance.Failed:
		b.Error = &errorObject{Code: issuance.IssuerError, Message: "The issuer encountered an error processing the certificate request."}
		if op.Error != nil {
			b.Error.Code, b.Error.Message = op.Error.Code, op.Error.Message
		}
	}
	if c.version.has(preserveCertOrder) {
		b.PreserveOrder = &op.PreserveOrder
	}
	return b
}

// renderCreated tells where to poll. The rules answer a create as in progress
// however fast the issuer is: a poller that saw completed here would never fetch
// the certificate (contract certificates.md, 8.1).
func renderCreated(c *call, op *issuance.Operation) reply {
	describeOperation(c, op)
	describeGivenPolicy(c, op.Policy)
	return reply{status: http.StatusAccepted, body: newOperationBody(c, op), retryAfter: pollAfter,
		location: c.pendingID(op.Name) + "?api-version=" + c.version.text + "&request_id=" + op.RequestID}
}

func renderOperation(c *call, op *issuance.Operation) reply {
	describeOperation(c, op)
	return ok(newOperationBody(c, op))
}

// renderPolled is renderOperation for GET, which alone says when to come back.
func renderPolled(c *call, op *issuance.Operation) reply {
	r := renderOperation(c, op)
	if op.Status == issuance.InProgress {
		r.retryAfter = pollAfter
	}
	return r
}

// cancellation is the body of PATCH on an operation.
type cancellation struct {
	requestID string // "" fits every operation
	requested bool
}

func parseCancellation(c *call, in *input) cancellation {
	p := cancellation{requestID: c.query.requestID, requested: in.is("cancellation_requested")}
	if in.raw("cancellation_requested") == nil {
		in.required("cancellation_requested")
	}
	return p
}

func requestID(c *call, _ *input) string { return c.query.requestID }
